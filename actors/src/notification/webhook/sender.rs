//! Who sends a delivery to an endpoint: what is asked and what is answered. The sender itself lives where sockets
//! are; it makes one attempt and says how it ended, and the webhook decides what follows.

use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

use super::secret::SigningSecret;

/// The name under which the sender is registered at a node.
pub const SENDER: &str = "webhook";

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    /// Where to.
    pub url: String,
    /// What it is signed with.
    pub secret: SigningSecret,
    /// The secret before, with which it is signed as well until a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<(SigningSecret, Timestamp)>,
    /// The event's id.
    pub event_id: String,
    /// What is sent, byte for byte.
    pub body: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The endpoint answered.
    Answered {
        /// The HTTP status.
        status: u16,
    },
    /// It did not, or was not asked.
    Unanswered {
        /// Why.
        reason: String,
    },
}

/// What the sender answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAnswer {
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
}

impl Outcome {
    /// Whether the endpoint has taken the delivery.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status } if (200..300).contains(status))
    }
}
