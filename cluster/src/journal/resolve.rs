//! What follows when a commit did not simply succeed, and how a shard is taken in the first place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::reference::ShardId;
use crate::store::{Batch, CLAIM, CommitError, JournalRow, NO_OP, Store, StoreError};
use crate::time::Timestamp;

use super::batch::{Numbered, Position, empty_row};
use super::lane::{KnownSeq, Lane};
use super::submission::{ClaimAnswers, ShardOwner};
use super::{ClaimError, Claimed};

/// How often a claim is tried anew after it collided or its session was lost.
const CLAIM_ATTEMPTS_MAX: u32 = 8;
/// Services whose journals are looked at side by side before a claim: of all lanes together fewer than a server has
/// sessions for reads.
const READS_MAX: usize = 3;

impl Lane {
    /// Which shards of a batch that collided belong to somebody else: those with a row where the batch
    /// would have written. Nothing ever deletes the last row, so what is seen here stays true.
    pub(super) async fn lost_shards(&mut self, numbered: &Numbered) -> Result<Vec<ShardId>, StoreError> {
        let mut by_service: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        for (shard, _) in &numbered.first_rows {
            by_service.entry(shard.service).or_default().push(shard.number);
        }
        let mut lost = Vec::new();
        for (service, numbers) in by_service {
            let last_rows = self.store.last_rows(service, &numbers).await?;
            for (shard, first) in numbered.first_rows.iter().filter(|(shard, _)| shard.service == service) {
                if last_rows.iter().any(|last| last.shard == shard.number && last.seq >= first.seq) {
                    lost.push(*shard);
                }
            }
        }
        Ok(lost)
    }

