//! How links fail to start, and how requests over them fail.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::reference::ShardId;

/// Why the links of this node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A certificate or key can't be used.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("{setting}: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// This process has had links before; actors and their groups are one world per process.
    #[error("this process has started links before")]
    StartedBefore,
    /// An actor of the links did not start.
    #[error("the links' actors did not start: {0}")]
    Actor(String),
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFailure {
    /// There is no ready link to the node. Nothing has happened.
    #[error("there is no link to the node")]
    NotConnected,
    /// The link's credits are used up, on this side or on the other. Nothing has happened.
    #[error("the link is full: {in_flight} requests of {in_flight_bytes} bytes are unanswered")]
    Overloaded {
        /// Unanswered requests.
        in_flight: u32,
        /// Their bytes.
        in_flight_bytes: u64,
    },
    /// Larger than `message_bytes_max`. Nothing has happened.
    #[error("{bytes} bytes are too large for a message of at most {bytes_max}")]
    TooLarge {
        /// Header and body.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The link went away before the request was on it. Nothing has happened.
    #[error("the request was not sent")]
    NotSent,
    /// The other side did not execute it, and says why. Nothing has happened.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The link was lost, or the answer; it may have happened or may still happen.
    #[error("the link was lost before the answer came; the outcome is unknown")]
    OutcomeUnknown,
    /// No answer within the deadline; it may have happened or may still happen.
    #[error("no answer within the deadline; the outcome is unknown")]
    TimedOut,
}

impl LinkFailure {
    /// Whether the request has certainly not been executed and never will be.
    pub fn is_not_executed(&self) -> bool {
        !matches!(self, Self::OutcomeUnknown | Self::TimedOut)
    }

    /// What it means to whoever asked an entity of a shard.
    pub(crate) fn of_shard(self, shard: ShardId) -> Failure {
        match self {
            Self::OutcomeUnknown | Self::TimedOut => Failure::TimedOut,
            Self::Overloaded { .. } => Failure::Overloaded { queue: "link".into(), retry_after_ms: 200 },
            Self::TooLarge { bytes, bytes_max } => {
                Failure::Invalid { reason: format!("{bytes} bytes do not fit a message of {bytes_max}") }
            }
            Self::NotConnected | Self::NotSent | Self::Refused(_) => Failure::Moved { shard: shard.to_string() },
        }
    }

    /// One word for metrics.
    pub fn as_word(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Overloaded { .. } => "overloaded",
            Self::TooLarge { .. } => "too_large",
            Self::NotSent => "not_sent",
            Self::Refused(_) => "refused",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Why the other side did not execute a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// It does not know this kind of message.
    #[error("unknown kind of message {kind:?}")]
    UnknownKind {
        /// What came.
        kind: String,
    },
    /// It can't read the header.
    #[error("undecodable header: {reason}")]
    Undecodable {
        /// Why.
        reason: String,
    },
    /// The message is from, or was meant for, another life of a node.
    #[error("stale generation: meant for generation {meant_for}, and this is {actual}")]
    StaleGeneration {
        /// What the message names.
        meant_for: u64,
        /// What is.
        actual: u64,
    },
    /// It has more unanswered requests of this link than it lets in.
    #[error("the receiver is full: {in_flight} requests of {in_flight_bytes} bytes are unanswered")]
    Overloaded {
        /// Unanswered requests.
        in_flight: u32,
        /// Their bytes.
        in_flight_bytes: u64,
    },
    /// The message is larger than it takes.
    #[error("{bytes} bytes are too large for a message of at most {bytes_max}")]
    TooLarge {
        /// What came.
        bytes: u64,
        /// The limit there.
        bytes_max: u64,
    },
    /// It is about to stop.
    #[error("the node is stopping")]
    Stopping,
    /// A reason that only newer versions know.
    #[error("refused for a reason that this version does not know")]
    #[serde(other)]
    Unknown,
}
