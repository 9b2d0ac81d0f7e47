//! The protocol of an inbox.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

use super::mailer::MailAnswer;
use super::template::{Language, Template};

/// Messages that an inbox keeps; the oldest goes first.
pub const MESSAGES_MAX: usize = 200;
/// The most messages of one answer.
pub const PAGE_MAX: usize = 100;
/// The longest name of a cause, in bytes.
pub const CAUSE_BYTES_MAX: usize = 120;
/// The most values that a message carries.
pub const VALUES_MAX: usize = 16;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 200;

/// What an inbox can be asked; the key is the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Tells the user something. Idempotent by the cause: one message for each.
    Deliver {
        /// The id of the event that it tells of.
        cause: String,
        /// What is said.
        template: Template,
        /// What the template's names stand for.
        values: BTreeMap<String, String>,
        /// When the cause happened.
        at: Timestamp,
    },
    /// What the user entity says of how to reach them; nothing when there is no such user.
    Reached {
        /// Of which message.
        number: u64,
        /// Where to.
        contact: Option<Contact>,
    },
    /// What the mail server said.
    Mailed {
        /// Of which message.
        number: u64,
        /// Its answer.
        answer: MailAnswer,
    },
    /// Newest first.
    List {
        /// Only those before this number.
        #[serde(default)]
        before: Option<u64>,
        /// How many, at most [`PAGE_MAX`].
        limit: usize,
    },
    /// Everything up to this number has been read. Idempotent.
    MarkRead {
        /// The newest that was read.
        through: u64,
    },
    /// Replaces the preferences. Idempotent.
    Prefer {
        /// The new ones.
        preferences: Preferences,
    },
    /// The preferences.
    GetPreferences,
    /// The user was erased: everything is forgotten, and nothing comes in any more. Idempotent.
    Erase {
        /// When.
        at: Timestamp,
    },
}

/// How a user is reached; known only while a message is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// E-mail address.
    pub email: String,
    /// Name.
    pub name: String,
}

/// What a user wants to be told, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// In which language.
    #[serde(default)]
    pub language: Language,
    /// Whether by e-mail too; the inbox has every message anyway.
    #[serde(default = "yes")]
    pub email: bool,
    /// What is not to be sent by e-mail.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub muted: BTreeSet<Template>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { language: Language::default(), email: true, muted: BTreeSet::new() }
    }
}

fn yes() -> bool {
    true
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Rises by one with each message of the inbox.
    pub number: u64,
    /// The id of the event that it tells of.
    pub cause: String,
    /// What is said.
    pub template: Template,
    /// What the template's names stand for.
    pub values: BTreeMap<String, String>,
    /// When the cause happened.
    pub at: Timestamp,
    /// What became of the e-mail.
    pub email: Email,
}

/// What became of an e-mail: the delivery log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Email {
    /// None is wanted.
    Unwanted,
    /// The user is asked how to be reached.
    Reaching,
    /// It is being handed to the mail server.
    Sending {
        /// Where to.
        contact: Contact,
        /// In which language.
        language: Language,
    },
    /// The mail server has it.
    Sent {
        /// Since when.
        at: Timestamp,
    },
    /// It can't be sent.
    Failed {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is in the inbox.
    Delivered,
    /// Noted.
    Noted,
    /// Newest first.
    Messages {
        /// A page of them.
        messages: Vec<Message>,
        /// How many are unread.
        unread: u64,
        /// Up to where it was read.
        read_through: u64,
        /// In which language they are to be read.
        language: Language,
    },
    /// The preferences.
    Preferences {
        /// As they are.
        preferences: Preferences,
    },
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// The user was erased.
    #[error("there is no such user any more")]
    Erased,
    /// Cause or values are empty, too long or too many.
    #[error("{field} is not valid")]
    BadField {
        /// Which.
        field: String,
    },
}
