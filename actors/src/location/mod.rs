//! Where things are: one entity per store, under the store's key, holds its place, its hours and the zones that it
//! serves; the [directory] knows all of them at once and answers who serves an address, for what fee, and how soon;
//! one entity per [rider] holds where they were last.
//!
//! What happens to a store or a rider is told to the directory by effects that are repeated until they are
//! answered. The directory is a moment behind at most, and asks nobody when it is asked.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
//! - [`public`]: what the outside is told
//! - `schema/`: the tables of the service
//! - [`area`]: the shape of a zone
//! - [`hours`]: when a store is open
//! - [`directory`]: who serves an address, and who is near
//! - [`rider`]: where a rider was last

pub mod area;
pub mod command;
pub mod decide;
pub mod directory;
pub mod event;
pub mod hours;
pub mod outstanding;
pub mod public;
pub mod rider;
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
    &[Migration { version: 1, name: "stores, directory and riders", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("location", 8089, MIGRATIONS)
        .entity::<Store>()
        .entity::<directory::Directory>()
        .entity::<rider::Rider>()
}

/// The place of one store.
#[derive(Debug)]
pub struct Store;

impl Entity for Store {
    const KIND: Kind = Kind { service: "location", entity: "store" };
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
