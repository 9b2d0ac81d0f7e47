//! What happened to a payment.

use nakku_cluster::{Event as ClusterEvent, Key, Timestamp};
use serde::{Deserialize, Serialize};

/// An event of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The intent to pay by card.
    Opened {
        /// Which order.
        order: Key,
        /// How much.
        amount_minor: i64,
        /// The card's token.
        token: String,
        /// When.
        at: Timestamp,
    },
    /// The card network is to authorise.
    AuthoriseRequested {
        /// Whether it is to capture at once.
        capture: bool,
    },
    /// The amount is held.
    Authorised {
        /// How much.
        #[serde(default)]
        amount_minor: i64,
        /// The card network's name for it.
        reference: String,
    },
    /// The card network is to capture.
    CaptureRequested,
    /// The amount is taken.
    Captured {
        /// How much.
        amount_minor: i64,
        /// The card network's name for it.
        reference: String,
    },
    /// The card was declined.
    Declined {
        /// How much was wanted.
        #[serde(default)]
        amount_minor: i64,
        /// Why.
        reason: String,
    },
    /// The payment is to end with nothing kept, as soon as the card network's answers allow it.
    VoidRequested {
        /// Which order.
        order: Key,
    },
    /// Nothing is kept.
    Voided {
        /// Which order.
        order: Key,
    },
    /// Something is to be given back.
    RefundRequested {
        /// Its name.
        refund: String,
        /// How much.
        amount_minor: i64,
    },
    /// It is given back.
    Refunded {
        /// Its name.
        refund: String,
        /// How much.
        amount_minor: i64,
    },
    /// Cash was taken at the door.
    Collected {
        /// Which order.
        order: Key,
        /// How much.
        amount_minor: i64,
        /// When.
        at: Timestamp,
    },
    /// The order knows.
    OrderTold,
}

impl ClusterEvent for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "payment.initiated",
            Self::AuthoriseRequested { .. } => "payment.authorisation_requested",
            Self::Authorised { .. } => "payment.authorized",
            Self::CaptureRequested => "payment.capture_requested",
            Self::Captured { .. } | Self::Collected { .. } => "payment.completed",
            Self::Declined { .. } => "payment.failed",
            Self::VoidRequested { .. } => "payment.void_requested",
            Self::Voided { .. } => "payment.voided",
            Self::RefundRequested { .. } => "payment.refund_requested",
            Self::Refunded { .. } => "payment.refunded",
            Self::OrderTold => "payment.order_told",
        }
    }
}
