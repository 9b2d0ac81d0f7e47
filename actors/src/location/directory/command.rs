//! The protocol of the directory.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

use crate::location::command::{Terms, View};
use crate::position::Position;

/// The most stores.
pub const STORES_MAX: usize = 5_000;
/// The most riders; a further one displaces who has been silent longest.
pub const RIDERS_MAX: usize = 20_000;
/// How long after a rider's last position they count as being there, in milliseconds.
pub const FRESH_MS: i64 = 120_000;
/// How long after a rider's last position it is forgotten, once others come in, in milliseconds.
pub const FORGOTTEN_MS: i64 = 3_600_000;
/// The most stores of one read.
pub const STORES_READ_MAX: usize = 500;
/// The most riders that a search chooses among, when it names them.
pub const AMONG_MAX: usize = 500;
/// The most riders that a search finds.
pub const NEAREST_MAX: u32 = 100;
/// The farthest that a search reaches, in metres.
pub const WITHIN_M_MAX: u32 = 50_000;

/// What the directory can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// From a store: what has become of it. Repeated, or after a later revision, it changes nothing.
    StoreIs {
        /// Which.
        store: Key,
        /// How often it had changed.
        revision: u64,
        /// All of it.
        view: Box<View>,
    },
    /// From a rider: where they are. Repeated, or after a later revision, it changes nothing.
    RiderAt {
        /// Who.
        rider: Key,
        /// How many positions of theirs had been kept.
        revision: u64,
        /// Where.
        position: Position,
        /// When.
        at: Timestamp,
    },
    /// From a rider who was erased. Repeated, or after a later revision, it changes nothing.
    RiderGone {
        /// Who.
        rider: Key,
        /// How often they had changed.
        revision: u64,
    },
    /// Who serves an address, and on what terms.
    Serviceability {
        /// Where it is.
        position: Position,
        /// Only this one.
        #[serde(default)]
        store: Option<Key>,
    },
    /// Whether a store takes orders for an address of which no position is known.
    Standing {
        /// Which.
        store: Key,
    },
    /// What stores are called, where they are and whether they take orders. Unknown ones are left out.
    Stores {
        /// Which, at most [`STORES_READ_MAX`].
        stores: Vec<Key>,
    },
    /// The riders nearest to a place of whom a position is known that is not too old.
    Nearest {
        /// Where.
        position: Position,
        /// No farther than this, up to [`WITHIN_M_MAX`].
        within_m: u32,
        /// At most so many, 1 to [`NEAREST_MAX`].
        limit: u32,
        /// Only these, at most [`AMONG_MAX`].
        #[serde(default)]
        among: Option<Vec<Key>>,
    },
}

/// What the directory answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To stores and riders: noted, now or before.
    Noted,
    /// Who serves an address, or why nobody does.
    Serviceability(Serviceability),
    /// Stores, in the order in which they were named.
    Stores {
        /// One for each that is known.
        stores: Vec<Listed>,
    },
    /// Riders, the nearest first.
    Riders {
        /// Who.
        riders: Vec<Near>,
    },
}

/// Who serves an address, or why nobody does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Serviceability {
    /// This store does.
    Served {
        /// Which.
        store: Key,
        /// What it is called.
        name: String,
        /// By which of its zones; nothing when the address has no position.
        zone: Option<String>,
        /// On what terms.
        terms: Terms,
        /// Until then; nothing when it does not close within a week.
        closes_at: Option<Timestamp>,
    },
    /// This store would, but it is closed.
    Closed {
        /// Which.
        store: Key,
        /// What it is called.
        name: String,
        /// Until then; nothing when it never opens.
        opens_at: Option<Timestamp>,
    },
    /// This store would, but it takes no orders for a while.
    Paused {
        /// Which.
        store: Key,
        /// What it is called.
        name: String,
        /// Why.
        reason: String,
        /// Until then; nothing when that is not known.
        until: Option<Timestamp>,
    },
    /// The address lies outside every zone, or outside those of the store that was asked for.
    Outside {
        /// Another store that would serve it now.
        other: Option<Key>,
    },
    /// The directory knows nothing of the store that was asked for.
    Undescribed,
}

/// A store in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Which.
    pub store: Key,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub position: Position,
    /// Whether it takes orders.
    pub open: bool,
    /// When it closes, if it is open, or opens, if it is closed and that is known.
    pub until: Option<Timestamp>,
}

/// A rider who is near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// Who.
    pub rider: Key,
    /// Where.
    pub position: Position,
    /// When they were there.
    pub at: Timestamp,
    /// How far it is.
    pub distance_m: u32,
}

/// Why the directory refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// It has its most stores.
    #[error("the directory holds at most {limit} stores")]
    Full {
        /// How many there may be.
        limit: u32,
    },
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `position`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
