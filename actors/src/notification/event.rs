//! What happened to an inbox.

use std::collections::BTreeMap;

use nakku_cluster::{Event as ClusterEvent, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{Contact, Preferences};
use super::template::{Language, Template};

/// An event of an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message came.
    Delivered {
        /// Its number.
        number: u64,
        /// The id of the event that it tells of.
        cause: String,
        /// What is said.
        template: Template,
        /// What the template's names stand for.
        values: BTreeMap<String, String>,
        /// When the cause happened.
        at: Timestamp,
        /// Whether it is to be sent by e-mail.
        by_email: bool,
    },
    /// It is known where an e-mail goes.
    Reached {
        /// Of which message.
        number: u64,
        /// Where to.
        contact: Contact,
        /// In which language.
        language: Language,
    },
    /// The mail server has an e-mail.
    Sent {
        /// Of which message.
        number: u64,
        /// The id of the event that it tells of.
        cause: String,
        /// What is said.
        template: Template,
        /// When.
        at: Timestamp,
    },
    /// An e-mail can't be sent.
    Failed {
        /// Of which message.
        number: u64,
        /// The id of the event that it tells of.
        cause: String,
        /// What is said.
        template: Template,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Messages were read.
    Read {
        /// Up to this number.
        through: u64,
    },
    /// The user wants it otherwise.
    Preferred {
        /// From now on.
        preferences: Preferences,
    },
    /// The user was erased.
    Erased {
        /// When.
        at: Timestamp,
    },
}

impl ClusterEvent for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "notification.delivered",
            // Holds an address until the e-mail is sent.
            Self::Reached { .. } => "notification.private.reached",
            Self::Sent { .. } => "notification.sent",
            Self::Failed { .. } => "notification.failed",
            Self::Read { .. } => "notification.read",
            Self::Erased { .. } => "notification.erased",
            Self::Preferred { .. } => "notification.preferred",
        }
    }
}
