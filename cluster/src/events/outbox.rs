//! Committed rows on their way to the publisher.
//!
//! What has just been committed is handed over from memory, so that publishing costs the database nothing
//! in the usual case. The memory is bounded: a shard that falls behind loses its rows from it and is read
//! from the journal instead.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::outage::Outage;
use crate::reference::ShardId;
use crate::store::JournalRow;

/// Rows that are kept for one shard.
pub const SHARD_ROWS_MAX: usize = 512;
/// Bytes of rows that are kept for all shards of a node.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// How exactly the age of what waits is known.
const WAITS_EVERY: Duration = Duration::from_millis(250);
/// How much of that is kept of one shard; what comes after is as old as the last of them, or younger.
const WAITS_MAX: usize = 16;
/// What a row costs beside its texts.
const ROW_BYTES: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    shards: Mutex<Shards>,
    committed: Notify,
    /// Why the last round of the publisher failed, if it did.
    trouble: Mutex<Option<String>>,
    /// Events that the sink has taken, and rounds that failed.
    published: AtomicU64,
    failures: AtomicU64,
}

/// What of a shard is not published yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lag {
    pub rows: u64,
    /// How long the oldest has waited.
    pub ms: u64,
}

#[derive(Debug, Default)]
struct Shards {
    by_id: HashMap<ShardId, Committed>,
    bytes: usize,
}

/// The outbox of each service that this node runs.
#[derive(Debug, Default)]
pub(crate) struct Outboxes {
    by_service: HashMap<&'static str, Outbox>,
    /// Of publishing, whichever service's.
    outage: Outage,
}

impl Outboxes {
    pub(crate) fn new(services: impl IntoIterator<Item = &'static str>) -> Self {
        let by_service = services.into_iter().map(|service| (service, Outbox::default())).collect();
        Self { by_service, outage: Outage::default() }
    }

    pub(crate) fn of(&self, service: &str) -> Option<&Outbox> {
        self.by_service.get(service)
    }

    /// The service's name as the program has it.
    pub(crate) fn name(&self, service: &str) -> Option<&'static str> {
        self.by_service.get_key_value(service).map(|(name, _)| *name)
    }

    /// A round of the publisher of a service has failed.
    pub(crate) fn failed(&self, service: &'static str, error: String) {
        if let Some(told) = self.outage.failed() {
            tracing::warn!(
                service,
                error,
                failures = told.failures,
                lasted_ms = told.lasted_ms,
                "events wait in the journal"
            );
        }
        if let Some(outbox) = self.of(service) {
            outbox.failures.fetch_add(1, Ordering::Relaxed);
            outbox.set_trouble(Some(error));
        }
    }

    /// One has succeeded.
    pub(crate) fn succeeded(&self, service: &str) {
        let Some(outbox) = self.of(service) else { return };
        if outbox.set_trouble(None)
            && self.by_service.values().all(|outbox| outbox.trouble().is_none())
            && let Some(told) = self.outage.works()
        {
            tracing::info!(failures = told.failures, lasted_ms = told.lasted_ms, "events are published again");
        }
    }

    /// See [`Outbox::open`].
    pub(crate) fn open(&self, shard: ShardId, term: u64, last_seq: u64) {
        if let Some(outbox) = self.of(shard.service) {
            outbox.open(shard, term, last_seq);
        }
    }

    /// See [`Outbox::close`].
    pub(crate) fn close(&self, shard: ShardId) {
        if let Some(outbox) = self.of(shard.service) {
            outbox.close(shard);
        }
    }

    /// Takes rows of any service that have just been committed.
    pub(crate) fn committed(&self, rows: Vec<(&'static str, JournalRow)>) {
        // A batch keeps the rows of a service together as they come; few services change often in one.
        let mut rows = rows.into_iter().peekable();
        while let Some((service, _)) = rows.peek() {
            let service = *service;
            let of_service = std::iter::from_fn(|| rows.next_if(|(other, _)| *other == service));
            match self.of(service) {
                Some(outbox) => outbox.committed(of_service),
                None => of_service.for_each(drop),
            }
        }
    }
}

/// What is known of one shard that this node serves.
#[derive(Debug, Default)]
struct Committed {
    /// Of this node's present hold on the shard.
    term: u64,
    /// The last committed row.
    last_seq: u64,
    /// The newest rows, without a gap, ending with `last_seq`; may be empty.
    rows: VecDeque<JournalRow>,
    /// The last row that has been published, once that is known.
    published: Option<u64>,
    /// Rows from here on have waited since then at most.
    waits: VecDeque<(u64, Instant)>,
}

/// What there is to publish of a shard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Done,
    /// These rows.
    Rows(Vec<JournalRow>),
    /// Rows up to this one, to be read from the journal.
    InJournal(u64),
}

