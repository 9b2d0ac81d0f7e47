//! Publishes the committed rows of the shards that this node owns: one task for each service.
//!
//! A round takes what there is of some shards, hands it to the sink and moves each shard's position on to the
//! last event before the first that was not taken; from there the shard's next round goes on. While a round is
//! under way others begin, with other shards: a shard is in one at a time, so that what it publishes stays in
//! order. Positions are written at leisure: what they lag behind is published again by the next owner, and
//! dropped by the consumers.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::feed::{FeedError, Feeder};
use super::local::Replay;
use super::outbox::{Next, Outbox};
use super::sink::{EventSink, SinkError};
use super::{PublicEvent, SealedEnvelope};
use crate::databases::Databases;
use crate::error::Failure;
use crate::metrics;
use crate::reference::{Key, ShardId};
use crate::runtime::Runtime;
use crate::store::{JournalRow, Publication, StoreError};

/// Rows of one shard in one round: a batch of many costs the brokers little more than a batch of few.
const SHARD_ROWS: usize = 1024;
/// Rows of one round.
const ROUND_ROWS: usize = 8192;
/// Bytes of what rows say, with which a round takes no more shards.
const ROUND_BYTES: usize = 16 * 1024 * 1024;
/// Rounds of a service under way at the same time.
const ROUNDS_MAX: usize = 4;
/// Rounds of a node under way beside the first one of each service, so that what they hold in memory is bounded.
const MORE_ROUNDS_MAX: usize = 4;
/// How often positions are written.
const POSITION_EVERY: Duration = Duration::from_secs(1);
/// Pause after a failure; doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause: so late at most does publishing begin after the sink's return.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What the publishers of a node rest on.
#[derive(Clone)]
pub(crate) struct Publishing {
    runtime: Arc<Runtime>,
    databases: Arc<Databases>,
    /// For the rounds that a service has beside its first one.
    more_rounds: Arc<Semaphore>,
}

/// How far a shard has been published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    /// Of this node's hold on the shard.
    term: u64,
    /// Everything up to this row is published.
    seq: u64,
    /// The last row up to there that was an event on the service's topic.
    published: u64,
    /// What the database knows.
    recorded: u64,
}

struct Publisher {
    service: &'static str,
    on: Publishing,
    sink: Arc<dyn EventSink>,
    /// How long a round waits for more; a sink that is dear by the round wants it longer.
    linger: Duration,
    positions: HashMap<ShardId, Position>,
    /// Shards of rounds that are under way.
    busy: HashSet<ShardId>,
}

/// What a shard is to have in a round.
struct Want {
    shard: ShardId,
    from: Position,
    rows: Next,
}

/// What it had in it.
struct Step {
    shard: ShardId,
    /// Where it was.
    from: Position,
    /// Where it will be after each of its events, and of which type that is.
    reached: Vec<(Position, Cow<'static, str>)>,
    /// Where it will be after all of its rows.
    end: Position,
}

/// A round and what the sink said of its events, or why there was none.
type Published = Result<(Vec<Step>, Vec<Result<(), SinkError>>), String>;

/// Starts the publisher of one service.
pub(crate) fn start(
    service: &'static str,
    on: Publishing,
    sink: Arc<dyn EventSink>,
    linger: Duration,
) -> JoinHandle<()> {
    metrics::publishes(service);
    let publisher = Publisher { service, on, sink, linger, positions: HashMap::new(), busy: HashSet::new() };
    tokio::spawn(publisher.run())
}

impl Publisher {
    async fn run(mut self) {
        let on = self.on.clone();
        let Some(outbox) = on.runtime.outboxes.of(self.service) else { return };
        let mut rounds: JoinSet<Published> = JoinSet::new();
        let mut pause = PAUSE_FIRST;
        let mut record_at = Instant::now() + POSITION_EVERY;
        // When to look for something to publish; nothing has come while there is none.
        let mut look_at = Some(Instant::now());
        loop {
            let may_begin = rounds.len() < ROUNDS_MAX;
            let outcome = if may_begin && look_at.is_some_and(|at| at <= Instant::now()) {
                let begun = self.begin(outbox, &mut rounds).await;
                begun.map(|rows| look_at = (rows > 0).then(|| self.next_look(rows)))
            } else {
                // With nothing to record the next commit alone is waited for.
                let record = (self.is_dirty() || !rounds.is_empty()).then_some(record_at);
                let until = [record, look_at.filter(|_| may_begin)].into_iter().flatten().min();
                tokio::select! {
                    Some(published) = rounds.join_next() => self.settle(published).map(|rows| {
                        on.runtime.outboxes.succeeded(self.service);
                        pause = PAUSE_FIRST;
                        let next = self.next_look(rows);
                        look_at = Some(look_at.map_or(next, |at| at.min(next)));
                    }),
                    () = outbox.changed(), if look_at.is_none() => {
                        look_at = Some(Instant::now() + self.linger);
                        Ok(())
                    }
                    () = sleep_until(until) => Ok(()),
                }
            };
            if let Err(mut error) = outcome {
                // Whatever is under way ends first, so that nothing overtakes what is sent again.
                while let Some(published) = rounds.join_next().await {
                    error = self.settle(published).err().unwrap_or(error);
                }
                self.busy.clear();
                metrics::publish_failed(self.service);
                on.runtime.outboxes.failed(self.service, error);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                look_at = Some(Instant::now());
            }
            if Instant::now() >= record_at {
                self.record().await;
                self.tell_lag(outbox, &outbox.serving());
                record_at = Instant::now() + POSITION_EVERY;
            }
        }
    }

