//! What happens to a rider at work.

use nakku_cluster::{Event as EventOfEntity, Key};
use serde::{Deserialize, Serialize};

use super::command::Job;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Comes to work.
    Coming {
        /// The rider's own key.
        rider: Key,
        /// Where.
        store: Key,
    },
    /// Is at work.
    Online {
        /// Where.
        store: Key,
    },
    /// Stops.
    Leaving {
        /// Where.
        store: Key,
    },
    /// Is not at work.
    Offline {
        /// Where they were.
        store: Key,
    },
    /// A delivery is on the list, or went on.
    JobShown {
        /// Which.
        job: Job,
    },
    /// A delivery is off the list, or never will be on it.
    JobCleared {
        /// Which.
        delivery: Key,
        /// In which of its searches.
        attempt: u32,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Coming { .. } => "delivery.rider.coming",
            Self::Online { .. } => "delivery.rider.online",
            Self::Leaving { .. } => "delivery.rider.leaving",
            Self::Offline { .. } => "delivery.rider.offline",
            Self::JobShown { .. } => "delivery.rider.job.shown",
            Self::JobCleared { .. } => "delivery.rider.job.cleared",
        }
    }
}
