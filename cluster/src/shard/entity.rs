//! One loaded entity as a ractor actor: takes commands one at a time, decides, and hands what it decided to
//! the journal. It never waits for a commit before the next decision.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use crate::ask::Once;
use crate::entity::Context;
use crate::error::Failure;
use crate::handle::Outcome;
use crate::inspect::Report;
use crate::inspect::counts::command_name;
use crate::instance::{Decided, EffectId, EntityType, Instance, Pending};
use crate::journal::{Durable, NewRow, Permit, Release, ReplyTo, Submission};
use crate::metrics;
use crate::reference::{Address, Key};
use crate::store::{StateRow, StateWrite, StoredEntity};
use crate::time::Timestamp;
use crate::trace::{Step, Traceparent};

use super::effects::EffectRun;
use super::look::{Ended, Look, Recent};
use super::operate::Operation;
use super::{ShardMessage, ShardPlace};

/// How long the owner alone looks after an effect before whoever scans the table may take it for
/// forgotten.
pub const EFFECT_GRACE: Duration = Duration::from_secs(3);
/// After a failed load, how long commands are refused without asking the database again.
const LOAD_PAUSE: Duration = Duration::from_millis(200);

/// What an entity's actor is told.
#[derive(RactorMessage)]
pub(super) enum EntityMessage {
    /// A command from outside.
    Command(Box<Delivery>),
    /// Something that was handed to the journal is durable.
    Durable,
    /// An effect has its answers, or gives up: a command for the entity itself.
    Effect { id: EffectId, attempts: u32, command: Vec<u8>, traceparent: Option<Traceparent> },
    /// The time to wake may have come.
    Wake,
    /// Stop if nothing is in flight; says so to whoever wants to know.
    Passivate(Option<oneshot::Sender<bool>>),
    /// Drop the memory and read it anew with the next message.
    Forget,
    /// Say how it is.
    Look(oneshot::Sender<Look>),
    /// An operator wants something of what is outstanding. Without an answer it was not done.
    Operate(Operation, oneshot::Sender<Report>),
}

/// A command on its way to its entity.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The command as JSON.
    pub command: Vec<u8>,
    /// Set for edge commands that must be executed at most once.
    pub once: Option<Once>,
    /// Of the step that brings it.
    pub traceparent: Option<Traceparent>,
    /// When it came to this node.
    pub arrived: Instant,
    /// After this nobody waits any more: it is not executed.
    pub deadline: Instant,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

pub(super) struct EntityActor;

/// What an entity's actor is started with.
pub(super) struct EntityArguments {
    pub place: Arc<ShardPlace>,
    pub term: u64,
    pub entity_type: Arc<dyn EntityType>,
    pub key: Key,
    pub depth: Arc<AtomicU32>,
    pub shard: ActorRef<ShardMessage>,
    /// Earlier decisions may still be on their way to the database: wait for them before loading.
    pub after_failure: bool,
}

pub(super) struct EntityState {
    pub arguments: EntityArguments,
    pub live: Option<Box<Live>>,
    load_failed: Option<Instant>,
    pub recent: Recent,
}

/// An entity in memory.
pub(super) struct Live {
    pub instance: Box<dyn Instance>,
    pub version: u64,
    pub durable: Arc<Durable>,
    /// What is outstanding once the version in front of it is durable.
    pub staged: VecDeque<(u64, Pending)>,
    pub running: HashMap<EffectId, EffectRun>,
    /// The commits that brought up what is outstanding, as far as they belong to a trace.
    pub traces: Vec<(EffectId, Traceparent)>,
}

/// What a decision is made for.
pub(super) struct Cause {
    pub command_id: String,
    pub traceparent: Option<Traceparent>,
    pub once: Option<Once>,
    pub reply: Option<ReplyTo>,
    /// When it came to this node, from outside.
    pub arrived: Option<Instant>,
}

