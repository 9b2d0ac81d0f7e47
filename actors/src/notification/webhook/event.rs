//! What happens to a webhook.

use nakku_cluster::events::Envelope;
use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::DisabledReason;
use super::secret::SigningSecret;
use super::sender::SendAnswer;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was made.
    Created {
        /// Its own key.
        id: Key,
        /// Where events are sent.
        url: String,
        /// Which are.
        types: Vec<String>,
        /// What they are signed with.
        secret: SigningSecret,
        /// When.
        at: Timestamp,
    },
    /// Events are sent elsewhere.
    Moved {
        /// Where.
        url: String,
    },
    /// Other events are wanted.
    Subscribed {
        /// Which.
        types: Vec<String>,
    },
    /// Events are sent again.
    Enabled,
    /// Events are not sent any more; what was waiting has failed.
    Disabled {
        /// Why.
        reason: DisabledReason,
        /// When.
        at: Timestamp,
    },
    /// It has another secret.
    SecretRotated {
        /// Which.
        secret: SigningSecret,
        /// So long it is signed with the one before as well.
        previous_until: Timestamp,
    },
    /// It is gone.
    Deleted,
    /// The directory knows what is wanted.
    Registered {
        /// As of this revision.
        revision: u64,
    },
    /// An event is to be sent.
    Queued {
        /// The delivery's number.
        delivery: u64,
        /// The event, with its whole envelope.
        envelope: Box<Envelope>,
        /// When it came.
        at: Timestamp,
    },
    /// Deliveries are to be sent again.
    Requeued {
        /// Which.
        deliveries: Vec<u64>,
        /// When that was wanted.
        at: Timestamp,
    },
    /// An attempt has begun.
    Started {
        /// The attempt's number.
        attempt: u64,
        /// Of which delivery.
        delivery: u64,
        /// When.
        at: Timestamp,
    },
    /// An attempt has ended.
    Attempted {
        /// The attempt's number.
        attempt: u64,
        /// Of which delivery.
        delivery: u64,
        /// How.
        answer: SendAnswer,
        /// When.
        at: Timestamp,
        /// When the next one is due; nothing when the delivery is done or given up.
        retry_at: Option<Timestamp>,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "webhook.created",
            Self::Moved { .. } => "webhook.moved",
            Self::Subscribed { .. } => "webhook.subscribed",
            Self::Enabled => "webhook.enabled",
            Self::Disabled { .. } => "webhook.disabled",
            Self::SecretRotated { .. } => "webhook.secret_rotated",
            Self::Deleted => "webhook.deleted",
            Self::Registered { .. } => "webhook.registered",
            Self::Queued { .. } => "webhook.queued",
            Self::Requeued { .. } => "webhook.requeued",
            Self::Started { .. } => "webhook.attempt_started",
            Self::Attempted { .. } => "webhook.attempted",
        }
    }
}
