//! A webhook: the endpoint of an integrator, to which the public events that it subscribes to are sent. Its key is
//! the endpoint's id.
//!
//! A delivery is attempted until the endpoint takes it, with growing pauses, for [a day](command::RETRY_FOR); an
//! endpoint that has taken nothing for that long is disabled. All of it follows from the state, so that whoever owns
//! the endpoint next goes on where the last owner stopped. A delivery may be sent more than once, and the order of
//! deliveries is not promised: each carries the event's id, by which a receiver knows what it has had.
//!
//! - [`command`]: what it can be asked, what it answers, why it refuses
//! - [`event`]: what happens to it
//! - [`state`]: what it remembers
//! - [`decide`](mod@decide): how it decides
//! - [`outstanding`](mod@outstanding): what it wants from others
//! - [`public`]: what the outside is told
//! - [`secret`]: what deliveries are signed with
//! - [`sender`]: who sends a delivery, what is asked and answered
//! - [`subscription`]: which events are meant by a type, and which addresses may be given

pub mod command;
pub mod decide;
pub mod event;
pub mod outstanding;
pub mod public;
pub mod secret;
pub mod sender;
pub mod state;
pub mod subscription;
#[cfg(test)]
mod tests;

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Key, Kind, Outstanding};

pub use command::{Command, Rejection, Reply};
pub use event::Event;
pub use secret::SigningSecret;
pub use state::State;

/// The endpoint of an integrator.
#[derive(Debug)]
pub struct Webhook;

impl Entity for Webhook {
    const KIND: Kind = Kind { service: "notification", entity: "webhook" };
    const PERSONAL: &'static [&'static str] = &["secret", "previous", "data"];
    const SECRET: &'static [&'static str] = &["secret", "previous"];
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