impl Actor for EntityActor {
    type Msg = EntityMessage;
    type State = EntityState;
    type Arguments = EntityArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        arguments.place.loaded(arguments.entity_type.kind(), 1);
        Ok(EntityState { arguments, live: None, load_failed: None, recent: Recent::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let EntityMessage::Command(_) = message {
            state.arguments.depth.fetch_sub(1, Ordering::Relaxed);
        }
        if let EntityMessage::Passivate(told) = message {
            state.passivate(&myself, told);
            return Ok(());
        }
        if let EntityMessage::Forget = message {
            state.forget();
            return Ok(());
        }
        if let EntityMessage::Look(answer) = message {
            // Whoever asked may have given up.
            let _ = answer.send(state.look());
            return Ok(());
        }
        if state.live.is_none() {
            // Boxed: loading is rare and its future large.
            if let Err(failure) = Box::pin(state.load(&myself)).await? {
                match message {
                    EntityMessage::Command(delivery) => delivery.reply.fail(failure),
                    // Whoever asked may have given up.
                    EntityMessage::Operate(_, answer) => {
                        let _ = answer.send(Report::Refused { reason: failure.to_string() });
                    }
                    _ => {}
                }
                return Ok(());
            }
        }
        match message {
            EntityMessage::Command(delivery) => state.command(&myself, *delivery)?,
            EntityMessage::Effect { id, attempts, command, traceparent } => {
                Box::pin(state.effect_answered(&myself, id, attempts, command, traceparent)).await?;
            }
            EntityMessage::Durable => state.start_effects(&myself),
            EntityMessage::Wake => Box::pin(state.wake(&myself)).await?,
            EntityMessage::Operate(operation, answer) => {
                Box::pin(state.operate(&myself, operation, answer)).await?;
            }
            EntityMessage::Passivate(_) | EntityMessage::Forget | EntityMessage::Look(_) => {}
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Self::Msg>, _: &mut Self::State) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        _event: SupervisionEvent,
        _state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl Drop for EntityState {
    fn drop(&mut self) {
        self.arguments.place.loaded(self.arguments.entity_type.kind(), -1);
        if let Some(live) = &mut self.live {
            live.running.values_mut().for_each(EffectRun::stop);
        }
    }
}

impl Live {
    /// An effect belongs to the trace of the command that brought it up.
    fn traced(&mut self, pending: &Pending, commit: Traceparent) {
        for effect in &pending.effects {
            if !self.traces.iter().any(|(id, _)| *id == effect.id) {
                self.traces.push((effect.id, commit));
            }
        }
    }
}

impl EntityState {
    /// Reads head and parts. The outer error is for what reading again won't cure.
    async fn load(&mut self, myself: &ActorRef<EntityMessage>) -> Result<Result<(), Failure>, ActorProcessingErr> {
        let arguments = &mut self.arguments;
        let place = &arguments.place;
        let unavailable = || Failure::Unavailable { what: "database".into(), retry_after_ms: 1000 };
        if self.load_failed.is_some_and(|at| at.elapsed() < LOAD_PAUSE) {
            return Ok(Err(unavailable()));
        }
        if std::mem::take(&mut arguments.after_failure) {
            place.journal.barrier(place.shard).await;
        }
        let table = arguments.entity_type.table();
        let stored = match place.store.load(&table, place.shard.number, &arguments.key).await {
            Ok(stored) => stored,
            Err(error) => {
                if let Some(told) = place.runtime.loading.failed() {
                    let entity = self.address();
                    tracing::warn!(
                        %entity,
                        %error,
                        failures = told.failures,
                        lasted_ms = told.lasted_ms,
                        "entities could not be loaded"
                    );
                }
                self.load_failed = Some(Instant::now());
                return Ok(Err(unavailable()));
            }
        };
        self.load_failed = None;
        if let Some(told) = place.runtime.loading.works() {
            tracing::info!(failures = told.failures, lasted_ms = told.lasted_ms, "entities are loaded again");
        }
        let (instance, stored) = match stored {
            None => (arguments.entity_type.create(), StoredEntity::default()),
            Some(stored) => (arguments.entity_type.restore(&stored)?, stored),
        };
        let durable = Durable::default();
        durable.version.store(stored.version, Ordering::Relaxed);
        durable.seq.store(stored.seq, Ordering::Relaxed);
        let pending = instance.outstanding();
        let mut live = Box::new(Live {
            instance,
            version: stored.version,
            durable: Arc::new(durable),
            staged: VecDeque::new(),
            running: HashMap::new(),
            traces: Vec::new(),
        });
        if !pending.effects.is_empty() {
            live.staged.push_back((stored.version, pending));
        }
        self.live = Some(live);
        self.start_effects(myself);
        Ok(Ok(()))
    }

    fn command(&mut self, myself: &ActorRef<EntityMessage>, delivery: Delivery) -> Result<(), ActorProcessingErr> {
        if delivery.deadline <= Instant::now() {
            delivery.reply.fail(Failure::TimedOut);
            return Ok(());
        }
        let permit = match self.arguments.place.journal.reserve(self.arguments.place.shard) {
            Ok(permit) => permit,
            Err(failure) => {
                delivery.reply.fail(failure);
                return Ok(());
            }
        };
        let command_id = delivery.once.as_ref().map(|once| once.id.clone()).unwrap_or_default();
        let Delivery { command, once, traceparent, arrived, reply, .. } = delivery;
        let cause = Cause { command_id, traceparent, once, reply: Some(reply), arrived: Some(arrived) };
        self.decide(myself, permit, &command, cause).map(|_| ())
    }

    /// Decides one command and hands the outcome to the journal; says whether the state moved.
    pub(super) fn decide(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        permit: Permit,
        command: &[u8],
        mut cause: Cause,
    ) -> Result<bool, ActorProcessingErr> {
        let arguments = &self.arguments;
        let place = &arguments.place;
        let live = self.live.as_mut().expect("commands are decided after loading");
        let mut context =
            Context::new(arguments.key.clone(), place.now(), live.version, place.feature_level(), rand::random());
        let once = cause.once.as_ref();
        let kind = arguments.entity_type.kind();
        let step = Step::decide(cause.traceparent, kind, &arguments.key);
        let began = Instant::now();
        step.keep("command", || command_name(command));
        if let Some(arrived) = cause.arrived {
            step.keep("queued_us", || began.saturating_duration_since(arrived).as_micros());
        }
        let decided = catch_unwind(AssertUnwindSafe(|| live.instance.decide(command, once, &mut context)));
        let took = began.elapsed();
        let Ok(decided) = decided else {
            metrics::asked(kind, "panic");
            let (entity, trace_id) = (self.address(), step.trace_id());
            tracing::error!(%entity, trace_id, "an entity panicked while it decided");
            step.note("outcome", "panic");
            if let Some(reply) = cause.reply.take() {
                reply.fail(Failure::Crashed { entity: self.address().to_string() });
            }
            return Err(format!("{} panicked while it decided", self.address()).into());
        };
        let (outcome, ended, events) = match decided {
            Decided::Accepted { events, reply } => {
                let entity_version = live.version + events.len() as u64;
                (Outcome::Reply { json: reply, entity_version }, Ended::Accepted, events)
            }
            Decided::Rejected(json) => {
                (Outcome::Rejected { json, entity_version: live.version }, Ended::Rejected, Vec::new())
            }
            Decided::Failed(failure) => (Outcome::Failed(failure), Ended::Failed, Vec::new()),
        };
        let label = ended.label();
        metrics::asked(kind, label);
        place.observer().decided(kind, &arguments.key, took);
        // What came from outside was looked up when it arrived.
        let slot = cause.reply.as_ref().and_then(ReplyTo::slot);
        let slot = slot.unwrap_or_else(|| place.observer().slot(kind, command));
        self.recent.note(slot, ended, context.now, took);
        step.note("outcome", label);
        step.note("events", events.len());
        if events.is_empty() {
            drop(step);
            self.answer(permit, cause.reply, outcome);
            return Ok(false);
        }
        let traceparent = step.traceparent.map(|one| one.to_string()).unwrap_or_default();
        let rows = events.into_iter().zip(live.version + 1..).map(|((event_type, payload), entity_version)| NewRow {
            entity_version,
            command_id: cause.command_id.clone(),
            event_type,
            payload,
            occurred_at: context.now,
            traceparent: traceparent.clone(),
        });
        let rows: Vec<NewRow> = rows.collect();
        live.version += rows.len() as u64;
        let head = live.instance.head_row();
        place.observer().written(kind, &arguments.key, head.data.len());
        if !head.fits() {
            if let Some(reply) = cause.reply.take() {
                reply.fail(Failure::Invalid { reason: format!("the state of {} would be too large", kind) });
            }
            tracing::error!(entity = %self.address(), bytes = head.data.len(), "a decision made the head too large");
            self.forget();
            return Ok(false);
        }
        let commit = Step::commit(step.traceparent, kind, &self.arguments.key);
        drop(step);
        let states = self.write(head, context.now, commit.traceparent);
        let live = self.live.as_ref().expect("still loaded");
        let nudge: Option<Box<dyn FnOnce() + Send>> = (!live.staged.is_empty()).then(|| {
            let myself = myself.clone();
            Box::new(move || drop(myself.cast(EntityMessage::Durable))) as Box<dyn FnOnce() + Send>
        });
        let release = Release { reply: cause.reply.map(|reply| (reply, outcome)), nudge, step: Some(commit) };
        permit.submit(self.submission(rows, states, release, false));
        Ok(true)
    }

    /// State rows of a decision; stages what it leaves outstanding.
    fn write(&mut self, mut head: StateRow, now: Timestamp, commit: Option<Traceparent>) -> Vec<StateWrite> {
        let live = self.live.as_mut().expect("written after a decision");
        let pending = live.instance.outstanding();
        if let Some(commit) = commit {
            live.traced(&pending, commit);
        }
        let effects_at = (!pending.effects.is_empty()).then(|| now.plus(EFFECT_GRACE));
        let wake_at = pending.wake.as_ref().map(|(at, _)| *at);
        head.version = live.version;
        head.wake_at = effects_at.into_iter().chain(wake_at).min();
        if !pending.effects.is_empty() || !live.running.is_empty() || !live.staged.is_empty() {
            live.staged.push_back((live.version, pending));
        }
        let table = self.arguments.entity_type.table();
        let shard = self.arguments.place.shard.number;
        let entity = &self.arguments.key;
        let head = StateWrite { table, shard, entity: entity.clone(), part: String::new(), row: Some(head) };
        let parts = live.instance.take_touched().into_iter().map(|(part, data)| StateWrite {
            table,
            shard,
            entity: entity.clone(),
            part,
            row: data.map(|data| StateRow { version: 0, seq: 0, data, wake_at: None, columns: Vec::new() }),
        });
        std::iter::once(head).chain(parts).collect()
    }

    /// Answers without having changed anything: at once when all it rests on is durable and the lease
    /// holds, else behind the journal.
    fn answer(&self, permit: Permit, reply: Option<ReplyTo>, outcome: Outcome) {
        let Some(reply) = reply else { return };
        let live = self.live.as_ref().expect("answered after loading");
        let durable = live.durable.version.load(Ordering::Acquire) >= live.version;
        let lease_holds = self.arguments.place.lease_holds();
        if durable && lease_holds {
            reply.send(outcome);
            return;
        }
        let release = Release { reply: Some((reply, outcome)), ..Release::default() };
        permit.submit(self.submission(Vec::new(), Vec::new(), release, !lease_holds));
    }

    pub(super) fn submission(
        &self,
        rows: Vec<NewRow>,
        states: Vec<StateWrite>,
        release: Release,
        proof: bool,
    ) -> Submission {
        let live = self.live.as_ref().expect("submitted after loading");
        Submission {
            shard: self.arguments.place.shard,
            term: self.arguments.term,
            kind: self.arguments.entity_type.kind(),
            key: self.arguments.key.clone(),
            rows,
            states,
            proof,
            durable: Arc::clone(&live.durable),
            version: live.version,
            release,
        }
    }

    /// Drops the memory. What was decided is on its way to the database, and read again only behind it.
    fn forget(&mut self) {
        if let Some(mut live) = self.live.take() {
            live.running.values_mut().for_each(EffectRun::stop);
        }
        self.arguments.after_failure = true;
    }

    /// Stops when everything is durable and nothing is in flight; else tells the shard that it stays.
    fn passivate(&mut self, myself: &ActorRef<EntityMessage>, told: Option<oneshot::Sender<bool>>) {
        let idle = self.live.as_ref().is_none_or(|live| {
            live.running.is_empty()
                && live.staged.is_empty()
                && live.durable.version.load(Ordering::Acquire) >= live.version
        });
        if let Some(told) = told {
            // Whoever asked may have given up.
            let _ = told.send(idle);
        }
        if idle {
            myself.stop(Some("passivated".into()));
        } else {
            let kept = ShardMessage::Kept { kind: self.arguments.entity_type.kind(), key: self.arguments.key.clone() };
            drop(self.arguments.shard.cast(kept));
        }
    }

    pub(super) fn address(&self) -> Address {
        Address { kind: self.arguments.entity_type.kind().to_string().into(), key: self.arguments.key.clone() }
    }
}