    /// After a round of so many rows: a small one lets more gather.
    fn next_look(&self, rows: usize) -> Instant {
        let now = Instant::now();
        if rows < SHARD_ROWS { now + self.linger } else { now }
    }

    /// Begins a round with what there is of the shards that are in none; returns how many rows that is.
    async fn begin(&mut self, outbox: &Outbox, rounds: &mut JoinSet<Published>) -> Result<usize, String> {
        let Ok(permit) = self.permit(rounds.is_empty()) else { return Ok(0) };
        let serving = outbox.serving();
        self.follow(&serving).await.map_err(|error| error.to_string())?;
        self.tell_lag(outbox, &serving);
        let mut wants = Vec::new();
        let mut rows_taken = 0;
        for (shard, _, last_seq) in &serving {
            let Some(from) = self.positions.get(shard).copied() else { continue };
            if rows_taken >= ROUND_ROWS || from.seq >= *last_seq || self.busy.contains(shard) {
                continue;
            }
            let rows = outbox.take(*shard, from.seq + 1, SHARD_ROWS);
            rows_taken += match &rows {
                Next::Done => continue,
                Next::Rows(rows) => rows.len(),
                Next::InJournal(through) => usize::try_from(through - from.seq).unwrap_or(usize::MAX).min(SHARD_ROWS),
            };
            wants.push(Want { shard: *shard, from, rows });
        }
        if !wants.is_empty() {
            self.busy.extend(wants.iter().map(|want| want.shard));
            let (service, on, sink) = (self.service, self.on.clone(), Arc::clone(&self.sink));
            rounds.spawn(async move {
                let published = on.publish(service, wants, &*sink).await;
                drop(permit);
                published
            });
        }
        Ok(rows_taken)
    }

    /// For one more round: the first has nothing to wait for; others begin, at the latest, when one of the service's has
    /// ended.
    fn permit(&self, is_first: bool) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        if is_first {
            return Ok(None);
        }
        Arc::clone(&self.on.more_rounds).try_acquire_owned().map(Some)
    }

    /// Moves positions on after a round; returns how many rows it had.
    fn settle(&mut self, published: Result<Published, JoinError>) -> Result<usize, String> {
        let (steps, results) = published.map_err(|ended| ended.to_string())??;
        let outbox = self.on.runtime.outboxes.of(self.service);
        let mut results = results.into_iter();
        let mut rows = 0;
        let mut failure = None;
        for Step { shard, from, reached, end } in steps {
            self.busy.remove(&shard);
            rows += usize::try_from(end.seq - from.seq).unwrap_or(usize::MAX);
            let outcomes: Vec<_> = results.by_ref().take(reached.len()).collect();
            let taken = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
            if let Some(outbox) = outbox {
                outbox.count_published(taken as u64);
            }
            for same in reached[..taken].chunk_by(|(_, one), (_, other)| one == other) {
                metrics::published(self.service, &same[0].1, same.len() as u64);
            }
            let to = match outcomes.into_iter().nth(taken) {
                None if taken == reached.len() => end,
                missing => {
                    let error = missing.and_then(Result::err).map_or("no answer".to_owned(), |error| error.0);
                    failure = failure.or(Some(error));
                    taken.checked_sub(1).map_or(from, |last| reached[last].0)
                }
            };
            // It may have gone meanwhile, and even have come back.
            let is_same = |position: &&mut Position| position.term == from.term && position.seq == from.seq;
            if let Some(position) = self.positions.get_mut(&shard).filter(is_same) {
                (position.seq, position.published) = (to.seq, to.published);
            }
        }
        failure.map_or(Ok(rows), Err)
    }

