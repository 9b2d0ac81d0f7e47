//! What happened to a cart.

use nakku_cluster::{Event as ClusterEvent, Key};
use serde::{Deserialize, Serialize};

use super::command::Line;

/// An event of a cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A line is as given.
    LineSet {
        /// Whose goods.
        store: Key,
        /// The line.
        line: Line,
    },
    /// A line is gone.
    LineRemoved {
        /// Which.
        sku: String,
        /// Whose goods.
        #[serde(default)]
        store: Option<Key>,
    },
    /// The user emptied it.
    Emptied,
    /// It is held for an order.
    Sealed {
        /// Which order.
        order: Key,
    },
    /// An order has let go of it, or of its wish for it; from then on it has a new version.
    Unsealed {
        /// Which order has let it go.
        order: Key,
        /// The new version.
        version: u64,
    },
    /// It became an order and is empty.
    Cleared {
        /// Which order.
        order: Key,
    },
    /// Its user was erased.
    Closed,
}

impl ClusterEvent for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::LineSet { .. } | Self::LineRemoved { .. } => "cart.updated",
            Self::Emptied | Self::Cleared { .. } => "cart.cleared",
            Self::Sealed { .. } => "cart.sealed",
            Self::Unsealed { .. } => "cart.unsealed",
            Self::Closed => "cart.closed",
        }
    }
}
