//! One shard on the node that owns it: a ractor actor that supervises the shard's loaded entities.
//!
//! - `entity`: one loaded entity
//! - `queue`: what waits in front of an entity
//! - `look`: what it says of itself and its entities, and what may be done with them from outside
//! - `effects`: what an entity wants from the rest of the world
//! - `operate`: what an operator may do with that
//! - this file: loading on demand, passivation, restarts and quarantine, handing the shard over

mod effects;
mod entity;
mod look;
mod operate;
mod queue;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::sync::{Semaphore, oneshot};

use crate::error::Failure;
use crate::handle::Router;
use crate::inspect::commits::ShardSeen;
use crate::inspect::observe::Observer;
use crate::instance::EntityType;
use crate::journal::{Journal, ShardNews};
use crate::metrics;
use crate::provider::Provider;
use crate::reference::{Key, Kind, ShardId};
use crate::runtime::Runtime;
use crate::store::Store;
use crate::time::Timestamp;

pub(crate) use entity::{Delivery, EFFECT_GRACE};
use entity::{EntityActor, EntityArguments, EntityMessage};
pub(crate) use look::{Inspect, Presence, Waiting};
pub(crate) use operate::Operation;
use queue::Queue;

/// An entity that fails so often within [`FAILURE_WINDOW`] is set aside.
pub const FAILURES_MAX: usize = 5;
/// See [`FAILURES_MAX`].
pub const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Commands that wait for a shard which is being claimed.
pub const BUFFERED_MAX: usize = 1024;
/// How long a shard that is handed over waits for commands that have been accepted already.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);
/// Every shard may keep so many entities, whatever the cap of the node says.
const LOADED_MIN: usize = 16;

/// What the shard and its entities rest on.
#[derive(Debug)]
pub(crate) struct ShardPlace {
    pub shard: ShardId,
    pub store: Arc<dyn Store>,
    pub journal: Arc<Journal>,
    runtime: Arc<Runtime>,
    clock: AtomicI64,
    retired: AtomicBool,
    /// The last durable row; 0 until the shard has been claimed.
    pub durable_seq: Arc<AtomicU64>,
    /// For whoever looks.
    pub seen: Arc<ShardSeen>,
}

/// What a shard is told.
#[derive(RactorMessage)]
pub(crate) enum ShardMessage {
    /// A command for an entity.
    Deliver { entity_type: Arc<dyn EntityType>, key: Key, delivery: Box<Delivery> },
    /// An entity may be due.
    Wake { entity_type: Arc<dyn EntityType>, key: Key },
    /// An entity that was to be passivated stays.
    Kept { kind: Kind, key: Key },
    /// The shard has been claimed: it serves from now on.
    Opened { term: u64, last_time: Timestamp },
    /// Decisions were dropped, or the shard is lost.
    News(ShardNews),
    /// Time to passivate.
    Sweep,
    /// Somebody looks, or acts, from outside.
    Inspect(Inspect),
    /// Hand over: finish, flush, forget. Tells whether all was flushed.
    Release(oneshot::Sender<bool>),
}

