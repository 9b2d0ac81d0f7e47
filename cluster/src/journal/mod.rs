//! The journal writer: makes decisions durable, many in one transaction, before anyone hears of them.
//!
//! One [`Journal`] serves one database server. It has a few lanes; a shard's number fixes its lane, so a
//! shard has one transaction in flight. While a lane commits one batch the next gathers in its queue. No
//! reply, read or effect is released before the batch that it rests on has been committed.
//!
//! - `submission`: what an entity hands in, and what is released when it is durable
//! - `batch`: from submissions to numbered rows
//! - `lane`: gather, commit, release; claims and closings of shards in between
//! - `resolve`: what follows from a collision, a lost session or a refusing server

mod batch;
mod lane;
mod resolve;
mod submission;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::error::Failure;
use crate::inspect::commits::LaneSeen;
use crate::reference::ShardId;
use crate::store::{JournalRow, Store};
use crate::time::Timestamp;

pub use submission::{Durable, NewRow, Release, ReplyTo, ShardNews, ShardOwner, Submission};

use lane::Lane;
use submission::LaneMessage;

/// Hears of every row that has been committed, in the order of each shard. Called from the lane; it must not
/// block.
pub type OnCommit = Arc<dyn Fn(Vec<(&'static str, JournalRow)>) + Send + Sync>;

/// Limits of a journal.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Sessions that commit side by side. SQLite has one writer, so one lane.
    pub lanes: usize,
    /// Submissions that may wait in a lane.
    pub queue_max: usize,
    /// Submissions in one transaction.
    pub batch_max: usize,
    /// Mutation: see the lane.
    #[cfg(test)]
    pub claims_omitted: bool,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            lanes: 2,
            queue_max: 8192,
            batch_max: 512,
            #[cfg(test)]
            claims_omitted: false,
        }
    }
}

/// The writer to one database server.
#[derive(Debug)]
pub struct Journal {
    lanes: Vec<mpsc::Sender<LaneMessage>>,
    /// Of each lane.
    seen: Vec<Arc<LaneSeen>>,
    location: String,
}

/// Room in a lane's queue, taken before the entity decides: what has been decided always fits.
#[derive(Debug)]
pub struct Permit(mpsc::OwnedPermit<LaneMessage>);

/// A shard that has been claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The shard.
    pub shard: ShardId,
    /// Submissions must carry it; it changes when decisions were dropped.
    pub term: u64,
    /// The time of the shard's last row: context time goes on from there.
    pub last_time: Timestamp,
    /// The shard's last row: the claim.
    pub last_seq: u64,
}

/// Why a shard was not claimed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Another node has claimed it under this view or a later one.
    #[error("{shard} belongs to {writer} since view {epoch}")]
    Superseded {
        /// The shard.
        shard: ShardId,
        /// Who has it.
        writer: String,
        /// Since when.
        epoch: u64,
    },
    /// The database is away; try again.
    #[error("{shard} could not be claimed: {cause}")]
    Unavailable {
        /// The shard.
        shard: ShardId,
        /// What the database said.
        cause: String,
    },
    /// The database has forgotten rows that were durable: a replica was promoted too early, or an old
    /// backup restored. The shard stays closed until an operator has looked and raised the incarnation.
    #[error("{shard} ends at row {last_seq}, but row {known_seq} was durable; the database went back in time")]
    Regressed {
        /// The shard.
        shard: ShardId,
        /// What the database has.
        last_seq: u64,
        /// What is known to have been there.
        known_seq: u64,
    },
}

impl Journal {
    /// Starts the lanes of one server; `writer` names this life of this node in every row.
    pub fn start(
        store: Arc<dyn Store>,
        writer: Arc<str>,
        settings: &JournalSettings,
        on_commit: Option<OnCommit>,
    ) -> Arc<Self> {
        let location = store.location().to_owned();
        let seen: Vec<Arc<LaneSeen>> = (0..settings.lanes.max(1)).map(|_| Arc::default()).collect();
        let lanes = seen
            .iter()
            .enumerate()
            .map(|(number, seen)| {
                let (sender, receiver) = mpsc::channel(settings.queue_max);
                #[cfg_attr(not(test), expect(unused_mut, reason = "the test build sets a mutation"))]
                let mut lane = Lane::new(
                    number,
                    Arc::clone(&store),
                    Arc::clone(&writer),
                    settings.batch_max,
                    on_commit.clone(),
                    Arc::clone(seen),
                );
                #[cfg(test)]
                {
                    lane.claims_omitted = settings.claims_omitted;
                }
                tokio::spawn(lane.run(receiver));
                sender
            })
            .collect();
        Arc::new(Self { lanes, seen, location })
    }

