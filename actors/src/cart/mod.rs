//! The cart: what a user is about to order from one store; one cart makes one order, whatever the tabs do.
//! Its key is the user's (`u-…`).
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
//! - [`public`]: what the outside is told
//! - `schema/`: its tables

pub mod command;
pub mod decide;
pub mod event;
pub mod outstanding;
pub mod public;
pub mod state;
#[cfg(test)]
mod tests;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Migration, Outstanding, Service};

pub use command::{Command, Contents, Line, Rejection, Reply};
pub use event::Event;
pub use state::State;

/// Its schema.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "carts", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("cart", 8085, MIGRATIONS).entity::<Cart>()
}

/// The cart of one user.
#[derive(Debug)]
pub struct Cart;

impl Entity for Cart {
    const KIND: Kind = Kind { service: "cart", entity: "cart" };
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
