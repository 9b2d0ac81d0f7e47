//! How entities are asked: a typed reference, a deadline, a trace, a command id and the chain of callers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reference::Address;
use crate::time::Timestamp;
use crate::trace::Traceparent;

/// What goes with a command.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How long the caller waits, in all, including every repetition on the way.
    pub deadline: Duration,
    /// Set by the edge for a command that is not idempotent by itself: the entity remembers id and reply
    /// until the expiry, answers a repetition with the same reply, and refuses it after.
    pub once: Option<Once>,
    /// The trace that it belongs to, with the caller's span as the parent.
    pub traceparent: Option<Traceparent>,
    /// Who waits for this, outermost first.
    pub chain: Vec<Address>,
}

/// See [`Ask::once`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// At most 64 bytes, unique for the entity.
    pub id: String,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

impl Ask {
    /// A command that is a read or idempotent by business key.
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, once: None, traceparent: None, chain: Vec::new() }
    }

    /// Makes the entity execute the command at most once under this id.
    #[must_use]
    pub fn once(mut self, id: impl Into<String>, expires_at: Timestamp) -> Self {
        self.once = Some(Once { id: id.into(), expires_at });
        self
    }

    /// Continues a trace.
    #[must_use]
    pub fn traced(mut self, traceparent: Option<Traceparent>) -> Self {
        self.traceparent = traceparent;
        self
    }
}

/// A reply, and the version of the entity's state that it rests on.
#[derive(Clone, Debug)]
pub struct Answered<R> {
    /// The reply.
    pub reply: R,
    /// How many events the entity had had then.
    pub entity_version: u64,
}
