//! Analytics: what was sold, when, where and how fast, in sums that are kept as the events of all other
//! services come in.
//!
//! Each shard of each service has an intake here, which holds the sums of that shard's events beside its
//! high-water mark, so that every event counts once. Whoever asks merges what the intakes say; an event says all
//! that has to be known of it, so that no intake needs another.
//!
//! - [`command`]: what an intake can be asked and answers
//! - [`event`]: what an event of another service says to it
//! - [`consumer`]: from that service's event to this one's
//! - [`bucket`]: hours and days
//! - [`sums`]: what is summed up
//! - [`carts`]: which carts are in use
//! - [`state`]: what it remembers, and how an event changes it
//! - [`decide`](mod@decide): how it answers
//! - [`outstanding`](mod@outstanding): what it wants from others: nothing
//! - [`public`]: what the outside is told: nothing
//! - `schema/`: its table

pub mod bucket;
pub mod carts;
pub mod command;
pub mod consumer;
pub mod decide;
pub mod event;
pub mod outstanding;
pub mod public;
pub mod state;
pub mod sums;
#[cfg(test)]
mod tests;

use nakku_cluster::events::{Consumer, Intake, SealedEnvelope};
use nakku_cluster::{Context, Decision, Kind, Migration, Outstanding, Service};

pub use bucket::Resolution;
pub use command::{Command, Grouping, Reply};
pub use event::Event;
pub use state::State;
pub use sums::{Punctuality, Sold, Sums};

/// Its schema.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "intakes", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("analytics", 8090, MIGRATIONS).consumer::<Analytics>()
}

/// Consumes the events of all other services.
#[derive(Debug)]
pub struct Analytics;

impl Consumer for Analytics {
    const KIND: Kind = Kind { service: "analytics", entity: "intake" };
    const GROUP: &'static str = "nakku-analytics";
    const SOURCES: &'static [&'static str] =
        &["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location"];

    type State = State;
    type Event = Event;
    type Command = Command;
    type Reply = Reply;

    fn consume(event: &SealedEnvelope) -> Result<Vec<Event>, String> {
        consumer::consume(event).map(|event| vec![event])
    }

    fn decide(state: &State, command: Command, _context: &mut Context) -> Decision<Event, Reply> {
        Decision::reply(decide::decide(state, command))
    }

    fn evolve(state: &mut State, event: &Event) {
        state.evolve(event);
    }

    fn outstanding(state: &State) -> Outstanding<Intake<Self>> {
        outstanding::outstanding(state)
    }
}
