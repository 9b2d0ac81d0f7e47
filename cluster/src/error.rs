//! The closed set of ways in which an ask can fail, besides the entity's own refusal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why an entity could not be asked, or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum Failure {
    /// A bounded queue on the way is full. Nothing has happened.
    #[error("{queue} is full; try again in {retry_after_ms} ms")]
    Overloaded {
        /// Which queue.
        queue: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The shard is on its way to another node, or the batch that held the decision failed. Nothing has
    /// happened; the asking side repeats by itself until its deadline.
    #[error("{shard} is moving; try again")]
    Moved {
        /// `service/number`.
        shard: String,
    },
    /// No node runs the service, or its database is away. Nothing has happened.
    #[error("{what} is unavailable; try again in {retry_after_ms} ms")]
    Unavailable {
        /// What is away.
        what: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// No answer within the deadline; whether it happened is unknown. Repeating the same command id is safe.
    #[error("no answer within the deadline; the outcome is unknown, repeat with the same id")]
    TimedOut,
    /// The ask would have come back to an entity that waits for it.
    #[error("call cycle refused: {}", path.join(" -> "))]
    Cycle {
        /// The chain of entities, ending with the one that was to be asked again.
        path: Vec<String>,
    },
    /// The entity panicked over this command and has been restarted from its durable state. Nothing has
    /// happened; a repetition would end the same way.
    #[error("{entity} failed over the command and was restarted; nothing has changed")]
    Crashed {
        /// `service.entity/key`.
        entity: String,
    },
    /// The entity keeps failing and has been set aside; an operator has to look at it.
    #[error("{entity} is quarantined after repeated failures")]
    Quarantined {
        /// `service.entity/key`.
        entity: String,
    },
    /// The command's expiry has passed; it is not executed.
    #[error("the command expired before it was executed")]
    Expired,
    /// The command can't be executed as it stands (unknown kind, broken body, too large).
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
}

impl Failure {
    /// Whether the same command may simply be sent again: it has certainly not been executed.
    pub fn is_moved(&self) -> bool {
        matches!(self, Self::Moved { .. })
    }

    /// How long a caller should wait before it tries again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after_ms, .. } | Self::Unavailable { retry_after_ms, .. } => {
                Some(Duration::from_millis(*retry_after_ms))
            }
            Self::Moved { .. } | Self::TimedOut => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

/// How an ask ended other than with a reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError<R: std::error::Error> {
    /// The entity decided against it.
    #[error("{rejection}")]
    Rejected {
        /// Why.
        rejection: R,
        /// The version of the state that the refusal rests on.
        entity_version: u64,
    },
    /// It could not be asked, or did not answer.
    #[error(transparent)]
    Failed(#[from] Failure),
}
