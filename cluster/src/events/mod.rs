//! Events for the outside: from the journal, in the order of each shard, to whoever consumes them.
//!
//! The journal is the outbox. The owner of a shard publishes its committed rows in order and records how far
//! it got; the next owner goes on from there. Consumers are entities that keep a high-water mark for each
//! source shard beside their effect, so that what comes twice changes nothing and nothing is passed over.
//!
//! - `envelope`: one event as it travels, a CloudEvent; `written`: what it says, as text
//! - `outbox`: committed rows on their way
//! - `publisher`: takes them to a sink, in order, and remembers how far
//! - `sink`: where they go; `local`: straight to the consumers of this cluster; `kafka`: to a
//!   broker, and from there
//! - `live`: what happens, as it happens, for those who watch; `wishes`: whose events somebody wants to watch
//! - `feed`: hands events to an intake, with patience and dead letters
//! - `dead_letters`: what could not be processed, as an operator sees it
//! - `intake`: the entity that consumes one source shard, once for all services that consume; `judge`: what an
//!   event is to it
//! - `rebuild`: gathers anew what an intake has gathered

pub mod dead_letters;
mod envelope;
mod feed;
pub mod intake;
mod judge;
pub mod kafka;
pub mod live;
mod local;
mod outbox;
mod publisher;
pub mod rebuild;
mod sink;
mod wishes;
mod written;

pub use envelope::{Envelope, PublicEvent, SealedEnvelope};
pub use feed::FeedError;
pub use intake::{Consumer, ConsumerType, DeadLetter, Intake};
pub use live::{BUFFERED_MAX as LIVE_BUFFERED_MAX, Live, Signal, Watch};
pub use sink::{EventSink, SinkError};
pub use written::Written;

pub(crate) use feed::Feeder;
pub(crate) use live::Spread;
pub(crate) use local::LocalSink;
pub(crate) use outbox::{Lag, Outboxes};
pub(crate) use publisher::{Publishing, of_row, start};
pub(crate) use rebuild::{Journals, Page};
