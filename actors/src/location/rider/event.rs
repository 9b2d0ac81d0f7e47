//! What happens to a rider's whereabouts.

use nakku_cluster::{Event as EventOfEntity, Key};
use serde::{Deserialize, Serialize};

use super::command::Fix;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The rider is somewhere else, or still there.
    Moved {
        /// The rider's own key.
        rider: Key,
        /// Where and when.
        fix: Fix,
    },
    /// The rider was erased.
    Forgotten {
        /// The rider's own key.
        rider: Key,
    },
    /// The directory knows.
    Told {
        /// What it has noted.
        revision: u64,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Moved { .. } => "location.rider.moved",
            Self::Forgotten { .. } => "location.rider.forgotten",
            Self::Told { .. } => "location.rider.told",
        }
    }
}