impl ShardPlace {
    pub(crate) fn new(shard: ShardId, store: Arc<dyn Store>, journal: Arc<Journal>, runtime: Arc<Runtime>) -> Self {
        Self {
            shard,
            store,
            journal,
            runtime,
            clock: AtomicI64::new(0),
            retired: AtomicBool::new(false),
            durable_seq: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// The time of a decision; never before that of an earlier one in the shard.
    fn now(&self) -> Timestamp {
        let wall = Timestamp::now().0;
        Timestamp(self.clock.fetch_max(wall, Ordering::Relaxed).max(wall))
    }

    fn feature_level(&self) -> u16 {
        self.runtime.feature_level.load(Ordering::Relaxed)
    }

    /// The view has given the shard to another node.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether it has: then nobody needs a claim any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whether reads may be answered without a proof.
    pub(crate) fn lease_holds(&self) -> bool {
        !self.is_retired() && self.runtime.lease_holds()
    }

    fn router(&self) -> Option<Arc<dyn Router>> {
        self.runtime.router()
    }

    fn provider(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.runtime.provider(name).cloned()
    }

    fn observer(&self) -> &Observer {
        &self.runtime.observer
    }

    /// An entity came into the memory, or left it.
    fn loaded(&self, kind: Kind, change: i64) {
        self.seen.loaded.fetch_add(change, Ordering::Relaxed);
        if let Some(seen) = self.observer().kind(kind) {
            seen.loaded.fetch_add(change, Ordering::Relaxed);
        }
    }

    fn effect_permits(&self) -> &Semaphore {
        &self.runtime.effect_permits
    }
}

pub(crate) struct ShardActor;

pub(crate) struct ShardState {
    place: Arc<ShardPlace>,
    term: Option<u64>,
    /// Commands that came before the claim was durable.
    buffered: VecDeque<ShardMessage>,
    entities: HashMap<(Kind, Key), Entry>,
    by_id: HashMap<ActorId, (Kind, Key)>,
    failures: HashMap<(Kind, Key), VecDeque<Instant>>,
    closed: bool,
}

struct Entry {
    actor: ActorRef<EntityMessage>,
    entity_type: Arc<dyn EntityType>,
    depth: Arc<AtomicU32>,
    since: Instant,
    last_used: Instant,
    queue: Queue,
    /// Being passivated: what came in the meantime.
    stopping: Option<Vec<Box<Delivery>>>,
}

impl Actor for ShardActor {
    type Msg = ShardMessage;
    type State = ShardState;
    type Arguments = Arc<ShardPlace>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        place: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(ShardState {
            place,
            term: None,
            buffered: VecDeque::new(),
            entities: HashMap::new(),
            by_id: HashMap::new(),
            failures: HashMap::new(),
            closed: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMessage::Deliver { entity_type, key, delivery } => {
                if state.closed {
                    delivery.reply.fail(state.moved());
                } else if state.term.is_some() {
                    state.deliver(&myself, entity_type, key, delivery).await;
                } else if state.buffered.len() < BUFFERED_MAX {
                    state.buffered.push_back(ShardMessage::Deliver { entity_type, key, delivery });
                } else {
                    let queue = format!("buffer of {}", state.place.shard);
                    delivery.reply.fail(Failure::Overloaded { queue, retry_after_ms: 200 });
                }
            }
            ShardMessage::Wake { entity_type, key } if state.term.is_some() => {
                state.wake(&myself, entity_type, key).await;
            }
            ShardMessage::Wake { .. } => {}
            ShardMessage::Kept { kind, key } => state.kept(kind, key),
            ShardMessage::Opened { term, last_time } => {
                // News of a later term may have overtaken this.
                state.term = state.term.max(Some(term));
                state.place.clock.fetch_max(last_time.0, Ordering::Relaxed);
                for waiting in std::mem::take(&mut state.buffered) {
                    if let ShardMessage::Deliver { entity_type, key, delivery } = waiting {
                        state.deliver(&myself, entity_type, key, delivery).await;
                    }
                }
            }
            ShardMessage::News(ShardNews::Reset { term }) => {
                state.forget_entities();
                state.term = state.term.max(Some(term));
            }
            ShardMessage::News(ShardNews::Lost) => {
                state.forget_entities();
                state.close();
            }
            ShardMessage::Sweep => state.sweep(),
            ShardMessage::Inspect(inspect) => state.inspect(&myself, inspect).await,
            ShardMessage::Release(done) => {
                let is_flushed = Box::pin(state.release()).await;
                // Whoever waits has given up when this fails; the shard is closed all the same.
                let _ = done.send(is_flushed);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(actor, _, _) => state.stopped(&myself, actor.get_id()).await,
            SupervisionEvent::ActorFailed(actor, error) => state.failed(&myself, actor.get_id(), &error).await,
            _ => {}
        }
        Ok(())
    }
}

impl ShardState {
    async fn deliver(
        &mut self,
        myself: &ActorRef<ShardMessage>,
        entity_type: Arc<dyn EntityType>,
        key: Key,
        delivery: Box<Delivery>,
    ) {
        let mailbox_max = self.place.runtime.settings.mailbox_max;
        let name = (entity_type.kind(), key);
        if self.is_quarantined(&name) {
            let entity = format!("{}/{}", name.0, name.1);
            return delivery.reply.fail(Failure::Quarantined { entity });
        }
        let Some(entry) = self.entry(myself, &name, &entity_type, false).await else {
            return delivery.reply.fail(Failure::Unavailable { what: "entity".into(), retry_after_ms: 100 });
        };
        entry.last_used = Instant::now();
        let waiting = entry.stopping.as_ref().map_or(0, Vec::len);
        if entry.depth.load(Ordering::Relaxed) as usize + waiting >= mailbox_max as usize {
            let queue = format!("mailbox of {}/{}", name.0, name.1);
            return delivery.reply.fail(Failure::Overloaded { queue, retry_after_ms: 100 });
        }
        match &mut entry.stopping {
            Some(waiting) => waiting.push(delivery),
            None => entry.send(delivery),
        }
        self.place.seen.commands.add(1);
    }

    async fn wake(&mut self, myself: &ActorRef<ShardMessage>, entity_type: Arc<dyn EntityType>, key: Key) {
        let name = (entity_type.kind(), key);
        if self.is_quarantined(&name) {
            return;
        }
        if let Some(entry) = self.entry(myself, &name, &entity_type, false).await {
            drop(entry.actor.cast(EntityMessage::Wake));
        }
    }

    /// The loaded entity, started when it is not there.
    async fn entry(
        &mut self,
        myself: &ActorRef<ShardMessage>,
        name: &(Kind, Key),
        entity_type: &Arc<dyn EntityType>,
        after_failure: bool,
    ) -> Option<&mut Entry> {
        if !self.entities.contains_key(name) {
            let depth = Arc::new(AtomicU32::new(0));
            let arguments = EntityArguments {
                place: Arc::clone(&self.place),
                term: self.term?,
                entity_type: Arc::clone(entity_type),
                key: name.1.clone(),
                depth: Arc::clone(&depth),
                shard: myself.clone(),
                after_failure,
            };
            let (actor, _) = Actor::spawn_linked(None, EntityActor, arguments, myself.get_cell()).await.ok()?;
            self.by_id.insert(actor.get_id(), name.clone());
            let entity_type = Arc::clone(entity_type);
            let now = Instant::now();
            let queue = Queue::default();
            let entry = Entry { actor, entity_type, depth, since: now, last_used: now, queue, stopping: None };
            self.entities.insert(name.clone(), entry);
        }
        self.entities.get_mut(name)
    }

    /// A passivated entity is gone; what came in the meantime brings it back.
    async fn stopped(&mut self, myself: &ActorRef<ShardMessage>, id: ActorId) {
        let Some(name) = self.by_id.remove(&id) else { return };
        let Some(entry) = self.entities.remove(&name) else { return };
        if let Some(seen) = self.place.observer().kind(name.0) {
            seen.passivated.fetch_add(1, Ordering::Relaxed);
        }
        for delivery in entry.stopping.into_iter().flatten() {
            self.deliver(myself, Arc::clone(&entry.entity_type), name.1.clone(), delivery).await;
        }
    }

    /// An entity failed: it comes back from its durable state, unless it has failed too often.
    async fn failed(&mut self, myself: &ActorRef<ShardMessage>, id: ActorId, error: &ActorProcessingErr) {
        let Some(name) = self.by_id.remove(&id) else { return };
        let Some(entry) = self.entities.remove(&name) else { return };
        let label = format!("{}/{}", name.0, name.1);
        metrics::restarted(name.0);
        let failures = self.failures.entry(name.clone()).or_default();
        failures.push_back(Instant::now());
        while failures.front().is_some_and(|at| at.elapsed() > FAILURE_WINDOW) {
            failures.pop_front();
        }
        if failures.len() >= FAILURES_MAX {
            tracing::error!(entity = label, %error, "an entity keeps failing and is set aside");
            self.place.runtime.quarantine(name.0, &name.1, true);
            return;
        }
        tracing::error!(entity = label, %error, "an entity failed and is restarted");
        // At once, not on the next command: what is outstanding must go on.
        if let Some(entry) = self.entry(myself, &name, &entry.entity_type, true).await {
            drop(entry.actor.cast(EntityMessage::Wake));
        }
    }

    fn is_quarantined(&self, name: &(Kind, Key)) -> bool {
        self.failures.get(name).is_some_and(|failures| failures.len() >= FAILURES_MAX)
    }

    fn kept(&mut self, kind: Kind, key: Key) {
        if let Some(entry) = self.entities.get_mut(&(kind, key)) {
            for delivery in entry.stopping.take().into_iter().flatten() {
                entry.send(delivery);
            }
        }
    }

    /// Asks idle entities to leave; when there are more than the shard's share of the cap, also the least
    /// recently used others.
    fn sweep(&mut self) {
        let settings = &self.place.runtime.settings;
        let shards = self.place.runtime.shards_open.load(Ordering::Relaxed).max(1);
        let share = ((settings.loaded_max / shards) as usize).max(LOADED_MIN);
        let excess = self.entities.len().saturating_sub(share);
        let mut by_age: Vec<(Instant, &mut Entry)> = self
            .entities
            .values_mut()
            .filter(|entry| entry.stopping.is_none() && entry.depth.load(Ordering::Relaxed) == 0)
            .map(|entry| (entry.last_used, entry))
            .collect();
        if excess > 0 {
            by_age.sort_unstable_by_key(|(last_used, _)| *last_used);
        }
        for (place, (last_used, entry)) in by_age.into_iter().enumerate() {
            if place < excess || last_used.elapsed() >= settings.passivate_after {
                entry.leave(None);
            }
        }
        self.failures.retain(|_, failures| {
            failures.len() >= FAILURES_MAX || failures.back().is_some_and(|at| at.elapsed() <= FAILURE_WINDOW)
        });
    }

    /// Stops accepting, lets what was accepted finish, flushes the journal and forgets. False with a commit still
    /// under way.
    async fn release(&mut self) -> bool {
        self.closed = true;
        if self.term.is_none() {
            // Nothing was decided yet, so there is nothing to wait for; least of all a claim that takes long.
            self.place.journal.close_unused(self.place.shard);
            self.close();
            return true;
        }
        let patience = Instant::now() + RELEASE_PATIENCE;
        let busy = |entry: &Entry| entry.depth.load(Ordering::Relaxed) > 0;
        while self.entities.values().any(busy) && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // What is not flushed in time is not lost: it lands or collides with the successor's claim, and
        // nobody has been told of it yet.
        let flush = self.place.journal.close(self.place.shard);
        let is_flushed = tokio::time::timeout(RELEASE_PATIENCE, flush).await.is_ok();
        self.forget_entities();
        self.close();
        is_flushed
    }

    fn close(&mut self) {
        self.closed = true;
        self.term = None;
        let failure = self.moved();
        for waiting in std::mem::take(&mut self.buffered) {
            if let ShardMessage::Deliver { delivery, .. } = waiting {
                delivery.reply.fail(failure.clone());
            }
        }
        for (kind, key) in self.failures.keys() {
            self.place.runtime.quarantine(*kind, key, false);
        }
    }

    /// Drops the memory of every entity; it comes back from the database.
    fn forget_entities(&mut self) {
        let failure = self.moved();
        self.by_id.clear();
        for (_, entry) in self.entities.drain() {
            for delivery in entry.stopping.into_iter().flatten() {
                delivery.reply.fail(failure.clone());
            }
            entry.actor.stop(Some("the shard starts anew".into()));
        }
    }

    fn moved(&self) -> Failure {
        Failure::Moved { shard: self.place.shard.to_string() }
    }
}

impl Entry {
    fn send(&mut self, delivery: Box<Delivery>) {
        let waiting = self.depth.fetch_add(1, Ordering::Relaxed);
        self.queue.sent(waiting, delivery.reply.slot().unwrap_or_default(), self.since);
        if let Err(error) = self.actor.cast(EntityMessage::Command(delivery)) {
            // The message is dropped with the error, and its reply says so.
            tracing::debug!(%error, "an entity stopped while it was asked");
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for ShardMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShardMessage")
    }
}
