//! A lane: one session of the database, one transaction at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::error::Failure;
use crate::inspect::commits::LaneSeen;
use crate::metrics;
use crate::outage::Outage;
use crate::reference::ShardId;
use crate::store::{Batch, CommitError, Store, StoreWriter};

use super::OnCommit;
use super::batch::{Numbered, Position, number};
use super::submission::{LaneMessage, ShardNews, ShardOwner, Submission};

/// How often a transaction is repeated after deadlocks and lock waits (each up to a second) in a row.
const REPEATS_MAX: u32 = 30;
/// How often a server that can't be reached is tried before the waiting decisions are given back.
const CONNECTS_MAX: u32 = 3;

pub(super) struct Lane {
    number: usize,
    pub(super) store: Arc<dyn Store>,
    pub(super) writer: Arc<str>,
    batch_max: usize,
    session: Option<Box<dyn StoreWriter>>,
    pub(super) open: HashMap<ShardId, OpenShard>,
    /// The highest seq known to be durable, also of shards that are not open.
    pub(super) known_seqs: HashMap<ShardId, KnownSeq>,
    last_term: u64,
    on_commit: Option<OnCommit>,
    /// Committed so far.
    batches: u64,
    seen: Arc<LaneSeen>,
    outage: Outage,
    /// Mutation: shards are taken without a claim row. The test build turns it on to see that tests notice.
    #[cfg(test)]
    pub(super) claims_omitted: bool,
}

/// A row that was durable under an incarnation of the database.
#[derive(Clone, Copy)]
pub(super) struct KnownSeq {
    pub seq: u64,
    pub incarnation: u64,
}

pub(super) struct OpenShard {
    pub position: Position,
    pub term: u64,
    pub owner: ShardOwner,
}

impl Lane {
    pub(super) fn new(
        number: usize,
        store: Arc<dyn Store>,
        writer: Arc<str>,
        batch_max: usize,
        on_commit: Option<OnCommit>,
        seen: Arc<LaneSeen>,
    ) -> Self {
        Self {
            number,
            store,
            writer,
            batch_max: batch_max.max(1),
            session: None,
            open: HashMap::new(),
            known_seqs: HashMap::new(),
            last_term: 0,
            on_commit,
            batches: 0,
            seen,
            outage: Outage::default(),
            #[cfg(test)]
            claims_omitted: false,
        }
    }

