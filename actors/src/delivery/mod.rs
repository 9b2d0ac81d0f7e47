//! Bringing orders to the door. One entity per delivery, under its order's key; a [roster] per store says who
//! is free; a work list per [rider] shows what they have in hand.
//!
//! A delivery asks the roster of its store for a rider, offers itself to the one that it gets, and asks again
//! when the offer lapses. The roster alone says who is kept for what, so that a rider has one delivery at
//! most. Every step is told to the order, to the rider's list and, at the end, to the roster, by effects that
//! are repeated until they are answered.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`]: what it wants from others
//! - [`public`]: what the outside is told
//! - `schema/`: the tables of the service
//! - [`roster`]: who is free at a store
//! - [`rider`]: a rider's work list

pub mod command;
pub mod decide;
pub mod event;
pub mod outstanding;
pub mod public;
pub mod rider;
pub mod roster;
pub mod state;
#[cfg(test)]
mod tests;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Migration, Outstanding, Service};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use state::State;

/// Its schema.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "deliveries, rosters and riders", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("delivery", 8087, MIGRATIONS).entity::<Delivery>().entity::<roster::Roster>().entity::<rider::Rider>()
}

/// One delivery.
#[derive(Debug)]
pub struct Delivery;

impl Entity for Delivery {
    const KIND: Kind = Kind { service: "delivery", entity: "delivery" };
    const PERSONAL: &'static [&'static str] = &["address", "reason"];
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
