//! The protocol of the directory of webhooks.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// The most endpoints that want something.
pub const SUBSCRIPTIONS_MAX: usize = 200;
/// Endpoints that want nothing any more of which the revision is known; the one that was told of longest ago goes
/// first.
pub const ENDED_MAX: usize = 1_000;

/// What the directory can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// From a webhook: what it wants. Repeated, or after a later revision, it changes nothing.
    Set {
        /// Which.
        endpoint: Key,
        /// How often that had changed.
        revision: u64,
        /// All of it, such as `order.confirmed` or `order.*`; nothing when it is sent nothing.
        types: Vec<String>,
    },
    /// From an intake: where events go.
    Route {
        /// Which.
        events: Vec<Brief>,
    },
}

/// What the directory needs to know of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// In its shard; names it in the answer.
    pub sequence: u64,
    /// Its name.
    pub event_type: String,
    /// When it occurred.
    pub time: Timestamp,
}

/// What the directory answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Noted, now or before.
    Noted,
    /// Where events go.
    Routes {
        /// Those that go anywhere, in the order in which they were named.
        routes: Vec<Route>,
    },
}

/// Where an event goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Which.
    pub sequence: u64,
    /// One at least.
    pub endpoints: Vec<Key>,
}

/// Why the directory refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// It has its most endpoints.
    #[error("there are at most {limit} enabled webhooks")]
    Full {
        /// How many there may be.
        limit: u32,
    },
}
