//! What happens to a roster.

use nakku_cluster::{Event as EventOfEntity, Key};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A rider came to work.
    RiderJoined {
        /// Who.
        rider: Key,
    },
    /// A rider stopped.
    RiderLeft {
        /// Who.
        rider: Key,
    },
    /// A delivery waits for a rider.
    Queued {
        /// Which.
        delivery: Key,
        /// Its search.
        attempt: u32,
        /// Riders who come last.
        avoid: Vec<Key>,
    },
    /// A waiting delivery needs nobody any more.
    Unqueued {
        /// Which.
        delivery: Key,
    },
    /// A rider is kept for a delivery.
    Reserved {
        /// Who.
        rider: Key,
        /// For which.
        delivery: Key,
        /// Its search.
        attempt: u32,
        /// Whether the delivery had waited and must be told.
        tell: bool,
    },
    /// The delivery knows.
    Told {
        /// Who is kept for it.
        rider: Key,
    },
    /// A rider is free again.
    Freed {
        /// Who.
        rider: Key,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::RiderJoined { .. } => "delivery.roster.rider.joined",
            Self::RiderLeft { .. } => "delivery.roster.rider.left",
            Self::Queued { .. } => "delivery.roster.queued",
            Self::Unqueued { .. } => "delivery.roster.unqueued",
            Self::Reserved { .. } => "delivery.roster.reserved",
            Self::Told { .. } => "delivery.roster.told",
            Self::Freed { .. } => "delivery.roster.freed",
        }
    }
}
