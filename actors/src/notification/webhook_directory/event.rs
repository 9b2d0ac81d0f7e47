//! What happens to the directory of webhooks.

use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An endpoint wants something else.
    Set {
        /// Which.
        endpoint: Key,
        /// How often that had changed.
        revision: u64,
        /// What.
        types: Vec<String>,
        /// From when on it is sent what it did not want before.
        at: Timestamp,
        /// An endpoint of which nothing is known from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forgotten: Option<Key>,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Set { .. } => "webhook_directory.set",
        }
    }
}