    /// Runs until every sender is gone and the queue is empty.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<LaneMessage>) {
        let mut gathered = Vec::with_capacity(self.batch_max);
        while queue.recv_many(&mut gathered, self.batch_max).await > 0 {
            let mut submissions = Vec::with_capacity(gathered.len());
            for message in gathered.drain(..) {
                match message {
                    LaneMessage::Submit(submission) => submissions.push(submission),
                    LaneMessage::Claim { shards, epoch, answer } => {
                        self.flush(std::mem::take(&mut submissions)).await;
                        // A caller that is gone has dropped the shards; the claims do no harm.
                        let _ = answer.send(self.claim(shards, epoch).await);
                    }
                    LaneMessage::Close { shard, done } => {
                        // Many shards close in a move: those that nothing was handed in to need no commit of their own.
                        if submissions.iter().any(|submission| submission.shard == shard) {
                            self.flush(std::mem::take(&mut submissions)).await;
                        }
                        self.open.remove(&shard);
                        let _ = done.send(());
                    }
                    LaneMessage::Barrier { done } => {
                        self.flush(std::mem::take(&mut submissions)).await;
                        let _ = done.send(());
                    }
                }
            }
            self.flush(submissions).await;
        }
        tracing::debug!(lane = self.number, "journal lane ended");
    }

    /// Commits the submissions, or gives each back with the reason.
    async fn flush(&mut self, submissions: Vec<Box<Submission>>) {
        let mut submissions = self.current(submissions);
        let mut repeats = 0;
        let mut connects = 0;
        while !submissions.is_empty() {
            let mut numbered = number(&submissions, |shard| self.open[&shard].position, &self.writer);
            if numbered.batch.journal.is_empty() {
                submissions.into_iter().for_each(|read| read.release());
                return;
            }
            let began = Instant::now();
            self.seen.begins();
            let outcome = self.commit(&numbered.batch).await;
            self.seen.ends(outcome.as_ref().err());
            let error = match outcome {
                Ok(()) => {
                    metrics::committed(&self.store, submissions.len(), numbered.batch.journal.len(), began.elapsed());
                    self.committed(numbered, submissions, began.elapsed());
                    return;
                }
                Err(error) => error,
            };
            metrics::commit_failed(&error);
            self.tell(submissions.len(), &error);
            match error {
                CommitError::Collision if repeats < REPEATS_MAX => {
                    repeats += 1;
                    match self.lost_shards(&numbered).await {
                        Ok(lost) => submissions = self.drop_shards(&lost, submissions),
                        Err(error) => return self.give_back(submissions, &unavailable(&error.to_string())),
                    }
                }
                CommitError::Gap { shards } if repeats < REPEATS_MAX => {
                    repeats += 1;
                    submissions = self.drop_behind(&shards, submissions);
                }
                CommitError::Repeat(_) if repeats < REPEATS_MAX => repeats += 1,
                CommitError::NotBegun(_) if connects < CONNECTS_MAX => {
                    connects += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                CommitError::Unknown(_) => {
                    if self.has_landed(&mut numbered).await {
                        self.committed(numbered, submissions, began.elapsed());
                        return;
                    }
                    submissions = self.current(submissions);
                }
                error => return self.give_back(submissions, &unavailable(&error.to_string())),
            }
        }
    }

    fn tell(&self, commands: usize, error: &CommitError) {
        match error {
            // What it means to the shards is told as well.
            CommitError::Collision | CommitError::Gap { .. } => {
                tracing::warn!(lane = self.number, commands, %error, "a batch was not committed");
            }
            error => self.tell_outage(error),
        }
    }

    pub(super) fn tell_outage(&self, error: &CommitError) {
        if let Some(told) = self.outage.failed() {
            let (database, lane) = (self.store.location(), self.number);
            tracing::warn!(
                database,
                lane,
                %error,
                failures = told.failures,
                lasted_ms = told.lasted_ms,
                "batches are not committed"
            );
        }
    }

    /// Only what belongs to an open shard's present term; the rest is given back.
    fn current(&self, submissions: Vec<Box<Submission>>) -> Vec<Box<Submission>> {
        let mut kept = Vec::with_capacity(submissions.len());
        for submission in submissions {
            if self.open.get(&submission.shard).is_some_and(|open| open.term == submission.term) {
                kept.push(submission);
            } else {
                let shard = submission.shard.to_string();
                submission.fail(Failure::Moved { shard });
            }
        }
        kept
    }

    fn committed(&mut self, numbered: Numbered, submissions: Vec<Box<Submission>>, took: Duration) {
        let commands = submissions.len();
        self.seen.commits.committed(commands, numbered.batch.journal.len() as u64, took);
        for (shard, next_seq) in &numbered.next_seqs {
            if let Some(open) = self.open.get_mut(shard) {
                let rows = next_seq.saturating_sub(open.position.next_seq);
                open.owner.seen.commits.committed(commands, rows, took);
                open.position.next_seq = *next_seq;
                // Before anybody hears of it.
                open.owner.durable_seq.store(*next_seq - 1, Ordering::Release);
                let incarnation = open.owner.incarnation;
                self.known_seqs.insert(*shard, KnownSeq { seq: *next_seq - 1, incarnation });
            }
        }
        self.batches += 1;
        for (submission, last_seq) in submissions.into_iter().zip(numbered.last_seqs) {
            submission.note(self.number, self.batches, commands);
            if last_seq > 0 {
                submission.durable.seq.store(last_seq, Ordering::Relaxed);
                submission.durable.version.store(submission.version, Ordering::Release);
            }
            submission.release();
        }
        if let Some(on_commit) = &self.on_commit {
            on_commit(numbered.batch.journal);
        }
    }

    /// Gives submissions back and makes their shards forget what was decided since.
    fn give_back(&mut self, submissions: Vec<Box<Submission>>, failure: &Failure) {
        for submission in submissions {
            let shard = submission.shard;
            let term = submission.term;
            submission.fail(failure.clone());
            let next_term = self.last_term + 1;
            if let Some(open) = self.open.get_mut(&shard).filter(|open| open.term == term) {
                open.term = next_term;
                self.last_term = next_term;
                open.owner.tell(ShardNews::Reset { term: next_term });
            }
        }
    }

    /// Lets go of shards that another node has; their submissions go back, the rest is returned.
    pub(super) fn drop_shards(&mut self, lost: &[ShardId], submissions: Vec<Box<Submission>>) -> Vec<Box<Submission>> {
        for shard in lost {
            if let Some(open) = self.open.remove(shard) {
                tracing::warn!(%shard, "the shard belongs to another node now");
                open.owner.tell(ShardNews::Lost);
            }
        }
        self.current(submissions)
    }

    /// Lets go of shards of which the database lacks rows that were durable: their next claim finds out how it is
    /// about them.
    pub(super) fn drop_behind(&mut self, gaps: &[ShardId], submissions: Vec<Box<Submission>>) -> Vec<Box<Submission>> {
        for shard in gaps {
            if let Some(open) = self.open.remove(shard) {
                tracing::error!(%shard, "the database lacks rows that were durable; nothing is written behind the gap");
                open.owner.tell(ShardNews::Lost);
            }
        }
        self.current(submissions)
    }

    pub(super) fn opened(&mut self, shard: ShardId, position: Position, owner: ShardOwner) -> u64 {
        self.last_term += 1;
        owner.durable_seq.store(position.next_seq - 1, Ordering::Release);
        self.known_seqs.insert(shard, KnownSeq { seq: position.next_seq - 1, incarnation: owner.incarnation });
        self.open.insert(shard, OpenShard { position, term: self.last_term, owner });
        self.last_term
    }

    /// One transaction on this lane's session.
    pub(super) async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if self.session.is_none() {
            self.session = Some(self.store.writer().await.map_err(CommitError::NotBegun)?);
        }
        let session = self.session.as_mut().expect("the session was opened above");
        let result = session.commit(batch).await;
        if matches!(result, Err(CommitError::Unknown(_) | CommitError::NotBegun(_))) {
            self.session = None;
        }
        if result.is_ok()
            && let Some(told) = self.outage.works()
        {
            let (database, lane) = (self.store.location(), self.number);
            tracing::info!(
                database,
                lane,
                failures = told.failures,
                lasted_ms = told.lasted_ms,
                "batches are committed again"
            );
        }
        result
    }
}

fn unavailable(cause: &str) -> Failure {
    Failure::Unavailable { what: format!("database ({cause})"), retry_after_ms: 1000 }
}
