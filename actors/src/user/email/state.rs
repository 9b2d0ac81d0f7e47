//! What an e-mail remembers: whose it is.

use nakku_cluster::{EntityState, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::Event;

/// An e-mail's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whose it is.
    pub head: Head,
}

/// Whose an e-mail is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The e-mail's own key, known since the first claim; the user is asked about it.
    pub email: Option<Key>,
    /// Whose.
    pub ownership: Ownership,
    /// How many claims there have been; tells the questions about them apart.
    pub claims: u64,
}

/// Whose an e-mail is, and how surely.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ownership", rename_all = "snake_case")]
pub enum Ownership {
    /// Nobody's.
    #[default]
    Free,
    /// Claimed for a user who may be about to register.
    Claimed {
        /// For whom.
        user: Key,
        /// When the user is asked.
        due_at: Timestamp,
    },
    /// The user is being asked.
    Questioned {
        /// Who.
        user: Key,
    },
    /// A user's for good.
    Held {
        /// Whose.
        user: Key,
    },
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Claimed { email, user, due_at } => {
                head.email = Some(email.clone());
                head.claims += 1;
                head.ownership = Ownership::Claimed { user: user.clone(), due_at: *due_at };
            }
            Event::Questioned {} => {
                if let Ownership::Claimed { user, .. } = &head.ownership {
                    head.ownership = Ownership::Questioned { user: user.clone() };
                }
            }
            Event::Confirmed { user } => head.ownership = Ownership::Held { user: user.clone() },
            Event::Released { .. } => head.ownership = Ownership::Free,
        }
    }
}

impl EntityState for State {
    type Head = Head;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
}