    fn tell_lag(&self, outbox: &Outbox, serving: &[(ShardId, u64, u64)]) {
        outbox.note_published(self.positions.iter().map(|(shard, position)| (*shard, position.term, position.seq)));
        let behind = |(shard, _, last_seq): &(ShardId, u64, u64)| {
            self.positions.get(shard).map_or(0, |position| last_seq.saturating_sub(position.seq))
        };
        metrics::publish_lag(self.service, serving.iter().map(behind).sum());
    }

    /// Lets go of shards that this node no longer serves, and looks up how far new ones have been published.
    async fn follow(&mut self, serving: &[(ShardId, u64, u64)]) -> Result<(), StoreError> {
        let terms: HashMap<ShardId, u64> = serving.iter().map(|(shard, term, _)| (*shard, *term)).collect();
        self.positions.retain(|shard, position| terms.get(shard) == Some(&position.term));
        let unknown = terms.iter().filter(|(shard, _)| !self.positions.contains_key(shard));
        let unknown = unknown.map(|(shard, term)| (*shard, *term));
        for (server, shards) in self.on.databases.by_server(unknown) {
            let numbers: Vec<u32> = shards.iter().map(|(shard, _)| shard.number).collect();
            let known = server.store.publications(self.service, &numbers).await?;
            let known: HashMap<u32, Publication> = known.into_iter().map(|one| (one.shard, one)).collect();
            for (shard, term) in shards {
                let (seq, published) = known.get(&shard.number).map_or((0, 0), |one| (one.seq, one.published));
                let position = Position { term, seq, published, recorded: seq };
                self.positions.insert(shard, position);
            }
        }
        Ok(())
    }

    fn is_dirty(&self) -> bool {
        self.positions.values().any(|position| position.seq > position.recorded)
    }

    async fn record(&mut self) {
        let dirty = self.positions.iter().filter(|(_, position)| position.seq > position.recorded);
        let dirty = dirty.map(|(shard, Position { seq, published, .. })| {
            (*shard, Publication { shard: shard.number, seq: *seq, published: *published })
        });
        for (server, shards) in self.on.databases.by_server(dirty) {
            let publications: Vec<Publication> = shards.iter().map(|(_, one)| *one).collect();
            match server.store.record_publications(self.service, &publications).await {
                Ok(()) => {
                    for (shard, publication) in shards {
                        if let Some(position) = self.positions.get_mut(&shard) {
                            position.recorded = publication.seq;
                        }
                    }
                }
                Err(error) => tracing::debug!(service = self.service, %error, "positions are written later"),
            }
        }
    }
}

impl Publishing {
    /// Of a node.
    pub(crate) fn new(runtime: Arc<Runtime>, databases: Arc<Databases>) -> Self {
        Self { runtime, databases, more_rounds: Arc::new(Semaphore::new(MORE_ROUNDS_MAX)) }
    }

