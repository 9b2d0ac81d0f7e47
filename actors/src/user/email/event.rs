//! What happens to an e-mail.

use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was claimed for a user who is about to register.
    Claimed {
        /// The e-mail's own key.
        email: Key,
        /// For whom.
        user: Key,
        /// When the user is asked whether the registration took place.
        due_at: Timestamp,
    },
    /// The claim became due; the user is being asked.
    Questioned {},
    /// The user holds it for good.
    Confirmed {
        /// Who.
        user: Key,
    },
    /// It is nobody's again.
    Released {
        /// Whose it was.
        user: Key,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Claimed { .. } => "user.email.claimed",
            Self::Questioned {} => "user.email.questioned",
            Self::Confirmed { .. } => "user.email.confirmed",
            Self::Released { .. } => "user.email.released",
        }
    }
}