    /// Room for one submission.
    ///
    /// # Errors
    /// `Overloaded` when the lane's queue is full; nothing should then be decided.
    pub fn reserve(&self, shard: ShardId) -> Result<Permit, Failure> {
        let lane = self.lane(shard).clone();
        lane.try_reserve_owned()
            .map(Permit)
            .map_err(|_| Failure::Overloaded { queue: format!("journal of {}", self.location), retry_after_ms: 200 })
    }

    /// Waits for room.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn reserve_waiting(&self, shard: ShardId) -> Result<Permit, Failure> {
        let lane = self.lane(shard).clone();
        lane.reserve_owned().await.map(Permit).map_err(|_| stopped())
    }

    /// Takes shards under a view version: a claim row each. The answers are in the order of the shards.
    pub async fn claim(&self, shards: &[(ShardId, ShardOwner)], epoch: u64) -> Vec<Result<Claimed, ClaimError>> {
        let mut answers: Vec<Option<Result<Claimed, ClaimError>>> = vec![None; shards.len()];
        let mut waiting = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            let (places, own): (Vec<usize>, Vec<(ShardId, ShardOwner)>) = shards
                .iter()
                .enumerate()
                .filter(|(_, (shard, _))| self.lane_number(*shard) == number)
                .map(|(place, shard)| (place, shard.clone()))
                .unzip();
            if own.is_empty() {
                continue;
            }
            let (answer, answered) = oneshot::channel();
            if lane.send(LaneMessage::Claim { shards: own, epoch, answer }).await.is_ok() {
                waiting.push((places, answered));
            }
        }
        for (places, answered) in waiting {
            for (place, result) in places.into_iter().zip(answered.await.unwrap_or_default()) {
                answers[place] = Some(result);
            }
        }
        answers
            .into_iter()
            .zip(shards)
            .map(|(answer, (shard, _))| {
                answer.unwrap_or_else(|| {
                    Err(ClaimError::Unavailable { shard: *shard, cause: "the journal has stopped".into() })
                })
            })
            .collect()
    }

    /// Commits what is queued for the shard and refuses everything after.
    pub async fn close(&self, shard: ShardId) {
        let (done, closed) = oneshot::channel();
        if self.lane(shard).send(LaneMessage::Close { shard, done }).await.is_ok() {
            // An error means that the lane has ended: then nothing is queued either.
            let _ = closed.await;
        }
    }

    /// The same for a shard to which nothing was handed in: it need not be waited for. A lane whose queue is full keeps
    /// the shard until it is claimed anew, which harms nobody.
    pub(crate) fn close_unused(&self, shard: ShardId) {
        let (done, _) = oneshot::channel();
        let _ = self.lane(shard).try_send(LaneMessage::Close { shard, done });
    }

    /// Waits until everything that was handed in before has been settled.
    pub async fn barrier(&self, shard: ShardId) {
        let (done, settled) = oneshot::channel();
        if self.lane(shard).send(LaneMessage::Barrier { done }).await.is_ok() {
            let _ = settled.await;
        }
    }

    /// Each lane: what is counted of it, how much waits in its queue, and how much may.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (&LaneSeen, usize, usize)> {
        self.seen.iter().zip(&self.lanes).map(|(seen, queue)| {
            let room = queue.max_capacity();
            (&**seen, room - queue.capacity(), room)
        })
    }

    fn lane_number(&self, shard: ShardId) -> usize {
        shard.number as usize % self.lanes.len()
    }

    fn lane(&self, shard: ShardId) -> &mpsc::Sender<LaneMessage> {
        &self.lanes[self.lane_number(shard)]
    }
}

impl Permit {
    /// Hands in what has been decided.
    pub fn submit(self, submission: Submission) {
        self.0.send(LaneMessage::Submit(Box::new(submission)));
    }
}

fn stopped() -> Failure {
    Failure::Unavailable { what: "the journal".into(), retry_after_ms: 1000 }
}
