//! The protocol of a roster.

use nakku_cluster::Key;
use serde::{Deserialize, Serialize};

/// What a roster can be asked to do. Its key is the store's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// From a rider who comes to work. Repeated, it changes nothing.
    RiderOnline {
        /// Who.
        rider: Key,
    },
    /// From a rider who stops. Refused while a delivery is theirs.
    RiderOffline {
        /// Who.
        rider: Key,
    },
    /// From a delivery: needs a rider. Repeated, it is answered alike.
    RequestRider {
        /// The delivery.
        delivery: Key,
        /// Its search, from 1; a later one ends the earlier one and frees its rider.
        attempt: u32,
        /// Riders who have been asked already: they come last.
        avoid: Vec<Key>,
        /// A rider who turned out not to be at work here, to be taken off the roster.
        away: Option<Key>,
    },
    /// From a delivery: needs nobody any more. Repeated, it changes nothing.
    Release {
        /// The delivery.
        delivery: Key,
    },
    /// From a delivery's answer to a rider found later.
    FoundTold {
        /// The delivery.
        delivery: Key,
        /// For which search.
        attempt: u32,
        /// False when it no longer needs one.
        needed: bool,
    },
    /// Reads it.
    Get,
}

/// The most riders of one store.
pub const RIDERS_MAX: usize = 500;
/// The most deliveries that wait at one store.
pub const QUEUE_MAX: usize = 20_000;
/// The most riders that one search can avoid.
pub const AVOID_MAX: usize = super::super::command::OFFERS_MAX as usize;

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
