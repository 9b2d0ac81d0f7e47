//! What happened to a store's stock.

use nakku_cluster::{Event as ClusterEvent, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{Line, LowStockLine, low_stock_at};

/// An event of a store's stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Goods came in.
    Supplied {
        /// Names the delivery of goods.
        receipt: String,
        /// Tells its repetition from a misuse of its name.
        fingerprint: String,
        /// What came.
        lines: Vec<Line>,
    },
    /// Goods were written off.
    Adjusted {
        /// Names the write-off.
        adjustment: String,
        /// Tells its repetition from a misuse of its name.
        fingerprint: String,
        /// What is gone.
        lines: Vec<Line>,
        /// Why.
        reason: String,
    },
    /// An order holds goods.
    Reserved {
        /// Which order.
        order: Key,
        /// What it holds.
        lines: Vec<Line>,
        /// When to ask it.
        due_at: Timestamp,
        /// When it was decided; tombstones that expired before are dropped with it.
        at: Timestamp,
    },
    /// What an order held is sold.
    Committed {
        /// Which order.
        order: Key,
        /// What it held.
        lines: Vec<Line>,
    },
    /// What an order held is available again.
    Released {
        /// Which order.
        order: Key,
        /// What it held; nothing when the release came before the reservation.
        lines: Vec<Line>,
        /// How long a late reservation is refused.
        until: Timestamp,
    },
    /// What an order had bought is back on the shelf.
    Returned {
        /// Which order.
        order: Key,
        /// What it had bought.
        lines: Vec<Line>,
        /// Whether they had yet to be sold: the order was cancelled at once.
        #[serde(default)]
        held: bool,
        /// How long a repetition is known.
        until: Timestamp,
    },
    /// Reservations fell due: their orders are to be asked. Tombstones that have served are gone.
    FellDue {
        /// To be asked.
        orders: Vec<Key>,
        /// Forgotten.
        forgotten: Vec<Key>,
    },
    /// An order wants more time.
    Postponed {
        /// Which order.
        order: Key,
        /// When to ask again.
        due_at: Timestamp,
    },
    /// Few are left.
    LowStock {
        /// Of what.
        sku: String,
        /// How many.
        available: u64,
        /// At how many it counts as low.
        #[serde(default = "low_stock_at")]
        threshold: u64,
    },
    /// It was set at how many units left SKUs count as low.
    LowStockSet {
        /// Those that changed.
        lines: Vec<LowStockLine>,
    },
    /// None is left.
    OutOfStock {
        /// Of what.
        sku: String,
    },
    /// There are some again.
    BackInStock {
        /// Of what.
        sku: String,
        /// How many.
        available: u64,
    },
}

impl ClusterEvent for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Supplied { .. } | Self::Adjusted { .. } | Self::Returned { .. } => "inventory.updated",
            Self::Reserved { .. } => "inventory.reserved",
            Self::Committed { .. } => "inventory.committed",
            Self::Released { .. } => "inventory.released",
            Self::FellDue { .. } => "inventory.fell_due",
            Self::Postponed { .. } => "inventory.postponed",
            Self::LowStock { .. } => "inventory.low_stock",
            Self::LowStockSet { .. } => "inventory.low_stock_set",
            Self::OutOfStock { .. } => "inventory.out_of_stock",
            Self::BackInStock { .. } => "inventory.back_in_stock",
        }
    }
}
