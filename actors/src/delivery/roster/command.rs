//! The protocol of a roster.

use nakku_cluster::Key;
use serde::{Deserialize, Serialize};

/// What a roster can be asked to do. Its key is the store's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// From a rider who comes to work. Repeated, or after a later turn, it changes nothing.
    RiderOnline {
        /// Who.
        rider: Key,
        /// How often this rider has changed between at work and not.
        turn: u64,
    },
    /// From a rider who stops. Refused while a delivery is theirs; after a later turn it changes nothing.
    RiderOffline {
        /// Who.
        rider: Key,
        /// How often this rider has changed between at work and not.
        turn: u64,
    },
    /// From a delivery: needs a rider. Repeated, it is answered alike.
    RequestRider {
        /// The delivery.
        delivery: Key,
        /// Its search, from 1; a later one ends the earlier one and frees its rider.
        attempt: u32,
        /// Riders who have been asked already: they are only asked again when there are no others.
        avoid: Vec<Key>,
    },
    /// From a delivery: needs nobody any more. Repeated, it changes nothing.
    Release {
        /// The delivery.
        delivery: Key,
    },
    /// From a delivery's answer to a rider found.
    FoundTold {
        /// The delivery.
        delivery: Key,
        /// For which search.
        attempt: u32,
        /// False when it no longer needs one.
        needed: bool,
    },
    /// Given by the timer: a delivery should have been heard of by now, and is asked.
    CheckDue,
    /// Reads it.
    Get,
}

/// The most riders of one store.
pub const RIDERS_MAX: usize = 500;
/// The most riders who have left that are remembered, so that late news of their coming is ignored.
pub const LEFT_MAX: usize = 5_000;
/// The most deliveries that wait at one store.
pub const QUEUE_MAX: usize = 100_000;
/// The most riders that one search can avoid.
pub const AVOID_MAX: usize = 20;
/// How long after a rider was found for a delivery it is asked whether it still needs them, unless it has let
/// go by then. Heals what is left when a request arrives that nobody waits for any more.
pub const CHECK_MS: i64 = 60_000;

/// What a roster answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done, now or before.
    Done,
    /// To `RequestRider`: this one is kept for it.
    Found {
        /// Who.
        rider: Key,
    },
    /// To `RequestRider`: nobody is free; a `RiderFound` follows.
    Queued,
    /// To `Get`.
    Roster {
        /// Every rider and the delivery that they are kept for.
        riders: Vec<(Key, Option<Key>)>,
        /// How many deliveries wait.
        waiting: u32,
    },
}

/// Why a roster refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// The rider is kept for a delivery.
    #[error("the rider is kept for {delivery}")]
    Occupied {
        /// Which.
        delivery: Key,
    },
    /// The roster has its most riders, or its most waiting deliveries.
    #[error("the roster holds at most {limit} {what}")]
    Full {
        /// Of what.
        what: String,
        /// How many there may be.
        limit: u32,
    },
    /// A later search has come in already, or a list is too long.
    #[error("the search is out of date")]
    Outdated,
}
