//! What happens to a roster.

use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A rider came to work.
    RiderJoined {
        /// Who.
        rider: Key,
        /// In which turn.
        turn: u64,
    },
    /// A rider stopped.
    RiderLeft {
        /// Who.
        rider: Key,
        /// In which turn.
        turn: u64,
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
        /// When the delivery is asked whether it needs them; nothing when it had waited and must be told
        /// at once.
        check_at: Option<Timestamp>,
    },
    /// The delivery is being asked whether it needs the rider who is kept for it.
    Checked {
        /// Who.
        rider: Key,
    },
    /// The delivery knows, and will let go of the rider by itself.
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
            Self::Checked { .. } => "delivery.roster.checked",
            Self::Told { .. } => "delivery.roster.told",
            Self::Freed { .. } => "delivery.roster.freed",
        }
    }
}
