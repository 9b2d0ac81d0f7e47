//! The protocol of an order.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{cart, inventory, payment};

/// How long an order may take from its placing to its confirmation, unless it says otherwise.
pub const DEADLINE_MS_DEFAULT: u64 = 120_000;
/// The shortest deadline.
pub const DEADLINE_MS_MIN: u64 = 1_000;
/// The longest deadline.
pub const DEADLINE_MS_MAX: u64 = 900_000;
/// The most lines of an order.
pub const LINES_MAX: usize = inventory::command::RESERVATION_LINES_MAX;
/// The most units of one line.
pub const QUANTITY_MAX: u32 = inventory::command::RESERVATION_QUANTITY_MAX;
/// The largest version of a cart; no cart gets there by being changed.
pub const CART_VERSION_MAX: u64 = 1 << 48;
/// The longest address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 1_000;
/// The longest name of a product, in bytes.
pub const NAME_BYTES_MAX: usize = cart::command::NAME_BYTES_MAX;
/// The longest fingerprint, in bytes.
pub const FINGERPRINT_BYTES_MAX: usize = 128;
/// The longest reason of a customer, in bytes.
pub const REASON_BYTES_MAX: usize = 200;

/// What an order can be asked; the key is [`order_key`](super::order_key)'s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Places it. The reply comes at once, while it is still [`Placing`](Status::Placing); ask
    /// [`Status`](Command::Status) for what became of it. Idempotent by fingerprint.
    Place(Box<Placement>),
    /// How it stands, in short.
    Status,
    /// All of it.
    Get,
    /// The customer doesn't want it any more; good until it has left the store. Idempotent.
    Cancel {
        /// Why, at most [`REASON_BYTES_MAX`] bytes; may be empty.
        reason: String,
    },
    /// How the delivery goes. Idempotent; a step that lies behind changes nothing.
    DeliveryUpdate {
        /// How far it is.
        step: DeliveryStep,
    },
    /// The stock asks what shall become of a reservation that is due. Answers
    /// [`Verdict`](Reply::Verdict); an order past its deadline cancels itself then.
    Verdict,
    /// The payment has an outcome.
    PaymentOutcome {
        /// Which; nothing while the card network is still being asked.
        outcome: Option<payment::Outcome>,
    },
    /// What stock, cart and payment answered to the first step.
    Gathered {
        /// The stock.
        stock: Granted,
        /// The cart.
        cart: Granted,
        /// The payment; granted when there is none.
        payment: Granted,
    },
    /// What stock, cart and delivery answered once it was confirmed.
    Followed {
        /// The bits of those that have done it, see `outstanding.rs`.
        done: u8,
        /// Why the delivery was refused.
        refused: Option<String>,
    },
    /// What stock and cart answered to the undoing.
    Undone {
        /// The bits of those that have done it, see `outstanding.rs`.
        done: u8,
    },
    /// Whether the delivery could be called off for a cancellation.
    Recalled {
        /// Whether it could.
        granted: bool,
    },
    /// The payment of a cancelled order.
    Voided {
        /// What was given back; nothing while the card network is still being asked.
        refunded_minor: Option<i64>,
    },
    /// The cash of a delivered order is noted.
    Collected,
    /// The timer: the deadline has passed.
    DeadlinePassed,
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// From which store.
    pub store: Key,
    /// The version of the user's cart that it was made from.
    pub cart_version: u64,
    /// What; a SKU at most once.
    pub lines: Vec<Line>,
    /// Beside the lines.
    #[serde(default)]
    pub delivery_fee_minor: i64,
    /// What the customer has been shown: the lines and the fee.
    pub total_minor: i64,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// Where to.
    pub address: String,
    /// Of the client's body: the same key with another fingerprint is refused.
    pub fingerprint: String,
    /// From now to its confirmation; [`DEADLINE_MS_DEFAULT`] unless given.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// How long from its placing to the door, as the customer was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_minutes: Option<u32>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU.
    pub sku: String,
    /// The product's name.
    pub name: String,
    /// Units.
    pub quantity: u32,
    /// The price of a unit, with tax.
    pub price_minor: i64,
    /// The tax that the whole line contains.
    pub tax_minor: i64,
}

