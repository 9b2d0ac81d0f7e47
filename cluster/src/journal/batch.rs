//! From submissions to one transaction's rows: numbers them and writes each touched state row once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::reference::ShardId;
use crate::store::{Batch, JournalRow, NO_OP, StateWrite};
use crate::time::Timestamp;

use super::submission::{NewRow, Submission};

/// A shard that this lane writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub epoch: u64,
    pub next_seq: u64,
}

/// A transaction and what is true once it has been committed.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub batch: Batch,
    /// The first row of each shard in the batch: what a claim would take to keep the batch out.
    pub first_rows: Vec<(ShardId, JournalRow)>,
    /// The next seq of each shard.
    pub next_seqs: HashMap<ShardId, u64>,
    /// The last row of each entity, in the order of the submissions; 0 where it wrote none.
    pub last_seqs: Vec<u64>,
}

/// Numbers the submissions. Changes nothing: the same submissions can be numbered again elsewhere.
pub(super) fn number(
    submissions: &[Box<Submission>],
    position_of: impl Fn(ShardId) -> Position,
    writer: &Arc<str>,
) -> Numbered {
    let mut numbered = Numbered::default();
    let mut previous: HashMap<usize, u64> = HashMap::with_capacity(submissions.len());
    let mut places: HashMap<(&'static str, &'static str, u32, String, String), usize> =
        HashMap::with_capacity(submissions.len() * 2);

    for submission in submissions {
        let shard = submission.shard;
        // One cell per loaded entity: its address names the entity for the length of a batch.
        let entity = Arc::as_ptr(&submission.durable) as usize;
        let mut last_seq = 0;
        for row in &submission.rows {
            let previous_seq =
                previous.get(&entity).copied().unwrap_or_else(|| submission.durable.seq.load(Ordering::Relaxed));
            let seq = numbered.append(shard, position_of(shard), writer, Some((submission, row)), previous_seq);
            previous.insert(entity, seq);
            last_seq = seq;
        }
        numbered.last_seqs.push(last_seq);
        for state in &submission.states {
            numbered.write(&mut places, state, last_seq);
        }
    }
    for submission in submissions {
        if submission.proof && !numbered.next_seqs.contains_key(&submission.shard) {
            numbered.append(submission.shard, position_of(submission.shard), writer, None, 0);
        }
    }
    numbered
}

impl Numbered {
    fn append(
        &mut self,
        shard: ShardId,
        position: Position,
        writer: &Arc<str>,
        event: Option<(&Submission, &NewRow)>,
        previous_seq: u64,
    ) -> u64 {
        let first = !self.next_seqs.contains_key(&shard);
        let next = self.next_seqs.entry(shard).or_insert(position.next_seq);
        let seq = *next;
        *next += 1;
        let mut row = empty_row(shard, seq, position.epoch, writer, NO_OP);
        if let Some((submission, event)) = event {
            row.entity = format!("{}/{}", submission.kind.entity, submission.key);
            row.entity_version = event.entity_version;
            row.previous_seq = previous_seq;
            row.command_id.clone_from(&event.command_id);
            row.event_type = event.event_type.to_owned();
            row.payload.clone_from(&event.payload);
            row.occurred_at = event.occurred_at;
            row.traceparent.clone_from(&event.traceparent);
        }
        if first {
            self.first_rows.push((shard, row.clone()));
        }
        self.batch.journal.push((shard.service, row));
        seq
    }

    fn write(
        &mut self,
        places: &mut HashMap<(&'static str, &'static str, u32, String, String), usize>,
        state: &StateWrite,
        last_seq: u64,
    ) {
        let mut state = state.clone();
        if let Some(row) = state.row.as_mut().filter(|_| state.part.is_empty()) {
            row.seq = last_seq;
        }
        let kind = state.table.kind;
        let place = (kind.service, kind.entity, state.shard, state.entity.as_str().to_owned(), state.part.clone());
        match places.get(&place) {
            Some(&known) => self.batch.states[known] = state,
            None => {
                places.insert(place, self.batch.states.len());
                self.batch.states.push(state);
            }
        }
    }
}

/// A row that belongs to no entity.
pub(super) fn empty_row(shard: ShardId, seq: u64, epoch: u64, writer: &Arc<str>, event_type: &str) -> JournalRow {
    JournalRow {
        shard: shard.number,
        seq,
        epoch,
        writer: Arc::clone(writer),
        entity: String::new(),
        entity_version: 0,
        previous_seq: 0,
        command_id: String::new(),
        event_type: event_type.to_owned(),
        payload: b"{}".to_vec(),
        occurred_at: Timestamp::now(),
        traceparent: String::new(),
    }
}
