//! The protocol of a webhook.

use std::fmt;
use std::time::Duration;

use nakku_cluster::Timestamp;
use nakku_cluster::events::Envelope;
use serde::{Deserialize, Serialize};

use super::secret::SigningSecret;
use super::sender::{Outcome, SendAnswer};

/// The longest address, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// The most types of one endpoint.
pub const TYPES_MAX: usize = 64;
/// Deliveries that an endpoint may have yet to take; one more disables it.
pub const PENDING_MAX: usize = 1_000;
/// Delivered events that are kept for a replay; the oldest goes first.
pub const DELIVERED_KEPT_MAX: usize = 500;
/// Failed deliveries that are kept for a replay; the oldest goes first.
pub const FAILED_KEPT_MAX: usize = 2_000;
/// Attempts in the log; the oldest goes first.
pub const ATTEMPTS_KEPT_MAX: usize = 1_000;
/// Attempts of one page of the log.
pub const ATTEMPTS_PAGE_MAX: usize = 200;
/// Attempts of one endpoint that are under way at the same time.
pub const IN_FLIGHT_MAX: usize = 4;
/// Events that one replay names.
pub const REPLAY_MAX: usize = 100;
/// How long a delivery is attempted.
pub const RETRY_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause after the first failed attempt; it triples with each further one.
pub const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// How long deliveries are signed with the secret before as well.
pub const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// By this status an endpoint says that it wants nothing any more.
pub const STATUS_GONE: u16 = 410;

/// What a webhook can be asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Make it. The address has been checked by [`check_url`](super::subscription::check_url).
    Create {
        /// Where events are sent.
        url: String,
        /// Names of events, such as `order.confirmed`, or families, such as `order.*`.
        types: Vec<String>,
        /// What deliveries are signed with.
        secret: SigningSecret,
    },
    /// Read it.
    Get,
    /// Change it; what is absent stays.
    Update {
        /// Checked as for [`Command::Create`].
        #[serde(default)]
        url: Option<String>,
        /// All of them.
        #[serde(default)]
        types: Option<Vec<String>>,
        /// Whether events are sent.
        #[serde(default)]
        enabled: Option<bool>,
    },
    /// Sign with another secret; with the one before as well for [`SECRET_OVERLAP`].
    RotateSecret {
        /// The new one.
        secret: SigningSecret,
    },
    /// Forget everything and send nothing any more.
    Delete,
    /// The log, newest first.
    Attempts {
        /// Only those before this number.
        #[serde(default)]
        before: Option<u64>,
        /// At most so many, up to [`ATTEMPTS_PAGE_MAX`].
        limit: usize,
    },
    /// Send again.
    Replay {
        /// What.
        what: Replay,
    },
    /// From an intake: an event to be sent. Repeated it changes nothing.
    Deliver {
        /// With its whole envelope.
        event: Box<Envelope>,
    },
    /// From the runtime: the directory knows what is wanted.
    Registered {
        /// As of this revision.
        revision: u64,
        /// Whether it has room for it.
        accepted: bool,
    },
    /// From the runtime: how an attempt ended.
    Attempted {
        /// Which.
        attempt: u64,
        /// How.
        answer: SendAnswer,
    },
    /// From the runtime: a delivery is due.
    Due,
}

/// What is to be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// These events, by id: 1 to [`REPLAY_MAX`].
    Events(Vec<String>),
    /// All that failed, the oldest first, as far as there is room.
    Failed,
}

/// What a webhook answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// As it is now.
    Endpoint(Box<View>),
    /// A page of the log.
    Attempts {
        /// Newest first.
        attempts: Vec<Attempt>,
    },
    /// What is sent again.
    Replayed {
        /// So many.
        events: u64,
        /// Ids of events that are not kept any more, or never were.
        unknown: Vec<String>,
        /// So many there was no room for.
        left: u64,
    },
    /// To intake and runtime: noted, now or before.
    Noted,
    /// To an intake: not wanted (any more).
    Unwanted,
}

/// An endpoint as it is shown: without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Where events are sent.
    pub url: String,
    /// Sorted.
    pub types: Vec<String>,
    /// Whether events are sent.
    pub status: Status,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether the latest change of types and status holds for all events that occur from now on.
    pub in_force: bool,
    /// Deliveries that are waiting or under way.
    pub pending: u64,
    /// Deliveries that were given up and are kept for a replay.
    pub failed: u64,
    /// When the endpoint last took something.
    #[serde(default)]
    pub last_success_at: Option<Timestamp>,
    /// When the next attempt is due, unless some are under way.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
}

/// Whether events are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// They are.
    #[default]
    Enabled,
    /// They are not; what occurs meanwhile is not sent later.
    Disabled {
        /// Why.
        reason: DisabledReason,
        /// Since then.
        at: Timestamp,
    },
}

/// Why an endpoint was disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum DisabledReason {
    /// An operator wanted it.
    Operator,
    /// It answered 410.
    Gone,
    /// It has taken nothing for [`RETRY_FOR`].
    Unreachable {
        /// How the last attempt ended.
        last: Outcome,
    },
    /// It takes less than occurs.
    Backlog,
    /// There are as many endpoints as there may be.
    TooMany,
}

/// An attempt in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Rises with each attempt of the endpoint.
    pub number: u64,
    /// The event's id.
    pub event: String,
    /// The event's name.
    pub event_type: String,
    /// Which attempt of the event it was, from 1; a replay starts anew.
    pub nth: u32,
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    #[serde(flatten)]
    pub answer: SendAnswer,
    /// When the next one is due.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
}

/// Why a webhook refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// There is none.
    #[error("there is no such webhook")]
    NotFound,
    /// The id is taken, or was.
    #[error("there is a webhook with this id, or was")]
    AlreadyExists,
    /// It is disabled.
    #[error("the webhook is disabled: {reason}; enable it first")]
    Disabled {
        /// Why.
        reason: DisabledReason,
    },
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `types`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl DisabledReason {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Gone => "gone",
            Self::Unreachable { .. } => "unreachable",
            Self::Backlog => "backlog",
            Self::TooMany => "too_many",
        }
    }
}

impl fmt::Display for DisabledReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("an operator disabled it"),
            Self::Gone => write!(f, "the endpoint answered {STATUS_GONE}: it wants nothing any more"),
            Self::Unreachable { last } => {
                let hours = RETRY_FOR.as_secs() / 3600;
                write!(f, "the endpoint has taken nothing for {hours} hours; the last attempt: {last}")
            }
            Self::Backlog => write!(f, "more than {PENDING_MAX} deliveries were waiting"),
            Self::TooMany => f.write_str("there are as many webhooks as there may be"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status } => write!(f, "status {status}"),
            Self::Unanswered { reason } => f.write_str(reason),
        }
    }
}
