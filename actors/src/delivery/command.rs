//! The protocol of a delivery.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// What a delivery can be asked to do. Its key is the order's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// From the order: something has to be brought. Repeated, it changes nothing.
    Create {
        /// The store that hands it out.
        store: Key,
        /// Where to, in one line.
        address: String,
        /// What the order costs.
        total_minor: i64,
        /// What the rider has to collect; 0 when it is paid for.
        cash_due_minor: i64,
    },
    /// Reads it.
    Get,
    /// From a rider: takes the offer.
    Accept {
        /// Who.
        rider: Key,
    },
    /// From a rider: leaves the offer to another.
    Decline {
        /// Who.
        rider: Key,
    },
    /// From a rider: has it and is on the way.
    PickUp {
        /// Who.
        rider: Key,
    },
    /// From a rider: handed it over.
    Deliver {
        /// Who.
        rider: Key,
        /// What was collected; must be what was due.
        #[serde(default)]
        cash_collected_minor: i64,
    },
    /// From a rider: it can't be brought.
    Fail {
        /// Who.
        rider: Key,
        /// Why, in a few words.
        reason: String,
    },
    /// From the order: it is no longer wanted. Possible until it has been picked up; one that is not there
    /// yet never will be.
    Cancel,
    /// From the roster: this rider is free for it.
    RiderFound {
        /// Who.
        rider: Key,
        /// For which search.
        attempt: u32,
    },
    /// From the roster's answer: there is nobody free yet; the search is queued.
    SearchQueued {
        /// Which search.
        attempt: u32,
    },
    /// From the roster's answer: its queue is full. Changes nothing, so that the search is repeated.
    SearchRefused {
        /// Which search.
        attempt: u32,
    },
    /// From the roster's answer: it has let go of the rider.
    RosterReleased,
    /// From the order's answer: it knows of so many steps.
    OrderTold {
        /// How many of the steps, from the first.
        steps: u32,
    },
    /// From a rider's work list: it shows the newest of what it was told.
    RiderTold {
        /// How many of the notes, from the first.
        notes: u32,
        /// Set when the rider turns out not to be there for this search.
        #[serde(default)]
        away_from_attempt: Option<u32>,
    },
    /// Given by the timer: an offer or the search has taken too long.
    Due,
}

/// The longest address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 1000;
/// The longest reason, in bytes; more is cut off.
pub const REASON_BYTES_MAX: usize = 200;
/// How long a rider has to accept.
pub const OFFER_MS: i64 = 30_000;
/// How long a rider is looked for in all.
pub const SEARCH_MS: i64 = 30 * 60_000;
/// How many offers are made at most.
pub const OFFERS_MAX: u32 = 20;

/// What a delivery answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The delivery as it is now.
    Delivery(View),
    /// To the roster: this search no longer needs a rider.
    NotNeeded,
    /// To `Cancel`: it won't be brought.
    Cancelled,
}

/// A delivery as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The store that hands it out.
    pub store: Key,
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
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A rider is being looked for.
    #[default]
    Searching,
    /// A rider has been asked.
    Offered,
    /// A rider has accepted.
    Assigned,
    /// A rider is on the way.
    PickedUp,
    /// Done.
    Delivered,
    /// It could not be brought.
    Failed,
    /// It was no longer wanted.
    Cancelled,
}

impl Stage {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Cancelled)
    }
}

/// Why a delivery refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// There is no such delivery.
    #[error("there is no delivery for this order")]
    NotFound,
    /// It is another rider's, or the offer has gone to another.
    #[error("the delivery is not this rider's")]
    NotYours,
    /// It was cancelled before it was made.
    #[error("the delivery was cancelled")]
    Cancelled,
    /// It can't do that at this stage.
    #[error("not possible while the delivery is {stage:?}")]
    WrongStage {
        /// How far it is.
        stage: Stage,
    },
    /// The cash collected is not what was due.
    #[error("{due_minor} was to be collected")]
    CashDiffers {
        /// What was due.
        due_minor: i64,
    },
    /// Other details than before, or out of bounds.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `address`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
