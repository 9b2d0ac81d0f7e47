//! The payment: an order's money, by card through a provider or in cash at the door. Its key is the order's.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
//! - [`public`]: what the outside is told
//! - [`provider`]: the card network, and a simulated one
//! - `schema/`: its tables

pub mod command;
pub mod decide;
pub mod event;
pub mod outstanding;
pub mod provider;
pub mod public;
pub mod state;
#[cfg(test)]
mod tests;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Migration, Outstanding, Service};

pub use command::{Command, Details, Outcome, Rejection, Reply, Status};
pub use event::Event;
pub use provider::SimulatedCard;
pub use state::State;

/// Its schema.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "payments", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("payment", 8086, MIGRATIONS).entity::<Payment>()
}

/// The payment of one order.
#[derive(Debug)]
pub struct Payment;

impl Entity for Payment {
    const KIND: Kind = Kind { service: "payment", entity: "payment" };
    const PERSONAL: &'static [&'static str] = &["token"];
    const SECRET: &'static [&'static str] = &["token"];
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
