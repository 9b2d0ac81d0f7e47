//! Notifications: what customers are told of their orders, in the app and by e-mail; and what integrators are told of
//! everything, by webhooks.
//!
//! The first entity is a user's inbox; its key is the user's.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`public`]: what the outside is told of it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
//! - [`intake`]: what other services' events mean to it
//! - [`template`]: the texts, in English and Hindi
//! - [`mailer`]: who carries e-mails
//! - [`webhook`]: the endpoint of an integrator
//! - [`webhook_directory`]: which endpoints want which events
//! - [`webhook_intake`]: how events come to endpoints
//! - `schema/`: its tables

pub mod command;
pub mod decide;
pub mod event;
pub mod intake;
pub mod mailer;
pub mod outstanding;
pub mod public;
pub mod state;
pub mod template;
#[cfg(test)]
mod tests;
pub mod webhook;
pub mod webhook_directory;
pub mod webhook_intake;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Migration, Outstanding, Service};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use intake::Notices;
pub use state::State;

/// Its schema.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "inboxes", sql: include_str!("schema/0001_initial.sql") },
    Migration { version: 2, name: "webhooks", sql: include_str!("schema/0002_webhooks.sql") },
];

/// The service with all its entities; those of webhooks only with webhooks. Without them the tables are there all the
/// same, and what they hold rests.
pub fn service(webhooks: bool) -> Service {
    let service = Service::new("notification", 8088, MIGRATIONS).entity::<Inbox>().consumer::<Notices>();
    if !webhooks {
        return service;
    }
    service.entity::<webhook::Webhook>().entity::<webhook_directory::Directory>().consumer::<webhook_intake::Outgoing>()
}

/// What one user is told.
#[derive(Debug)]
pub struct Inbox;

impl Entity for Inbox {
    const KIND: Kind = Kind { service: "notification", entity: "inbox" };
    const PERSONAL: &'static [&'static str] = &["contact", "email", "name", "reason"];
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
