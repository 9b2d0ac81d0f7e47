//! The directory of webhooks: which endpoints want which events, in the memory of one entity. Its key is [`KEY`].
//!
//! Each webhook tells it what it wants, with a revision that only rises; what comes late or twice changes nothing.
//! The [intake](super::webhook_intake) asks it where events go. An endpoint is sent what occurred from the time at
//! which the directory was told, by the clock of the node that decided the event, and nothing that occurred before.
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
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Outstanding, Ref};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use state::State;

/// The key of the one directory.
pub const KEY: &str = "all";

/// The one directory.
pub fn reference() -> Ref<Directory> {
    Ref::new(Key::new(KEY).expect("the directory's key is well formed"))
}

/// The directory.
#[derive(Debug)]
pub struct Directory;

impl Entity for Directory {
    const KIND: Kind = Kind { service: "notification", entity: "webhook_directory" };
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