    /// One round. Beside others, since to read rows and to write what the outside is told of them is most of the work.
    async fn publish(&self, service: &'static str, wants: Vec<Want>, sink: &dyn EventSink) -> Published {
        let mut events = Vec::new();
        let mut steps = Vec::with_capacity(wants.len());
        let mut bytes = 0;
        for Want { shard, from, rows } in wants {
            if bytes >= ROUND_BYTES {
                // It stays where it is, and what it has comes with another round.
                steps.push(Step { shard, from, reached: Vec::new(), end: from });
                continue;
            }
            let rows = self.rows(service, shard, from.seq + 1, rows).await.map_err(|error| error.to_string())?;
            bytes += rows.iter().map(|row| row.payload.len()).sum::<usize>();
            let mut reached = Vec::with_capacity(rows.len());
            let mut at = from;
            for row in &rows {
                let Some(event) = of_row(&self.runtime, &self.databases, shard, row, at.published) else { continue };
                at = Position { seq: row.seq, published: behind(&event, at.published), ..at };
                reached.push((at, event.event_type.clone()));
                events.push(event);
            }
            let end = Position { seq: rows.last().map_or(from.seq, |last| last.seq), ..at };
            steps.push(Step { shard, from, reached, end });
        }
        let results = if events.is_empty() { Vec::new() } else { sink.publish(&events).await };
        Ok((steps, results))
    }

    async fn rows(
        &self,
        service: &'static str,
        shard: ShardId,
        from_seq: u64,
        rows: Next,
    ) -> Result<Vec<JournalRow>, StoreError> {
        match rows {
            Next::Done => Ok(Vec::new()),
            Next::Rows(rows) => {
                // Nothing was waited for: others may want this thread.
                tokio::task::yield_now().await;
                Ok(rows)
            }
            Next::InJournal(through) => {
                let Some(server) = self.databases.of_shard(shard) else { return Ok(Vec::new()) };
                let mut rows = server.store.journal(service, shard.number, from_seq, SHARD_ROWS as u32).await?;
                rows.retain(|row| row.seq <= through);
                Ok(rows)
            }
        }
    }
}

#[async_trait]
impl Replay for Publishing {
    async fn replay(
        &self,
        feeder: &Feeder,
        service: &str,
        shard: u32,
        after: u64,
        before: u64,
    ) -> Result<(), FeedError> {
        let unavailable = |what: String| Failure::Unavailable { what, retry_after_ms: 1000 };
        let service =
            self.runtime.outboxes.name(service).ok_or_else(|| unavailable(format!("{service} on this node")))?;
        let shard = ShardId { service, number: shard };
        let server = self.databases.of_shard(shard).ok_or_else(|| unavailable(format!("database of {shard}")))?;
        let failed = |error: StoreError| FeedError::Failed(unavailable(error.to_string()));
        let mut seq = after;
        let mut published = after;
        tracing::info!(%shard, group = feeder.consumer.group, after, before, "events are read again from the journal");
        while seq + 1 < before {
            let rows = server.store.journal(service, shard.number, seq + 1, SHARD_ROWS as u32).await.map_err(failed)?;
            let Some(last) = rows.last() else { break };
            seq = last.seq;
            let mut events = Vec::new();
            for row in rows.iter().take_while(|row| row.seq < before) {
                if let Some(event) = of_row(&self.runtime, &self.databases, shard, row, published) {
                    published = behind(&event, published);
                    events.push(event);
                }
            }
            events.retain(|event| event.topic.is_none());
            feeder.feed(&events, true).await?;
        }
        Ok(())
    }
}

/// The public event of a committed row, if it has one.
pub(crate) fn of_row(
    runtime: &Runtime,
    databases: &Databases,
    shard: ShardId,
    row: &JournalRow,
    previous: u64,
) -> Option<SealedEnvelope> {
    let event = public(runtime, shard, row)?;
    Some(SealedEnvelope::sealed(shard.service, databases.incarnation(shard), row, event, previous))
}

/// The predecessor of the event after this one. What goes to another topic is missed by nobody who reads that
/// of the service.
fn behind(event: &SealedEnvelope, previous: u64) -> u64 {
    if event.topic.is_some() { previous } else { event.sequence }
}

/// What the outside is told of a row.
fn public(runtime: &Runtime, shard: ShardId, row: &JournalRow) -> Option<PublicEvent> {
    let (entity, key) = row.entity.split_once('/')?;
    let entity_type = runtime.entity_type(&format!("{}.{entity}", shard.service))?;
    let public =
        Key::new(key).map_err(|error| error.to_string()).and_then(|key| entity_type.publish(&key, &row.payload));
    public.unwrap_or_else(|error| {
        // Written by a version that knew more: nothing that this one may make up.
        tracing::error!(%shard, seq = row.seq, error, "a row can't be read and is not published");
        None
    })
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
