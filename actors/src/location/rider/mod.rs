//! Where a rider was last. One entity per rider, under the user's key. It keeps what is worth a row: a ping that
//! comes soon after the last one, from about the same place, is answered and dropped, and so is one that is late.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
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
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Outstanding};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use state::State;

/// One rider.
#[derive(Debug)]
pub struct Rider;

impl Entity for Rider {
    const KIND: Kind = Kind { service: "location", entity: "rider" };
    const PERSONAL: &'static [&'static str] = &["last", "position", "fix"];
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
