//! The order: the saga from its placing to the customer's door. Only the order decides what becomes of it;
//! stock, cart, payment and delivery do as it says, and ask it when they hear nothing. Its key is
//! [`order_key`]'s.
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

pub use command::{
    CancelReason, Command, DeliveryStep, Details, Granted, Line, PaymentMethod, Placement, Rejection, Reply, Status,
    Summary,
};
pub use event::Event;
pub use state::State;

use crate::digest::short_digest;

/// Its schema.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "orders", sql: include_str!("schema/0001_initial.sql") }];

/// The service with all its entities.
pub fn service() -> Service {
    Service::new("order", 8084, MIGRATIONS).entity::<Order>()
}

/// The key of a user's order: it follows from the Idempotency-Key under which it is placed, so that a
/// repetition finds the same order wherever it arrives. Cart, order and payment share the user's shard.
///
/// # Panics
/// When the user's key is longer than 100 bytes, which no user's is.
pub fn order_key(user: &Key, idempotency_key: &str) -> Key {
    let digest = short_digest(&[user.as_str().as_bytes(), idempotency_key.as_bytes()]);
    Key::new(format!("{user}.o-{digest}")).expect("a user's key and a digest make a key")
}

/// Whose order it is, by the order's key.
///
/// # Panics
/// Never: what stands before a key's first dot is a key.
pub fn customer_of(order: &Key) -> Key {
    Key::new(order.shard_key()).expect("what stands before a key's first dot is a key")
}

/// One order.
#[derive(Debug)]
pub struct Order;

impl Entity for Order {
    const KIND: Kind = Kind { service: "order", entity: "order" };
    const PERSONAL: &'static [&'static str] = &["address", "token", "cancel_requested", "detail", "fingerprint"];
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