impl Outbox {
    /// This node serves the shard from now on; its journal ends at `last_seq`.
    pub(crate) fn open(&self, shard: ShardId, term: u64, last_seq: u64) {
        let mut shards = self.lock();
        shards.forget(shard);
        shards.by_id.insert(shard, Committed { term, last_seq, ..Committed::default() });
        drop(shards);
        self.committed.notify_one();
    }

    /// This node no longer serves the shard.
    pub(crate) fn close(&self, shard: ShardId) {
        self.lock().forget(shard);
    }

    /// Takes rows that have just been committed.
    pub(crate) fn committed(&self, rows: impl IntoIterator<Item = (&'static str, JournalRow)>) {
        let now = Instant::now();
        let mut shards = self.lock();
        let mut any = false;
        for (service, row) in rows {
            any |= shards.add(ShardId { service, number: row.shard }, row, now);
        }
        drop(shards);
        if any {
            self.committed.notify_one();
        }
    }

    /// Waits until something has been committed since the last call.
    pub(crate) async fn changed(&self) {
        self.committed.notified().await;
    }

    /// The shards that this node serves, each with the term of its hold and its last row.
    pub(crate) fn serving(&self) -> Vec<(ShardId, u64, u64)> {
        self.lock().by_id.iter().map(|(shard, one)| (*shard, one.term, one.last_seq)).collect()
    }

    /// At most `limit` rows of a shard from `from_seq` on; what is handed out is forgotten here.
    pub(crate) fn take(&self, shard: ShardId, from_seq: u64, limit: usize) -> Next {
        let mut shards = self.lock();
        let Some(one) = shards.by_id.get_mut(&shard) else { return Next::Done };
        if from_seq > one.last_seq {
            return Next::Done;
        }
        let mut freed = 0;
        while one.rows.front().is_some_and(|row| row.seq < from_seq) {
            freed += one.rows.pop_front().as_ref().map_or(0, bytes);
        }
        let next = if one.rows.front().is_some_and(|row| row.seq == from_seq) {
            let count = one.rows.len().min(limit);
            let rows: Vec<_> = one.rows.drain(..count).collect();
            freed += rows.iter().map(bytes).sum::<usize>();
            Next::Rows(rows)
        } else {
            Next::InJournal(one.rows.front().map_or(one.last_seq, |row| row.seq - 1))
        };
        shards.bytes -= freed;
        next
    }

    /// How far the publisher is with these shards: shard, term of the hold, last published row.
    pub(crate) fn note_published(&self, positions: impl IntoIterator<Item = (ShardId, u64, u64)>) {
        let now = Instant::now();
        let mut shards = self.lock();
        for (shard, term, seq) in positions {
            let one = shards.by_id.get_mut(&shard).filter(|one| one.term == term);
            if let Some(one) = one.filter(|one| one.published != Some(seq)) {
                one.publish(seq, now);
            }
        }
    }

    /// What is not published yet, of the shards of which that is known.
    pub(crate) fn lags(&self) -> HashMap<ShardId, Lag> {
        let shards = self.lock();
        let known = shards.by_id.iter().filter_map(|(shard, one)| Some((*shard, one.lag()?)));
        known.collect()
    }

    /// The sink has taken so many events.
    pub(crate) fn count_published(&self, events: u64) {
        self.published.fetch_add(events, Ordering::Relaxed);
    }

    /// Events that were published, and rounds that failed, since the node started.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.published.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// Returns whether there was one before.
    fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, trouble).is_some()
    }

    /// What went wrong with the last round, if it failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shards {
    fn add(&mut self, shard: ShardId, row: JournalRow, now: Instant) -> bool {
        let full = self.bytes >= BYTES_MAX;
        let Some(one) = self.by_id.get_mut(&shard) else { return false };
        let follows = row.seq == one.last_seq + 1;
        one.last_seq = one.last_seq.max(row.seq);
        one.wait(row.seq, now);
        if !follows || full || one.rows.len() >= SHARD_ROWS_MAX {
            self.bytes -= one.rows.drain(..).map(|row| bytes(&row)).sum::<usize>();
        }
        if follows && !full {
            self.bytes += bytes(&row);
            one.rows.push_back(row);
        }
        true
    }

    fn forget(&mut self, shard: ShardId) {
        if let Some(one) = self.by_id.remove(&shard) {
            self.bytes -= one.rows.iter().map(bytes).sum::<usize>();
        }
    }
}

impl Committed {
    fn wait(&mut self, seq: u64, now: Instant) {
        let is_news = self.waits.back().is_none_or(|(_, at)| now.duration_since(*at) >= WAITS_EVERY);
        if is_news && self.waits.len() < WAITS_MAX {
            self.waits.push_back((seq, now));
        }
    }

