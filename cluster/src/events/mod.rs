//! Events for the outside: from the journal, in the order of each shard, to whoever consumes them.
//!
//! The journal is the outbox. The owner of a shard publishes its committed rows in order and records how far
//! it got; the next owner goes on from there. Consumers are entities that keep a high-water mark for each
//! source shard beside their effect, so that what comes twice changes nothing and nothing is passed over.
//!
//! - `envelope`: one event as it travels, a CloudEvent
//! - `intake`: the entity that consumes one source shard, once for all services that consume

mod envelope;
pub mod intake;

pub use envelope::{Envelope, PublicEvent};
pub use intake::{Consumer, ConsumerType, DeadLetter, Intake};
