//! What a delivery remembers: how far it is, and what of that others have yet to be told.

use nakku_cluster::{Column, ColumnKind, ColumnValue, EntityState, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{OFFER_MS, SEARCH_MS, Stage, View};
use super::event::Event;
use super::rider::command::JobStage;
use crate::order::DeliveryStep;

/// The column that holds the store.
pub const STORE: &str = "store";
/// The column that holds the [`Stage`], as [`stage_name`] writes it.
pub const STAGE: &str = "stage";
/// The column that holds whoever has it or has been offered it.
pub const RIDER: &str = "rider";

/// A delivery's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All of it.
    pub head: Head,
}

/// A delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The delivery's own key and store, once it has been created.
    pub place: Option<Place>,
    /// Where to.
    pub address: String,
    /// What the order costs.
    pub total_minor: i64,
    /// What the rider has to collect.
    pub cash_due_minor: i64,
    /// How far it is.
    pub stage: Stage,
    /// Who has it, or has been offered it.
    pub rider: Option<Key>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it was scheduled.
    pub scheduled_at: Timestamp,
    /// When it reached the stage.
    pub stage_at: Timestamp,
    /// The search that runs or has found the rider, from 1.
    pub attempt: u32,
    /// Whether the roster has queued that search.
    pub queued: bool,
    /// Who has been asked already.
    pub asked: Vec<Key>,
    /// Whether the roster has let go of it.
    pub roster_released: bool,
    /// The steps that the order is to know of, in order.
    pub steps: Vec<DeliveryStep>,
    /// How many of them it knows.
    pub steps_told: u32,
    /// What riders' lists are yet to be told, in order.
    pub notes: Vec<Note>,
    /// How many notes they have been told before these.
    pub notes_told: u32,
}

/// A delivery's own key and the store that hands it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The delivery's own key.
    pub delivery: Key,
    /// The store.
    pub store: Key,
}

/// Something that a rider's list is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whose list.
    pub rider: Key,
    /// The search that found this rider.
    pub attempt: u32,
    /// How far it is for them; nothing when it is no longer theirs.
    pub stage: Option<JobStage>,
    /// When an offer runs out.
    pub offer_until: Timestamp,
}

impl State {
    /// The delivery as others see it, once it has been created.
    pub fn view(&self) -> Option<View> {
        let head = &self.head;
        let place = head.place.as_ref()?;
        Some(View {
            store: place.store.clone(),
            address: head.address.clone(),
            total_minor: head.total_minor,
            cash_due_minor: head.cash_due_minor,
            stage: head.stage,
            rider: head.rider.clone(),
            reason: head.reason.clone(),
            scheduled_at: head.scheduled_at,
            stage_at: head.stage_at,
        })
    }

    /// When the search is given up.
    pub fn search_until(&self) -> Timestamp {
        Timestamp(self.head.scheduled_at.0.saturating_add(SEARCH_MS))
    }

    /// When the offer that stands runs out.
    pub fn offer_until(&self) -> Timestamp {
        Timestamp(self.head.stage_at.0.saturating_add(OFFER_MS))
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Scheduled { delivery, store, address, total_minor, cash_due_minor, at } => {
                head.place = Some(Place { delivery: delivery.clone(), store: store.clone() });
                head.address = address.clone();
                head.total_minor = *total_minor;
                head.cash_due_minor = *cash_due_minor;
                head.scheduled_at = *at;
                head.attempt = 1;
                self.reach(Stage::Searching, *at);
            }
            Event::Queued { .. } => head.queued = true,
            Event::Offered { rider, at, .. } => {
                head.rider = Some(rider.clone());
                self.reach(Stage::Offered, *at);
                self.note(Some(JobStage::Offered));
            }
            Event::OfferLapsed { rider, at, .. } => {
                self.note(None);
                self.reach(Stage::Searching, *at);
                let head = &mut self.head;
                head.rider = None;
                head.attempt += 1;
                head.queued = false;
                if !head.asked.contains(rider) {
                    head.asked.push(rider.clone());
                }
            }
            Event::Assigned { at, .. } => {
                self.reach(Stage::Assigned, *at);
                self.note(Some(JobStage::Assigned));
                self.head.steps.push(DeliveryStep::Assigned);
            }
            Event::Started { at, .. } => {
                self.reach(Stage::PickedUp, *at);
                self.note(Some(JobStage::PickedUp));
                self.head.steps.push(DeliveryStep::PickedUp);
            }
            Event::Completed { at, .. } => {
                self.reach(Stage::Delivered, *at);
                self.note(None);
                self.head.steps.push(DeliveryStep::Delivered);
            }
            Event::Failed { reason, at, .. } => {
                head.reason = Some(reason.clone());
                self.reach(Stage::Failed, *at);
                self.note(None);
                self.head.steps.push(DeliveryStep::Failed);
            }
            Event::Cancelled { at, .. } => {
                self.reach(Stage::Cancelled, *at);
                self.note(None);
            }
            Event::RosterReleased {} => head.roster_released = true,
            Event::OrderTold { steps } => head.steps_told = *steps,
            Event::RiderTold { notes } => {
                let told = notes.saturating_sub(head.notes_told) as usize;
                head.notes.drain(..told.min(head.notes.len()));
                head.notes_told = *notes;
            }
        }
    }

    fn reach(&mut self, stage: Stage, at: Timestamp) {
        self.head.stage = stage;
        self.head.stage_at = at;
    }

    /// Notes for the list of the rider at hand, if there is one.
    fn note(&mut self, stage: Option<JobStage>) {
        let offer_until = self.offer_until();
        let head = &mut self.head;
        if let Some(rider) = head.rider.clone() {
            head.notes.push(Note { rider, attempt: head.attempt, stage, offer_until });
        }
    }
}

/// How a stage is written in its column.
pub fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Searching => "searching",
        Stage::Offered => "offered",
        Stage::Assigned => "assigned",
        Stage::PickedUp => "picked_up",
        Stage::Delivered => "delivered",
        Stage::Failed => "failed",
        Stage::Cancelled => "cancelled",
    }
}

impl EntityState for State {
    type Head = Head;

    const COLUMNS: &'static [Column] = &[
        Column { name: STORE, kind: ColumnKind::Text },
        Column { name: STAGE, kind: ColumnKind::Text },
        Column { name: RIDER, kind: ColumnKind::Text },
    ];

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn columns(&self) -> Vec<ColumnValue> {
        let text = |key: Option<&Key>| key.map_or(ColumnValue::Null, |key| ColumnValue::Text(key.as_str().to_owned()));
        vec![
            text(self.head.place.as_ref().map(|place| &place.store)),
            ColumnValue::Text(stage_name(self.head.stage).into()),
            text(self.head.rider.as_ref()),
        ]
    }
}
