//! What an event of another service says to analytics.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// An event was consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// Its name, such as `order.confirmed`.
    pub event_type: String,
    /// What else it says than that it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Fact>,
}

/// What else an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// Somebody registered.
    Registered,
    /// Something was put into a cart.
    CartTouched {
        /// Whose.
        user: Key,
        /// Of which store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store: Option<Key>,
    },
    /// A cart is empty.
    CartEmptied {
        /// Whose.
        user: Key,
    },
    /// An order was placed.
    Placed {
        /// In which store.
        store: Key,
    },
    /// It will be delivered.
    Confirmed {
        /// From which store.
        store: Key,
        /// What it costs.
        total_minor: i64,
    },
    /// It won't come.
    Cancelled {
        /// In which store.
        store: Key,
        /// What it costs, if it had been confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed_minor: Option<i64>,
    },
    /// It is with the customer.
    Completed {
        /// From which store.
        store: Key,
        /// From placing to the door.
        actual_ms: i64,
        /// Within how many minutes it was promised.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        promised_minutes: Option<u32>,
        /// What was sold.
        lines: Vec<Line>,
    },
    /// Its money was given back.
    Refunded {
        /// In which store.
        store: Key,
        /// How much.
        amount_minor: i64,
    },
}

/// So much of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which.
    pub sku: String,
    /// Pieces.
    pub units: u32,
    /// What a piece costs, tax included.
    pub price_minor: i64,
    /// The tax that the line contains.
    pub tax_minor: i64,
}
