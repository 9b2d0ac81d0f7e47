//! The directory: every store with its zones and every rider with their last position, in the memory of one entity,
//! so that an address is looked up among all zones at once. Its key is [`KEY`].
//!
//! Stores and riders tell it what has changed, each with a revision that only rises; what comes late or twice
//! changes nothing.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
//! - [`public`]: what the outside is told
//! - [`index`]: zones and riders by where they are

pub mod command;
pub mod decide;
pub mod event;
pub mod index;
pub mod outstanding;
pub mod public;
pub mod state;
#[cfg(test)]
mod tests;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Outstanding, Ref};

pub use command::{Command, Rejection, Reply, Serviceability};
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
    const KIND: Kind = Kind { service: "location", entity: "directory" };
    const PERSONAL: &'static [&'static str] = &["position"];
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
