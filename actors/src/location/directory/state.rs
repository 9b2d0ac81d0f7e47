//! What the directory remembers: each store and each rider as a part. Where they are and who has been silent
//! longest is derived, and rebuilt when it is loaded.

use std::collections::BTreeSet;

use nakku_cluster::{EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::index::{Riders, Zones};
use crate::location::command::View;
use crate::position::Position;

/// The directory's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Nothing but parts so far.
    pub head: Head,
    /// Every store that has told of itself.
    pub stores: Parts<Key, Noted>,
    /// Every rider with a position.
    pub riders: Parts<Key, Seen>,
    /// The zones of all stores by where they are.
    pub zones: Zones,
    /// All riders by where they are.
    pub places: Riders,
    /// All riders, who has been silent longest first.
    pub silence: BTreeSet<(Timestamp, Key)>,
}

/// What is small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {}

/// A store as it told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// How often it had changed.
    pub revision: u64,
    /// All of it.
    pub view: View,
}

/// Where a rider was last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How many positions of theirs had been kept.
    pub revision: u64,
    /// Where.
    pub position: Position,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::StoreNoted { store, revision, view } => {
                let noted = Noted { revision: *revision, view: (**view).clone() };
                // A zone is found by its name, so the old ones go before the new ones come.
                if let Some(before) = self.stores.insert(store.clone(), noted) {
                    self.zones.remove(store, &before.view);
                }
                self.zones.add(store, view);
            }
            Event::RiderNoted { rider, revision, position, at, forgotten } => {
                for silent in forgotten {
                    self.forget(silent);
                }
                self.forget(rider);
                self.places.add(rider, *position);
                self.silence.insert((*at, rider.clone()));
                self.riders.insert(rider.clone(), Seen { revision: *revision, position: *position, at: *at });
            }
            Event::RiderForgotten { rider } => self.forget(rider),
        }
    }

    fn forget(&mut self, rider: &Key) {
        if let Some(seen) = self.riders.remove(rider) {
            self.places.remove(rider, seen.position);
            self.silence.remove(&(seen.at, rider.clone()));
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
        vec![("store", &mut self.stores), ("rider", &mut self.riders)]
    }

    fn loaded(&mut self) {
        self.zones = Zones::of(self.stores.iter().map(|(store, noted)| (store, &noted.view)));
        self.places = Riders::of(self.riders.iter().map(|(rider, seen)| (rider, seen.position)));
        self.silence = self.riders.iter().map(|(rider, seen)| (seen.at, rider.clone())).collect();
    }
}
