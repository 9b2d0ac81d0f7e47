//! What happens to a delivery.

use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It has to be brought; the search for a rider begins.
    Scheduled {
        /// The delivery's own key.
        delivery: Key,
        /// The store that hands it out.
        store: Key,
        /// Where to, in one line.
        address: String,
        /// What the order costs.
        total_minor: i64,
        /// What the rider has to collect.
        cash_due_minor: i64,
        /// When.
        at: Timestamp,
    },
    /// The roster has queued the search.
    Queued {
        /// Which search.
        attempt: u32,
    },
    /// A rider was asked.
    Offered {
        /// Who.
        rider: Key,
        /// In which search.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// The offer was declined, ran out, or met a rider who is not there; the next search begins.
    OfferLapsed {
        /// Whose offer.
        rider: Key,
        /// Why.
        lapse: Lapse,
        /// When.
        at: Timestamp,
    },
    /// The rider accepted.
    Assigned {
        /// Who.
        rider: Key,
        /// The store that hands it out.
        #[serde(default)]
        store: Option<Key>,
        /// When.
        at: Timestamp,
    },
    /// The rider is on the way.
    Started {
        /// Who.
        rider: Key,
        /// The store that hands it out.
        #[serde(default)]
        store: Option<Key>,
        /// When.
        at: Timestamp,
    },
    /// It was handed over.
    Completed {
        /// By whom.
        rider: Key,
        /// The store that hands it out.
        #[serde(default)]
        store: Option<Key>,
        /// What was collected.
        cash_collected_minor: i64,
        /// When.
        at: Timestamp,
    },
    /// It could not be brought.
    Failed {
        /// Who had it, or had been offered it.
        rider: Option<Key>,
        /// The store that hands it out.
        #[serde(default)]
        store: Option<Key>,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// It is no longer wanted.
    Cancelled {
        /// Who had it, or had been offered it.
        rider: Option<Key>,
        /// When.
        at: Timestamp,
    },
    /// The roster has let go of it.
    RosterReleased {},
    /// The order knows of so many steps.
    OrderTold {
        /// How many.
        steps: u32,
    },
    /// Riders' work lists know of so many notes.
    RiderTold {
        /// How many.
        notes: u32,
    },
}

/// Why an offer lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapse {
    /// The rider said no.
    Declined,
    /// The rider said nothing.
    TimedOut,
    /// The rider is not at work, or has another delivery.
    Away,
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "delivery.scheduled",
            Self::Queued { .. } => "delivery.queued",
            Self::Offered { .. } => "delivery.offered",
            Self::OfferLapsed { .. } => "delivery.offer.lapsed",
            Self::Assigned { .. } => "delivery.assigned",
            Self::Started { .. } => "delivery.started",
            Self::Completed { .. } => "delivery.completed",
            Self::Failed { .. } => "delivery.failed",
            Self::Cancelled { .. } => "delivery.cancelled",
            Self::RosterReleased {} => "delivery.roster.released",
            Self::OrderTold { .. } => "delivery.order.told",
            Self::RiderTold { .. } => "delivery.rider.told",
        }
    }
}
