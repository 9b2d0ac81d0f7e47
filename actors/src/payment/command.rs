//! The protocol of a payment.

use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

use super::provider::CardAnswer;

/// The longest card token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 64;
/// The longest name of a refund, in bytes.
pub const REFUND_BYTES_MAX: usize = 64;
/// The most refunds of one payment.
pub const REFUNDS_MAX: usize = 16;

/// What a payment can be asked; the key is the order's.
///
/// A decision can't wait for a card network: [`Authorise`](Command::Authorise), [`Capture`](Command::Capture),
/// [`Void`](Command::Void) and [`Refund`](Command::Refund) answer [`Pending`](Reply::Pending) while it is
/// being asked and the final answer when they are repeated later; the order is also told by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The intent to pay by card. Nothing is charged yet. Idempotent.
    Open {
        /// How much.
        amount_minor: i64,
        /// The card's token, at most [`TOKEN_BYTES_MAX`] bytes.
        token: String,
    },
    /// Authorises the amount, and captures it with the same request if so wanted. Idempotent.
    Authorise {
        /// Whether to capture at once.
        capture: bool,
    },
    /// Captures what is authorised. Idempotent.
    Capture,
    /// Ends the payment so that nothing is kept, whatever has happened so far: what is captured, or will
    /// turn out to be, is refunded. What comes afterwards is refused. Idempotent.
    Void,
    /// Gives back a part of what is captured. Idempotent by name.
    Refund {
        /// Names the refund, at most [`REFUND_BYTES_MAX`] bytes.
        refund: String,
        /// How much.
        amount_minor: i64,
    },
    /// Cash has been taken at the door. Idempotent.
    Collect {
        /// How much.
        amount_minor: i64,
    },
    /// What the card network answered.
    Answered {
        /// Which operation.
        number: u64,
        /// Its answer.
        answer: CardAnswer,
    },
    /// The order knows the outcome.
    OrderTold {
        /// Of which operation.
        number: u64,
    },
    /// The payment as it is.
    Get,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The intent is there.
    Opened,
    /// The card network is being asked; repeat, or wait to be told.
    Pending,
    /// How it ended.
    Outcome {
        /// Since the last command that changed it.
        outcome: Outcome,
    },
    /// The refund is done.
    Refunded,
    /// The cash is noted.
    Collected,
    /// Noted.
    Noted,
    /// The payment as it is.
    Payment(Details),
}

/// How a payment stands once the card network has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The amount is held, not yet taken.
    Authorised,
    /// The amount is taken.
    Captured {
        /// How much.
        captured_minor: i64,
    },
    /// The card was declined.
    Declined {
        /// Why.
        reason: String,
    },
    /// Nothing is kept.
    Voided {
        /// What had been taken and was given back.
        refunded_minor: i64,
    },
}

/// The state of a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There is none.
    #[default]
    None,
    /// The intent is there.
    Opened,
    /// The card network is being asked.
    Authorising,
    /// The amount is held.
    Authorised,
    /// It is being taken.
    Capturing,
    /// It is taken, by card or in cash.
    Captured,
    /// It was declined.
    Declined,
    /// It is being voided or given back as a whole.
    Voiding,
    /// Nothing is kept.
    Voided,
}

/// A payment as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Its state.
    pub status: Status,
    /// How much it is about.
    pub amount_minor: i64,
    /// Taken so far.
    pub captured_minor: i64,
    /// Given back so far.
    pub refunded_minor: i64,
    /// The card network's name for it.
    pub reference: Option<String>,
    /// Why it was declined.
    pub reason: Option<String>,
    /// When the intent came.
    pub opened_at: Option<Timestamp>,
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// It was voided before.
    #[error("the payment has been voided")]
    Voided,
    /// It is not in a state for this.
    #[error("the payment is {status:?}")]
    NotNow {
        /// Its state.
        status: Status,
    },
    /// The intent is there with another amount or card.
    #[error("the payment is about another amount or card")]
    Different,
    /// The amount is no amount, or more than what is captured and not yet given back.
    #[error("amount_minor: 1 to {max_minor}")]
    AmountOutOfRange {
        /// How much it may be.
        max_minor: i64,
    },
    /// There are as many refunds as there can be.
    #[error("a payment has at most {max} refunds")]
    TooManyRefunds {
        /// How many.
        max: usize,
    },
    /// Token or name is empty, too long or holds control characters.
    #[error("{field} is not valid")]
    BadName {
        /// Which field.
        field: String,
    },
}