/// How an order is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum PaymentMethod {
    /// At the door.
    Cash,
    /// In advance.
    Card {
        /// The card's token.
        token: String,
    },
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStep {
    /// A rider has taken it on.
    Assigned,
    /// It has left the store.
    PickedUp,
    /// It is with the customer.
    Delivered,
    /// It can't be delivered.
    Failed,
}

/// Whether one of those asked in the first step agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Granted {
    /// Yes.
    Granted,
    /// No, and nothing has changed there.
    Refused {
        /// Why.
        reason: CancelReason,
    },
}

/// How an order stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not been placed.
    #[default]
    None,
    /// Stock, cart and payment are being asked.
    Placing,
    /// It will be delivered.
    Confirmed,
    /// A rider has taken it on.
    Packed,
    /// It has left the store.
    OutForDelivery,
    /// It is with the customer.
    Delivered,
    /// It won't come.
    Cancelled,
}

impl Status {
    /// The name by which it is listed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Placing => "placing",
            Self::Confirmed => "confirmed",
            Self::Packed => "packed",
            Self::OutForDelivery => "out_for_delivery",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why an order won't come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CancelReason {
    /// The store has not enough.
    Lacking {
        /// Of what, and what is left.
        lines: Vec<inventory::Lack>,
    },
    /// The stock refused for another reason.
    StockRefused {
        /// Which.
        detail: String,
    },
    /// The cart is held by another order.
    CartHeld {
        /// Which order.
        order: Key,
    },
    /// The cart has changed, has become an order, or is empty.
    CartChanged,
    /// The card was declined.
    PaymentDeclined {
        /// Why.
        detail: String,
    },
    /// The payment refused for another reason.
    PaymentRefused {
        /// Which.
        detail: String,
    },
    /// It was not confirmed in time.
    DeadlinePassed,
    /// The customer didn't want it any more.
    Customer {
        /// Why.
        detail: String,
    },
    /// It couldn't be delivered.
    DeliveryFailed {
        /// Why.
        detail: String,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// How it stands.
    Status(Summary),
    /// All of it.
    Order(Box<Details>),
    /// What shall become of its reservation.
    Verdict {
        /// The answer.
        verdict: inventory::Verdict,
    },
    /// Noted.
    Noted,
}

/// How an order stands, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Which order.
    pub order: Key,
    /// How it stands.
    pub status: Status,
    /// What it costs.
    pub total_minor: i64,
    /// Why it won't come.
    pub cancelled: Option<CancelReason>,
    /// Whether the customer has asked for its cancellation and the delivery has not answered yet.
    pub cancelling: bool,
}

/// An order as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// In short.
    #[serde(flatten)]
    pub summary: Summary,
    /// Whose.
    pub user: Key,
    /// From which store.
    pub store: Key,
    /// What.
    pub lines: Vec<Line>,
    /// Beside the lines.
    pub delivery_fee_minor: i64,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// What the card was charged with.
    pub captured_minor: i64,
    /// What was given back.
    pub refunded_minor: i64,
    /// Where to.
    pub address: String,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Until when it has to be confirmed.
    pub deadline: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// When it was delivered or cancelled.
    pub ended_at: Option<Timestamp>,
    /// How long from its placing to the door, as the customer was promised.
    #[serde(default)]
    pub promised_minutes: Option<u32>,
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// There is no such order.
    #[error("there is no such order")]
    Unknown,
    /// The same key was used with another body.
    #[error("the key was used for another order")]
    KeyReused,
    /// The key was not made by [`order_key`](super::order_key).
    #[error("{key} is no order's key")]
    BadKey {
        /// The key.
        key: Key,
    },
    /// The total is not that of the lines and the fee.
    #[error("the total is {total_minor}, not what was expected")]
    TotalDiffers {
        /// What it is.
        total_minor: i64,
    },
    /// No lines, or too many.
    #[error("1 to {max} lines, not {lines}")]
    LineCount {
        /// How many there were.
        lines: usize,
        /// How many there may be.
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
    /// A SKU stands in two lines.
    #[error("{sku} stands in more than one line")]
    SkuRepeated {
        /// The SKU.
        sku: String,
    },
    /// A field is empty, too long, negative or otherwise out of its range.
    #[error("{field} is not valid")]
    BadField {
        /// Which.
        field: String,
    },
    /// It has left the store, or is with the customer.
    #[error("the order has left the store")]
    TooLate,
}
