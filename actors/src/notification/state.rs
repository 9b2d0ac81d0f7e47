//! What an inbox remembers: preferences, how far it was read, and the newest messages.

use nakku_cluster::{EntityState, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{Email, MESSAGES_MAX, Message, Preferences};
use super::event::Event;

/// A user's inbox.
#[derive(Debug, Default)]
pub struct State {
    /// Everything but the messages.
    pub head: Head,
    /// By number.
    pub messages: Parts<u64, Message>,
}

/// Everything but the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the last message.
    pub last_number: u64,
    /// The newest that was read.
    #[serde(default)]
    pub read_through: u64,
    /// What the user wants.
    #[serde(default)]
    pub preferences: Preferences,
    /// When the user was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
}

impl State {
    /// Whether a message tells of this cause.
    pub fn knows(&self, cause: &str) -> bool {
        self.messages.values().any(|message| message.cause == cause)
    }

    /// How many messages are unread.
    pub fn unread(&self) -> u64 {
        self.messages.iter_after(Some(&self.head.read_through)).count() as u64
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Delivered { number, cause, template, values, at, by_email } => {
                self.head.last_number = *number;
                let message = Message {
                    number: *number,
                    cause: cause.clone(),
                    template: *template,
                    values: values.clone(),
                    at: *at,
                    email: if *by_email { Email::Reaching } else { Email::Unwanted },
                };
                self.messages.insert(*number, message);
                let oldest = self.messages.keys().next().copied();
                if let Some(oldest) = oldest.filter(|_| self.messages.len() > MESSAGES_MAX) {
                    self.messages.remove(&oldest);
                }
            }
            Event::Reached { number, contact, language } => {
                self.set_email(*number, Email::Sending { contact: contact.clone(), language: *language });
            }
            Event::Sent { number, at, .. } => self.set_email(*number, Email::Sent { at: *at }),
            Event::Failed { number, at, reason, .. } => {
                self.set_email(*number, Email::Failed { at: *at, reason: reason.clone() });
            }
            Event::Read { through } => self.head.read_through = *through,
            Event::Preferred { preferences } => self.head.preferences = preferences.clone(),
            Event::Erased { at } => {
                // Numbers go on, so that a late answer about an e-mail finds no other message.
                self.head = Head { last_number: self.head.last_number, erased: Some(*at), ..Head::default() };
                self.messages.clear();
            }
        }
    }

    fn set_email(&mut self, number: u64, email: Email) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.email = email;
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

    fn is_erased(&self) -> bool {
        self.head.erased.is_some()
    }

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("message", &mut self.messages)]
    }
}
