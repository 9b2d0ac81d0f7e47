//! A rider at work: where, and what is on their list. One entity per rider, under the user's key. It decidesn//! whether the rider is on a roster; what a delivery does is decided by the delivery.
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
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Outstanding};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use state::State;

/// One rider.
#[derive(Debug)]
pub struct Rider;

impl Entity for Rider {
    const KIND: Kind = Kind { service: "delivery", entity: "rider" };
    const PERSONAL: &'static [&'static str] = &["address"];
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
