//! One e-mail. It belongs to one user at most, because it is one entity, named by its value.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`]: what it wants from others
//! - [`public`]: what the outside is told

pub mod command;
pub mod decide;
pub mod event;
pub mod outstanding;
pub mod public;
pub mod state;
#[cfg(test)]
mod tests;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Outstanding, Ref};
use sha2::{Digest, Sha256};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use state::State;

use crate::digest::hex;

/// The longest e-mail, in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// The longest part before the `@`, in bytes (RFC 5321, section 4.5.3.1.1).
pub const LOCAL_PART_BYTES_MAX: usize = 64;

/// One e-mail.
#[derive(Debug)]
pub struct Email;

/// Why a text is no e-mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail is name@domain of at most {EMAIL_BYTES_MAX} bytes, without blanks")]
pub struct NotAnEmail;

/// The form in which e-mails are compared: without blanks around, in lower case.
///
/// Only what certainly is none is refused; whether mail arrives can only be found out by sending one.
///
/// # Errors
/// When it is none.
pub fn normalise(text: &str) -> Result<String, NotAnEmail> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@').ok_or(NotAnEmail)?;
    let clean = !email.chars().any(|character| character.is_whitespace() || character.is_control());
    let local_fits = !local.is_empty() && local.len() <= LOCAL_PART_BYTES_MAX && !local.contains('@');
    let labels_fit = domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    });
    if clean && local_fits && labels_fit && domain.contains('.') && email.len() <= EMAIL_BYTES_MAX {
        Ok(email)
    } else {
        Err(NotAnEmail)
    }
}

/// The entity of an e-mail that has been [normalised](normalise): `e-` and the hex of its SHA-256.
pub fn reference(normalised: &str) -> Ref<Email> {
    let digest = hex(&Sha256::digest(normalised.as_bytes()));
    Ref::new(Key::new(format!("e-{digest}")).expect("hex digits make a key"))
}

impl Entity for Email {
    const KIND: Kind = Kind { service: "user", entity: "email" };
    type State = State;
    type Command = Command;
    type Reply = Reply;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(state: &State, command: Command, context: &mut Context) -> Result<Decision<Event, Reply>, Rejection> {
        decide::decide(state, command, context)
    }

    fn evolve(state: &mut State, event: &Event) {
        state.evolve(event);
    }

    fn outstanding(state: &State) -> Outstanding<Self> {
        outstanding::outstanding(state)
    }

    fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
        public::publish(key, event)
    }
}
