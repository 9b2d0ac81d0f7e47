//! What an entity hands to the journal, and what the journal releases once it is durable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::oneshot;

use crate::error::Failure;
use crate::handle::Outcome;
use crate::inspect::commits::ShardSeen;
use crate::inspect::observe::Observation;
use crate::reference::{Key, Kind, ShardId};
use crate::store::StateWrite;
use crate::time::Timestamp;
use crate::trace::Step;

use super::{ClaimError, Claimed};

/// One decision on its way to the database, or a read that has to wait for earlier ones.
pub struct Submission {
    /// Where it belongs.
    pub shard: ShardId,
    /// From the claim; a decision of an earlier term is dropped.
    pub term: u64,
    /// Who decided.
    pub kind: Kind,
    /// Who decided.
    pub key: Key,
    /// The events, in order; none for a read.
    pub rows: Vec<NewRow>,
    /// Head and touched parts.
    pub states: Vec<StateWrite>,
    /// Prove by a no-op row that the shard is still this node's, should nothing else do so.
    pub proof: bool,
    /// The entity's mark of what is durable.
    pub durable: Arc<Durable>,
    /// The version that this decision leads to.
    pub version: u64,
    /// What may happen then.
    pub release: Release,
}

/// What of an entity has been committed; shared by the entity and its submissions.
#[derive(Debug, Default)]
pub struct Durable {
    /// Its last committed version.
    pub version: AtomicU64,
    /// Its last committed journal row.
    pub seq: AtomicU64,
}

/// A journal row without what the lane adds: seq, epoch, writer and predecessor.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Of the entity, with this event.
    pub entity_version: u64,
    /// What led to it.
    pub command_id: String,
    /// The event's public name.
    pub event_type: &'static str,
    /// The event as JSON.
    pub payload: Vec<u8>,
    /// When it was decided.
    pub occurred_at: Timestamp,
    /// May be empty.
    pub traceparent: String,
}

/// What is held back until the submission is durable.
#[derive(Default)]
pub struct Release {
    /// The answer to the caller.
    pub reply: Option<(ReplyTo, Outcome)>,
    /// Tells the entity, so that its effects may start.
    pub nudge: Option<Box<dyn FnOnce() + Send>>,
    /// Its span, from hand-in to durable.
    pub step: Option<Step>,
}

/// Where an answer goes. Dropping it unanswered tells the caller that the outcome is unknown.
#[derive(Debug)]
pub struct ReplyTo {
    caller: Option<oneshot::Sender<Outcome>>,
    /// Counts the answer.
    observation: Option<Observation>,
}

impl ReplyTo {
    /// A place to answer, and where the answer arrives.
    pub fn channel() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self { caller: Some(sender), observation: None }, receiver)
    }

    /// With what is to be counted when it is answered.
    #[must_use]
    pub fn observed(mut self, observation: Observation) -> Self {
        self.observation = Some(observation);
        self
    }

    /// Where the command counts among those of its kind, if it is counted.
    pub(crate) fn slot(&self) -> Option<usize> {
        self.observation.as_ref().map(Observation::slot)
    }

    /// Answers. A caller that is gone is none of our business.
    pub fn send(mut self, outcome: Outcome) {
        self.answer(outcome);
    }

    /// Answers with a failure.
    pub fn fail(self, failure: Failure) {
        self.send(Outcome::Failed(failure));
    }

    fn answer(&mut self, outcome: Outcome) {
        let Some(caller) = self.caller.take() else { return };
        if let Some(observation) = self.observation.take() {
            observation.ended(&outcome);
        }
        let _ = caller.send(outcome);
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.answer(Outcome::Failed(Failure::TimedOut));
    }
}

/// Who takes a shard: told what becomes of it.
#[derive(Clone)]
pub struct ShardOwner {
    tell: Arc<dyn Fn(ShardNews) + Send + Sync>,
    /// Of the shard's database; what was durable under a lower one need not be there any more.
    pub(super) incarnation: u64,
    /// The shard's last durable row, raised before anybody hears of what it holds.
    pub(super) durable_seq: Arc<AtomicU64>,
    /// Where its transactions are counted.
    pub(super) seen: Arc<ShardSeen>,
}

/// See [`ShardOwner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardNews {
    /// Decisions were dropped: entities with memory of them must go; later ones carry the new term.
    Reset {
        /// The new term.
        term: u64,
    },
    /// Another node has the shard.
    Lost,
}

impl ShardOwner {
    /// Calls `tell` from the lane; it must not block.
    pub fn new(tell: impl Fn(ShardNews) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), incarnation: 1, durable_seq: Arc::default(), seen: Arc::default() }
    }

    /// With a place for the shard's last durable row.
    #[must_use]
    pub fn noting(self, durable_seq: Arc<AtomicU64>) -> Self {
        Self { durable_seq, ..self }
    }

    /// With the incarnation of the shard's database, 1 unless set.
    #[must_use]
    pub fn under(self, incarnation: u64) -> Self {
        Self { incarnation, ..self }
    }

    /// Its transactions are counted here.
    #[must_use]
    pub(crate) fn seen_by(self, seen: Arc<ShardSeen>) -> Self {
        Self { seen, ..self }
    }

    pub(super) fn tell(&self, news: ShardNews) {
        (self.tell)(news);
    }
}

impl fmt::Debug for ShardOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShardOwner")
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("shard", &self.shard)
            .field("key", &self.key)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

pub(super) type ClaimAnswers = Vec<Result<Claimed, ClaimError>>;

/// What travels in a lane's queue.
#[derive(Debug)]
pub(super) enum LaneMessage {
    Submit(Box<Submission>),
    Claim { shards: Vec<(ShardId, ShardOwner)>, epoch: u64, answer: oneshot::Sender<ClaimAnswers> },
    Close { shard: ShardId, done: oneshot::Sender<()> },
    Barrier { done: oneshot::Sender<()> },
}

impl Submission {
    /// Lets go of what was held back.
    pub(super) fn release(self) {
        drop(self.release.step);
        if let Some((reply, outcome)) = self.release.reply {
            reply.send(outcome);
        }
        if let Some(nudge) = self.release.nudge {
            nudge();
        }
    }

    /// Notes in its span which transaction it was part of.
    pub(super) fn note(&self, lane: usize, batch: u64, commands: usize) {
        if let Some(step) = &self.release.step {
            step.note("outcome", "committed");
            step.note("lane", lane);
            step.note("batch", batch);
            step.note("commands", commands);
        }
    }

    /// Tells the caller that nothing of it has happened.
    pub(super) fn fail(self, failure: Failure) {
        if let Some(step) = self.release.step {
            step.note("outcome", "given back");
        }
        if let Some((reply, _)) = self.release.reply {
            reply.fail(failure);
        }
    }
}
