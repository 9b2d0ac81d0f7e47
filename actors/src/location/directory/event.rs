//! What happens to the directory.

use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

use crate::location::command::View;
use crate::position::Position;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A store was noted as it is.
    StoreNoted {
        /// Which.
        store: Key,
        /// How often it had changed.
        revision: u64,
        /// All of it.
        view: Box<View>,
    },
    /// A rider's position was noted.
    RiderNoted {
        /// Who.
        rider: Key,
        /// How many positions of theirs had been kept.
        revision: u64,
        /// Where.
        position: Position,
        /// When.
        at: Timestamp,
        /// Riders who have been silent for long, and are forgotten.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forgotten: Vec<Key>,
    },
    /// A rider was erased.
    RiderForgotten {
        /// Who.
        rider: Key,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::StoreNoted { .. } => "location.directory.store",
            Self::RiderForgotten { .. } => "location.directory.rider_forgotten",
            Self::RiderNoted { .. } => "location.directory.rider",
        }
    }
}
