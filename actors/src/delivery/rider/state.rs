//! What a rider's work list remembers.

use nakku_cluster::{Column, ColumnKind, ColumnValue, EntityState, Key};
use serde::{Deserialize, Serialize};

use super::command::{CLEARED_MAX, Job, Presence, View};
use super::event::Event;

/// The column that holds the store.
pub const STORE: &str = "store";
/// The column that holds the [`Presence`], as [`presence_name`] writes it.
pub const PRESENCE: &str = "presence";

/// A rider's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All of it.
    pub head: Head,
}

/// A rider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The rider's own key, once known.
    pub rider: Option<Key>,
    /// Whether they are at work.
    pub presence: Presence,
    /// Where, unless offline.
    pub store: Option<Key>,
    /// How often they changed between at work and not; tells the news to the rosters apart.
    pub turn: u64,
    /// What is on the list.
    pub job: Option<Job>,
    /// How many have left it.
    pub jobs_ended: u64,
    /// The last that left it, and in which of their searches.
    pub cleared: Vec<(Key, u32)>,
}

impl State {
    /// The rider as others see them.
    pub fn view(&self) -> View {
        let head = &self.head;
        View { presence: head.presence, store: head.store.clone(), job: head.job.clone(), jobs_ended: head.jobs_ended }
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Coming { rider, store } => {
                head.rider = Some(rider.clone());
                head.presence = Presence::Coming;
                head.store = Some(store.clone());
                head.turn += 1;
            }
            Event::Online { .. } => head.presence = Presence::Online,
            Event::Leaving { .. } => {
                head.presence = Presence::Leaving;
                head.turn += 1;
            }
            Event::Offline { .. } => {
                head.presence = Presence::Offline;
                head.store = None;
            }
            Event::JobShown { job } => head.job = Some(job.clone()),
            Event::JobCleared { delivery, attempt } => {
                if head.job.as_ref().is_some_and(|job| job.delivery == *delivery && job.attempt <= *attempt) {
                    head.job = None;
                    head.jobs_ended += 1;
                }
                head.cleared.retain(|(cleared, _)| cleared != delivery);
                head.cleared.push((delivery.clone(), *attempt));
                let surplus = head.cleared.len().saturating_sub(CLEARED_MAX);
                head.cleared.drain(..surplus);
            }
        }
    }
}

/// How a presence is written in its column.
pub fn presence_name(presence: Presence) -> &'static str {
    match presence {
        Presence::Offline => "offline",
        Presence::Coming => "coming",
        Presence::Online => "online",
        Presence::Leaving => "leaving",
    }
}

impl EntityState for State {
    type Head = Head;

    const COLUMNS: &'static [Column] =
        &[Column { name: STORE, kind: ColumnKind::Text }, Column { name: PRESENCE, kind: ColumnKind::Text }];

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn columns(&self) -> Vec<ColumnValue> {
        let store = self.head.store.as_ref();
        vec![
            store.map_or(ColumnValue::Null, |store| ColumnValue::Text(store.as_str().to_owned())),
            ColumnValue::Text(presence_name(self.head.presence).into()),
        ]
    }
}
