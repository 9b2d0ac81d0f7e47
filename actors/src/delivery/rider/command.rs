//! The protocol of a rider at work.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// What a rider's work list can be asked to do. Its key is the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Comes to work at a store. Repeated, it changes nothing.
    GoOnline {
        /// Where.
        store: Key,
    },
    /// Stops. Refused with a delivery on the list: an offer has to be declined first or runs out.
    GoOffline,
    /// Reads the work list.
    Get,
    /// From a delivery: it is offered to this rider, or has gone on to another stage with them.
    Show {
        /// The delivery.
        job: Job,
    },
    /// From a delivery: it is no longer this rider's.
    Clear {
        /// Which.
        delivery: Key,
        /// In which of its searches it was.
        attempt: u32,
    },
    /// From the roster's answer to coming or stopping.
    RosterAnswered {
        /// How often this rider had changed between at work and not.
        turn: u64,
        /// Whether the roster has done it.
        done: bool,
    },
}

/// How many deliveries that are off the list are remembered, so that late news of them is ignored.
pub const CLEARED_MAX: usize = 16;

/// A delivery on a rider's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The delivery; its key is the order's.
    pub delivery: Key,
    /// Which of its searches found this rider.
    pub attempt: u32,
    /// The store that hands it out.
    pub store: Key,
    /// Where to.
    pub address: String,
    /// What the order costs.
    pub total_minor: i64,
    /// What is to be collected.
    pub cash_due_minor: i64,
    /// How far it is.
    pub stage: JobStage,
    /// When an offer runs out.
    pub offer_until: Timestamp,
}

/// How far a delivery is for its rider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// To be accepted or declined.
    Offered,
    /// To be picked up.
    Assigned,
    /// To be handed over.
    PickedUp,
}

/// What a rider's work list answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The rider as they are now.
    Rider(View),
    /// To `Show` and `Clear`: noted.
    Noted,
    /// To `Show`: the rider is not at work there, or has another delivery.
    Away,
}

/// A rider as others see them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Whether they are at work.
    pub presence: Presence,
    /// Where.
    pub store: Option<Key>,
    /// The offer or the delivery in hand.
    pub job: Option<Job>,
    /// How many have been handed over or given back.
    pub jobs_ended: u64,
}

/// Whether a rider is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Not at work.
    #[default]
    Offline,
    /// Coming: the roster is being told.
    Coming,
    /// At work.
    Online,
    /// Stopping: the roster is being told.
    Leaving,
}

/// Why a rider's work list refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// At work at another store, or on the way in or out.
    #[error("the rider is {presence:?} at {store}; go offline first")]
    Elsewhere {
        /// Where.
        store: Key,
        /// How.
        presence: Presence,
    },
    /// A delivery is in hand.
    #[error("{delivery} is in hand")]
    JobInHand {
        /// Which.
        delivery: Key,
    },
}
