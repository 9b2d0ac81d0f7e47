//! What is remembered of a rider's whereabouts: the last one.

use nakku_cluster::{EntityState, Key};
use serde::{Deserialize, Serialize};

use super::command::Fix;
use super::event::Event;

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
    /// Where they were last.
    pub last: Option<Fix>,
    /// How many positions have been kept; tells the news to the directory apart.
    pub revision: u64,
    /// Which of these the directory knows.
    pub told: u64,
    /// Whether the rider was erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Moved { rider, fix } => {
                head.rider = Some(rider.clone());
                head.last = Some(*fix);
                head.revision += 1;
            }
            Event::Forgotten { .. } => {
                head.last = None;
                head.revision += 1;
                head.gone = true;
            }
            Event::Told { revision } => head.told = *revision,
        }
    }
}

impl EntityState for State {
    type Head = Head;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
}
