//! The people: who they are, how they log in, what they may do. One entity per user (`u-…`), and one per
//! e-mail, which is what makes an e-mail unique.
//!
//! To register, the edge first has the e-mail [claimed](email) for the key that the new user will have, then
//! sends [`Command::Register`] to that key. A claim whose registration never comes is settled by the e-mail,
//! which asks the user: either the user holds it or never will.
//!
//! A user who is erased leaves a tombstone under the key: when, by whom and why, as codes. The user itself has the
//! e-mail freed, the cart closed and a rider's whereabouts forgotten; consumers of events hear `user.erased`.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`]: what it wants from others
//! - [`public`]: what the outside is told
//! - `schema/`: the tables of the service
//! - [`email`]: the entity that makes an e-mail unique
//! - [`password`]: hashing and checking passwords
//! - [`token`]: refresh tokens as they travel

pub mod command;
pub mod decide;
pub mod email;
#[cfg(test)]
mod erasure_tests;
pub mod event;
pub mod outstanding;
pub mod password;
pub mod public;
pub mod state;
#[cfg(test)]
mod tests;
pub mod token;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Migration, Outstanding, Service};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use state::State;

/// Its schema.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "users and e-mails", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("user", 8081, MIGRATIONS).entity::<User>().entity::<email::Email>()
}

/// One user.
#[derive(Debug)]
pub struct User;

impl Entity for User {
    const KIND: Kind = Kind { service: "user", entity: "user" };
    const PERSONAL: &'static [&'static str] = &[
        "email",
        "name",
        "secrets",
        "password",
        "password_hash",
        "token_hash",
        "current",
        "previous",
        "label",
        "line",
        "city",
        "pin_code",
        "position",
    ];
    const SECRET: &'static [&'static str] =
        &["secrets", "password", "password_hash", "token_hash", "current", "previous"];
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
