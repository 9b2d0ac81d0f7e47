//! The protocol of a user's cart.

use nakku_cluster::Key;
use serde::{Deserialize, Serialize};

/// The most lines of a cart.
pub const LINES_MAX: usize = 100;
/// The most units of one line.
pub const QUANTITY_MAX: u32 = 1_000;
/// The longest SKU, in bytes.
pub const SKU_BYTES_MAX: usize = 64;
/// The longest name of a product, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// What a cart can be asked; the key is the user's (`u-…`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Adds units to a line, which it begins if need be; name and price are taken from here. Not idempotent
    /// by itself: send it with an id.
    Add {
        /// Whose goods; a cart holds those of one store.
        store: Key,
        /// What.
        line: Line,
    },
    /// Sets the units of a line that is there; 0 removes it.
    SetQuantity {
        /// Which line.
        sku: String,
        /// Units.
        quantity: u32,
    },
    /// Removes all lines.
    Empty,
    /// Holds the cart for an order: it can't change until the order clears or unseals it. Idempotent by
    /// order; refused for another order or another version.
    Seal {
        /// Which order.
        order: Key,
        /// The version that the order was made from.
        version: u64,
    },
    /// The order won't come: the cart is free, under a new version, so that a late seal of this order is
    /// refused. Idempotent by order and version.
    Unseal {
        /// Which order.
        order: Key,
        /// The version that it sealed or wanted to seal.
        version: u64,
    },
    /// The order is confirmed: the cart is empty. Idempotent by order.
    Clear {
        /// Which order.
        order: Key,
    },
    /// The user was erased: nothing is put in any more, and no order is made from it. An order that holds it goes
    /// on; with it the lines go. Idempotent.
    Close,
    /// The cart as it is.
    Get,
}

/// One line of a cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU.
    pub sku: String,
    /// The product's name when it was put in.
    pub name: String,
    /// Units.
    pub quantity: u32,
    /// The price of a unit, with tax, when it was put in.
    pub price_minor: i64,
}

/// A cart as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Whose goods; nothing while it is empty.
    pub store: Option<Key>,
    /// Raised by every change; an order is made from one version.
    pub version: u64,
    /// In the order of the SKUs.
    pub lines: Vec<Line>,
    /// At the prices of the lines.
    pub total_minor: i64,
    /// The order that holds it.
    pub sealed_by: Option<Key>,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The cart after the command.
    Cart(Contents),
    /// It is held for the order.
    Sealed,
    /// It is not held for the order.
    Unsealed,
    /// It is empty, or has been since.
    Cleared,
    /// It is closed.
    Closed,
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// An order is being made from it.
    #[error("the cart is held by {order}")]
    Sealed {
        /// Which order.
        order: Key,
    },
    /// It has changed since.
    #[error("the cart is at version {version}")]
    VersionChanged {
        /// Its version.
        version: u64,
    },
    /// Its user was erased.
    #[error("the cart is closed")]
    Closed,
    /// There is nothing to order.
    #[error("the cart is empty")]
    Empty,
    /// It holds another store's goods.
    #[error("the cart holds goods of {store}")]
    OtherStore {
        /// Whose.
        store: Key,
    },
    /// There is no such line.
    #[error("{sku} is not in the cart")]
    UnknownLine {
        /// Which.
        sku: String,
    },
    /// It has as many lines as it can.
    #[error("a cart has at most {max} lines")]
    TooManyLines {
        /// How many.
        max: usize,
    },
    /// A quantity is out of range.
    #[error("{sku}: 1 to {max} units")]
    QuantityOutOfRange {
        /// Of what.
        sku: String,
        /// How many there may be.
        max: u32,
    },
    /// SKU or name is empty, too long or holds control characters, or the price is none.
    #[error("{field} is not valid")]
    BadLine {
        /// Which field.
        field: String,
    },
}
