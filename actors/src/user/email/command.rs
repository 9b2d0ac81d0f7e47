//! The protocol of an e-mail.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// What an e-mail can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Claims it for a user who is about to register. The same user again changes nothing.
    Claim {
        /// The key that the user will have.
        user: Key,
    },
    /// Reads whose it is.
    Get,
    /// Gives it up, if it is this user's. A mere claim is settled with the user at once instead, since the
    /// registration may still be on its way.
    Release {
        /// Whose it was.
        user: Key,
    },
    /// Given by the timer: the claim is due and the user has to say.
    ClaimDue,
    /// Given by the user's answer.
    Settle {
        /// Who answered.
        user: Key,
        /// Whether the user holds the e-mail.
        held: bool,
    },
}

/// What an e-mail answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is this user's, or claimed for them.
    Owned {
        /// Whose.
        user: Key,
    },
    /// It is nobody's.
    Free,
}

/// Why an e-mail refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// It is another user's.
    #[error("the e-mail belongs to another user")]
    Taken,
    /// Somebody else is registering with it; if they don't finish it becomes free.
    #[error("another registration with this e-mail is under way")]
    Pending {
        /// When that one is settled at the earliest.
        until: Timestamp,
    },
}