    /// Settles a batch whose outcome is unknown, by a claim of its first seq and never by looking: a look
    /// can't tell a batch that will never arrive from one that is still on its way.
    ///
    /// A transaction is all or none, so its first row decides for the whole. True: it is there. False: it
    /// never will be, and what is still ours may be sent again.
    pub(super) async fn has_landed(&mut self, numbered: &mut Numbered) -> bool {
        let Some((shard, first)) = numbered.first_rows.first().cloned() else { return false };
        let (shard, first) = (&shard, &first);
        let nonce = nonce();
        let mut probe = empty_row(*shard, first.seq, first.epoch, &self.writer, CLAIM);
        probe.command_id.clone_from(&nonce);
        let batch = Batch { journal: vec![(shard.service, probe)], states: Vec::new() };
        let mut pause = Duration::from_millis(20);
        loop {
            let found = match self.commit(&batch).await {
                Ok(()) => Found::OurClaim,
                Err(CommitError::Collision) => self.who_wrote(*shard, first, &nonce).await,
                Err(CommitError::Gap { .. }) => Found::Gap,
                Err(error) => {
                    tracing::debug!(%shard, seq = first.seq, %error, "an unknown outcome can't be settled yet");
                    self.tell_outage(&error);
                    Found::Unreadable
                }
            };
            match found {
                Found::TheBatch => return self.confirm(*shard, numbered).await,
                // The batch is not in this copy, which does not even have what came before it.
                Found::Gap => {
                    self.drop_behind(&[*shard], Vec::new());
                    return false;
                }
                Found::OurClaim => {
                    if let Some(open) = self.open.get_mut(shard) {
                        open.position.next_seq = first.seq + 1;
                        let incarnation = open.owner.incarnation;
                        self.known_seqs.insert(*shard, KnownSeq { seq: first.seq, incarnation });
                    }
                    return false;
                }
                Found::Another => {
                    self.drop_shards(&[*shard], Vec::new());
                    return false;
                }
                Found::Unreadable => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    /// A batch that is there may be there because its server recovered it, before its replica had it: it counts
    /// as durable behind one more commit, since a replica that has that one has all before it. False when the batch
    /// is gone again, with the server that had it.
    async fn confirm(&mut self, shard: ShardId, numbered: &mut Numbered) -> bool {
        let Some(epoch) = self.open.get(&shard).map(|open| open.position.epoch) else { return true };
        let Some(mut seq) = numbered.next_seqs.get(&shard).copied() else { return true };
        let mut pause = Duration::from_millis(20);
        loop {
            let row = empty_row(shard, seq, epoch, &self.writer, NO_OP);
            let batch = Batch { journal: vec![(shard.service, row.clone())], states: Vec::new() };
            let outcome = self.commit(&batch).await;
            let found = match &outcome {
                Err(CommitError::Collision) => {
                    self.store.journal_row(shard.service, shard.number, seq).await.ok().flatten()
                }
                _ => None,
            };
            match outcome {
                Ok(()) => {
                    numbered.next_seqs.insert(shard, seq + 1);
                    numbered.batch.journal.push((shard.service, row));
                    return true;
                }
                Err(CommitError::Gap { .. }) => {
                    self.drop_behind(&[shard], Vec::new());
                    return false;
                }
                // From an earlier attempt, of which it is as little known whether a replica has it.
                Err(CommitError::Collision) if found.as_ref().is_some_and(|row| row.writer == self.writer) => seq += 1,
                // The claim of a successor, which was a commit as well.
                Err(CommitError::Collision) if found.is_some() => return true,
                Err(error) => {
                    tracing::debug!(%shard, seq, %error, "a batch that is there can't be confirmed yet");
                    self.tell_outage(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    async fn who_wrote(&mut self, shard: ShardId, first: &JournalRow, nonce: &str) -> Found {
        match self.store.journal_row(shard.service, shard.number, first.seq).await {
            Ok(Some(row)) if row.event_type == CLAIM && row.command_id == nonce => Found::OurClaim,
            Ok(Some(row)) if is_same(&row, first) => Found::TheBatch,
            Ok(_) => Found::Another,
            Err(_) => Found::Unreadable,
        }
    }

    /// Takes shards: a claim row at the next seq of each, in one transaction.
    pub(super) async fn claim(&mut self, shards: Vec<(ShardId, ShardOwner)>, epoch: u64) -> ClaimAnswers {
        let nonce = nonce();
        let mut answers: HashMap<ShardId, Result<Claimed, ClaimError>> = HashMap::new();
        let mut cause = String::from("the claim kept colliding");
        for attempt in 0..CLAIM_ATTEMPTS_MAX {
            let waiting: Vec<_> = shards.iter().filter(|(shard, _)| !answers.contains_key(shard)).cloned().collect();
            if waiting.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(20 << attempt.min(4))).await;
            }
            match self.claim_once(&waiting, epoch, &nonce, &mut answers).await {
                Ok(()) => {}
                Err(CommitError::NotBegun(error)) => {
                    cause = error.to_string();
                    break;
                }
                Err(error) => cause = error.to_string(),
            }
        }
        shards
            .iter()
            .map(|(shard, _)| {
                let unanswered = || Err(ClaimError::Unavailable { shard: *shard, cause: cause.clone() });
                answers.remove(shard).unwrap_or_else(unanswered)
            })
            .collect()
    }

    async fn claim_once(
        &mut self,
        shards: &[(ShardId, ShardOwner)],
        epoch: u64,
        nonce: &str,
        answers: &mut HashMap<ShardId, Result<Claimed, ClaimError>>,
    ) -> Result<(), CommitError> {
        let last_rows = self.last_rows_of(shards).await.map_err(CommitError::NotBegun)?;
        let mut batch = Batch::default();
        let mut claimed = Vec::new();
        for (shard, owner) in shards {
            let last = last_rows.get(shard);
            let last_seq = last.map_or(0, |row| row.seq);
            // Raising the incarnation is an operator's word that what is there now is what counts.
            let known = self.known_seqs.get(shard).filter(|known| known.incarnation == owner.incarnation);
            let known_seq = known.map_or(0, |known| known.seq);
            let last_time = last.map_or(Timestamp(0), |row| row.occurred_at);
            let position = |next_seq| Position { epoch, next_seq };
            match last {
                _ if last_seq < known_seq => {
                    tracing::error!(
                        %shard,
                        last_seq,
                        known_seq,
                        "the database went back in time; the shard stays closed"
                    );
                    answers.insert(*shard, Err(ClaimError::Regressed { shard: *shard, last_seq, known_seq }));
                }
                Some(row) if row.event_type == CLAIM && row.command_id == nonce => {
                    let term = self.opened(*shard, position(last_seq + 1), owner.clone());
                    answers.insert(*shard, Ok(Claimed { shard: *shard, term, last_time, last_seq }));
                }
                Some(row) if row.epoch > epoch || (row.epoch == epoch && row.writer != self.writer) => {
                    let (writer, epoch) = (row.writer.to_string(), row.epoch);
                    answers.insert(*shard, Err(ClaimError::Superseded { shard: *shard, writer, epoch }));
                }
                _ => {
                    let mut row = empty_row(*shard, last_seq + 1, epoch, &self.writer, CLAIM);
                    nonce.clone_into(&mut row.command_id);
                    row.occurred_at = row.occurred_at.max(last_time);
                    claimed.push((*shard, owner.clone(), position(last_seq + 2), row.occurred_at));
                    batch.journal.push((shard.service, row));
                }
            }
        }
        #[cfg(test)]
        if self.claims_omitted {
            batch.journal.clear();
            claimed.iter_mut().for_each(|(_, _, position, _)| position.next_seq -= 1);
        }
        if !batch.journal.is_empty() {
            self.commit(&batch).await?;
        }
        for (shard, owner, position, last_time) in claimed {
            let term = self.opened(shard, position, owner);
            let last_seq = position.next_seq - 1;
            answers.insert(shard, Ok(Claimed { shard, term, last_time, last_seq }));
        }
        Ok(())
    }

    async fn last_rows_of(
        &mut self,
        shards: &[(ShardId, ShardOwner)],
    ) -> Result<HashMap<ShardId, JournalRow>, StoreError> {
        let mut by_service: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        for (shard, _) in shards {
            by_service.entry(shard.service).or_default().push(shard.number);
        }
        let mut reads = Vec::with_capacity(by_service.len());
        for (service, numbers) in by_service {
            reads.push(read_last_rows(Arc::clone(&self.store), service, numbers));
        }
        let read: Vec<(&'static str, Vec<JournalRow>)> =
            stream::iter(reads).buffer_unordered(READS_MAX).try_collect().await?;
        let rows = read.into_iter().flat_map(|(service, rows)| rows.into_iter().map(move |row| (service, row)));
        Ok(rows.map(|(service, row)| (ShardId { service, number: row.shard }, row)).collect())
    }
}

async fn read_last_rows(
    store: Arc<dyn Store>,
    service: &'static str,
    numbers: Vec<u32>,
) -> Result<(&'static str, Vec<JournalRow>), StoreError> {
    Ok((service, store.last_rows(service, &numbers).await?))
}

enum Found {
    TheBatch,
    OurClaim,
    Gap,
    Another,
    Unreadable,
}

fn is_same(row: &JournalRow, sent: &JournalRow) -> bool {
    row.writer == sent.writer
        && row.epoch == sent.epoch
        && row.event_type == sent.event_type
        && row.entity == sent.entity
        && row.entity_version == sent.entity_version
        && row.command_id == sent.command_id
}

fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}
