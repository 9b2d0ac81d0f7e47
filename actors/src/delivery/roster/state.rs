//! What a roster remembers: riders with what they are kept for, and the deliveries that wait. The orders in
//! which both are served are derived from tickets and rebuilt when it is loaded.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::{EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::LEFT_MAX;
use super::event::Event;

/// A roster's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What is small.
    pub head: Head,
    /// Everyone at work.
    pub riders: Parts<Key, Slot>,
    /// The deliveries that wait.
    pub queue: Parts<Key, Waiting>,
    /// Who has left, and in which turn.
    pub left: Parts<Key, u64>,
    /// Riders who are free, longest first.
    pub idle: BTreeMap<u64, Key>,
    /// Deliveries that wait, in the order in which they are served.
    pub order: BTreeMap<Turn, Key>,
    /// Who is kept for a delivery.
    pub kept_for: BTreeMap<Key, Key>,
    /// Riders whose deliveries are being asked or told.
    pub open: BTreeSet<Key>,
    /// Riders whose deliveries have not been heard of, by when they are asked.
    pub checks: BTreeSet<(Timestamp, Key)>,
}

/// The small part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Drawn by whoever becomes idle, waits or is kept; never goes back.
    pub next_ticket: u64,
}

/// A rider at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// How often the rider had changed between at work and not when they came.
    pub turn: u64,
    /// Drawn when they became idle, or were kept.
    pub ticket: u64,
    /// What they are kept for.
    pub kept: Option<Kept>,
}

/// What a rider is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The delivery.
    pub delivery: Key,
    /// Its search.
    pub attempt: u32,
    /// Whether the delivery has been heard of.
    pub heard: Heard,
}

/// Whether a delivery has been heard of since a rider was kept for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "heard", rename_all = "snake_case")]
pub enum Heard {
    /// Not yet; it is asked then.
    Awaited {
        /// When.
        check_at: Timestamp,
    },
    /// It is being asked.
    Asked,
    /// It knows.
    Yes,
}

/// A delivery that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Drawn when it began to.
    pub ticket: u64,
    /// Its search.
    pub attempt: u32,
    /// Who has been asked already.
    pub avoid: Vec<Key>,
}

/// When a waiting delivery is served: those that had a rider before come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    first_search: bool,
    ticket: u64,
}

impl Waiting {
    /// When it is served.
    pub fn turn(&self) -> Turn {
        Turn { first_search: self.attempt <= 1, ticket: self.ticket }
    }
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::RiderJoined { rider, turn } => {
                self.left.remove(rider);
                self.fill(rider, *turn, None);
            }
            Event::RiderLeft { rider, turn } => {
                self.forget(rider);
                self.riders.remove(rider);
                self.left.insert(rider.clone(), *turn);
                let surplus = self.left.keys().find(|left| *left != rider).cloned();
                if let Some(surplus) = surplus.filter(|_| self.left.len() > LEFT_MAX) {
                    self.left.remove(&surplus);
                }
            }
            Event::Queued { delivery, attempt, avoid } => {
                let waiting = Waiting { ticket: self.draw(), attempt: *attempt, avoid: avoid.clone() };
                self.order.insert(waiting.turn(), delivery.clone());
                self.queue.insert(delivery.clone(), waiting);
            }
            Event::Unqueued { delivery } => self.unqueue(delivery),
            Event::Reserved { rider, delivery, attempt, check_at } => {
                self.unqueue(delivery);
                let heard = check_at.map_or(Heard::Asked, |check_at| Heard::Awaited { check_at });
                let kept = Kept { delivery: delivery.clone(), attempt: *attempt, heard };
                self.fill(rider, self.turn(rider), Some(kept));
            }
            Event::Freed { rider } => self.fill(rider, self.turn(rider), None),
            Event::Checked { rider } => self.hear(rider, Heard::Asked),
            Event::Told { rider } => self.hear(rider, Heard::Yes),
        }
    }

    fn turn(&self, rider: &Key) -> u64 {
        self.riders.get(rider).map_or(0, |slot| slot.turn)
    }

    /// Gives a rider a new slot.
    fn fill(&mut self, rider: &Key, turn: u64, kept: Option<Kept>) {
        self.forget(rider);
        let slot = Slot { turn, ticket: self.draw(), kept };
        self.index(rider, &slot);
        self.riders.insert(rider.clone(), slot);
    }

    fn draw(&mut self) -> u64 {
        self.head.next_ticket += 1;
        self.head.next_ticket
    }

    fn hear(&mut self, rider: &Key, heard: Heard) {
        self.forget(rider);
        if let Some(slot) = self.riders.get_mut(rider) {
            if let Some(kept) = &mut slot.kept {
                kept.heard = heard;
            }
            let slot = slot.clone();
            self.index(rider, &slot);
        }
    }

    fn unqueue(&mut self, delivery: &Key) {
        if let Some(waiting) = self.queue.remove(delivery) {
            self.order.remove(&waiting.turn());
        }
    }

    /// Takes a rider out of everything that is derived.
    fn forget(&mut self, rider: &Key) {
        let Some(slot) = self.riders.get(rider) else { return };
        self.open.remove(rider);
        match &slot.kept {
            None => {
                self.idle.remove(&slot.ticket);
            }
            Some(kept) => {
                self.kept_for.remove(&kept.delivery);
                if let Heard::Awaited { check_at } = kept.heard {
                    self.checks.remove(&(check_at, rider.clone()));
                }
            }
        }
    }

    /// Puts a rider into everything that is derived.
    fn index(&mut self, rider: &Key, slot: &Slot) {
        match &slot.kept {
            None => {
                self.idle.insert(slot.ticket, rider.clone());
            }
            Some(kept) => {
                self.kept_for.insert(kept.delivery.clone(), rider.clone());
                match kept.heard {
                    Heard::Awaited { check_at } => {
                        self.checks.insert((check_at, rider.clone()));
                    }
                    Heard::Asked => {
                        self.open.insert(rider.clone());
                    }
                    Heard::Yes => {}
                }
            }
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

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("rider", &mut self.riders), ("waiting", &mut self.queue), ("left", &mut self.left)]
    }

    fn loaded(&mut self) {
        self.order = self.queue.iter().map(|(delivery, waiting)| (waiting.turn(), delivery.clone())).collect();
        let slots: Vec<_> = self.riders.iter().map(|(rider, slot)| (rider.clone(), slot.clone())).collect();
        for (rider, slot) in slots {
            self.index(&rider, &slot);
        }
    }
}
