//! What happened to an order.

use nakku_cluster::{Event as ClusterEvent, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{CancelReason, Line, PaymentMethod};

/// An event of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was placed.
    Placed(Box<Placed>),
    /// Stock and cart are held and the payment's intent is there: the card is to be charged.
    Gathered,
    /// It will be delivered.
    Confirmed {
        /// What the card was charged with; 0 for cash.
        captured_minor: i64,
        /// When.
        at: Timestamp,
        /// The order in short.
        #[serde(default)]
        outline: Option<Outline>,
    },
    /// What follows the confirmation has been done by those whose bits are set.
    Followed {
        /// See `outstanding.rs`.
        done: u8,
    },
    /// The customer wants it cancelled; the delivery is asked whether it can be called off.
    CancelRequested {
        /// Why.
        detail: String,
    },
    /// The delivery can't be called off any more.
    CancelRefused,
    /// It won't come.
    Cancelled {
        /// Why.
        reason: CancelReason,
        /// What has to be undone, see `outstanding.rs`.
        undo: u8,
        /// When.
        at: Timestamp,
        /// The order in short.
        #[serde(default)]
        outline: Option<Outline>,
        /// What was taken and has to be given back, as far as it is known.
        #[serde(default)]
        refund_minor: i64,
    },
    /// It has been undone by those whose bits are set.
    Undone {
        /// See `outstanding.rs`.
        done: u8,
    },
    /// Nothing of the payment was ever taken.
    PaymentVoided,
    /// The payment was given back.
    Refunded {
        /// How much.
        amount_minor: i64,
        /// The order in short.
        #[serde(default)]
        outline: Option<Outline>,
    },
    /// A rider has taken it on.
    Packed,
    /// It has left the store.
    Dispatched,
    /// It is with the customer.
    Completed {
        /// When.
        at: Timestamp,
        /// The order in short.
        #[serde(default)]
        outline: Option<Outline>,
        /// What was sold.
        #[serde(default)]
        lines: Vec<Line>,
    },
    /// Its cash is noted.
    Collected,
}

/// What was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The order itself.
    pub order: Key,
    /// Whose; also the key of the cart.
    pub user: Key,
    /// From which store.
    pub store: Key,
    /// The version of the cart.
    pub cart_version: u64,
    /// What.
    pub lines: Vec<Line>,
    /// Beside the lines.
    pub delivery_fee_minor: i64,
    /// Lines and fee.
    pub total_minor: i64,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// Where to.
    pub address: String,
    /// Of the client's body.
    pub fingerprint: String,
    /// When.
    pub at: Timestamp,
    /// Until when it has to be confirmed.
    pub deadline: Timestamp,
    /// How long from its placing to the door, as the customer was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_minutes: Option<u32>,
}

/// The order in short, repeated by events that are told outside, so that whoever hears of one needs no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// From which store.
    pub store: Key,
    /// What it costs.
    pub total_minor: i64,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it was confirmed, once it has been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// How many minutes it was promised to take from its placing to the door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_minutes: Option<u32>,
}

impl ClusterEvent for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Placed(_) => "order.created",
            Self::Gathered => "order.gathered",
            Self::Confirmed { .. } => "order.confirmed",
            Self::Followed { .. } => "order.followed",
            Self::CancelRequested { .. } => "order.cancel_requested",
            Self::CancelRefused => "order.cancel_refused",
            Self::Cancelled { .. } => "order.cancelled",
            Self::Undone { .. } => "order.undone",
            Self::PaymentVoided => "order.payment_voided",
            Self::Refunded { .. } => "order.refunded",
            Self::Packed => "order.packed",
            Self::Dispatched => "order.out_for_delivery",
            Self::Completed { .. } => "order.completed",
            Self::Collected => "order.collected",
        }
    }
}