    fn publish(&mut self, seq: u64, now: Instant) {
        self.published = Some(seq);
        if seq >= self.last_seq {
            self.waits.clear();
            return;
        }
        while self.waits.get(1).is_some_and(|(from, _)| *from <= seq + 1) {
            self.waits.pop_front();
        }
        // What another node left behind is as old as its knowledge here.
        if self.waits.is_empty() {
            self.waits.push_back((seq + 1, now));
        }
    }

    fn lag(&self) -> Option<Lag> {
        let rows = self.last_seq.saturating_sub(self.published?);
        let oldest = self.waits.front().filter(|_| rows > 0);
        let ms = oldest.map_or(0, |(_, at)| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        Some(Lag { rows, ms })
    }
}

fn bytes(row: &JournalRow) -> usize {
    ROW_BYTES + row.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const SHARD: ShardId = ShardId { service: "order", number: 3 };

    fn row(seq: u64) -> (&'static str, JournalRow) {
        let row = JournalRow {
            shard: SHARD.number,
            seq,
            epoch: 1,
            writer: "node@1".into(),
            entity: String::new(),
            entity_version: 0,
            previous_seq: 0,
            command_id: String::new(),
            event_type: String::new(),
            payload: vec![0; 10],
            occurred_at: Timestamp(0),
            traceparent: String::new(),
        };
        (SHARD.service, row)
    }

    fn seqs(next: Next) -> Vec<u64> {
        match next {
            Next::Rows(rows) => rows.iter().map(|row| row.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_come_from_memory_or_are_said_to_be_in_the_journal() {
        let outbox = Outbox::default();
        outbox.committed([row(1)]);
        assert_eq!(outbox.take(SHARD, 1, 10), Next::Done, "a shard that is not served");
        outbox.open(SHARD, 1, 4);
        assert_eq!(outbox.take(SHARD, 2, 10), Next::InJournal(4));
        outbox.committed((5..=9).map(row));
        assert_eq!(outbox.take(SHARD, 2, 10), Next::InJournal(4));
        assert_eq!(seqs(outbox.take(SHARD, 5, 3)), [5, 6, 7]);
        assert_eq!(outbox.take(SHARD, 5, 3), Next::InJournal(7), "rewound");
        assert_eq!(seqs(outbox.take(SHARD, 8, 3)), [8, 9]);
        assert_eq!(outbox.take(SHARD, 10, 3), Next::Done);
    }

    #[test]
    fn what_waits_has_a_count_and_an_age() {
        let outbox = Outbox::default();
        outbox.open(SHARD, 1, 4);
        assert_eq!(outbox.lags().get(&SHARD), None, "nobody knows yet");
        outbox.note_published([(SHARD, 1, 2)]);
        assert_eq!(outbox.lags()[&SHARD].rows, 2);
        outbox.committed((5..=6).map(row));
        std::thread::sleep(WAITS_EVERY + Duration::from_millis(20));
        outbox.committed((7..=9).map(row));
        assert!(outbox.lags()[&SHARD].rows == 7 && outbox.lags()[&SHARD].ms >= 250);
        outbox.note_published([(SHARD, 1, 6)]);
        let lag = outbox.lags()[&SHARD];
        assert!(lag.rows == 3 && lag.ms < 250, "{lag:?}");
        outbox.note_published([(SHARD, 2, 9)]);
        assert_eq!(outbox.lags()[&SHARD].rows, 3, "of another hold");
        outbox.note_published([(SHARD, 1, 9)]);
        assert_eq!(outbox.lags()[&SHARD], Lag::default());
    }

    #[test]
    fn each_service_has_counts_of_its_own() {
        let outboxes = Outboxes::new(["order", "cart"]);
        let order = outboxes.of("order").expect("it is there");
        order.count_published(3);
        outboxes.failed("order", "the broker is away".into());
        order.count_published(2);
        assert_eq!((order.counts(), order.trouble().as_deref()), ((5, 1), Some("the broker is away")));
        outboxes.succeeded("order");
        assert_eq!((order.counts(), order.trouble()), ((5, 1), None));
        assert_eq!(outboxes.of("cart").expect("it is there").counts(), (0, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let outbox = Outbox::default();
        outbox.open(SHARD, 1, 0);
        let many = SHARD_ROWS_MAX as u64 + 10;
        outbox.committed((1..=many).map(row));
        assert_eq!(outbox.take(SHARD, 1, 10), Next::InJournal(SHARD_ROWS_MAX as u64));
        outbox.close(SHARD);
        assert_eq!(outbox.lock().bytes, 0);
    }
}
