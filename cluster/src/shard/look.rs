//! What a shard says of itself and of its entities, and what may be done with these from outside. Nothing here loads
//! or wakes an entity but what is done with its effects and its reminder.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ractor::ActorRef;
use tokio::sync::oneshot;

use super::entity::{EntityMessage, EntityState};
use super::{Entry, Operation, ShardMessage, ShardState};
use crate::inspect::Report;
use crate::inspect::question::Matching;
use crate::inspect::report::{EffectReport, RecentReport, WaitingReport};
use crate::instance::{EntityType, PendingEffect};
use crate::outstanding::Call;
use crate::reference::{Key, Kind};
use crate::time::Timestamp;

/// Commands that wait for an entity and are told of.
const WAITING_TOLD_MAX: usize = 20;
/// Decisions that an entity remembers.
const RECENT_MAX: usize = 6;

/// What a shard is asked from outside. A shard that does not serve, or not yet, leaves what is to be done unanswered.
pub(crate) enum Inspect {
    /// Where an entity is.
    Presence { kind: Kind, key: Key, answer: oneshot::Sender<Presence> },
    /// The fullest mailboxes, and how many commands wait by kind.
    Waiting { answer: oneshot::Sender<Vec<Waiting>> },
    /// Send an entity out of the memory.
    Passivate { kind: Kind, key: Key, answer: oneshot::Sender<bool> },
    /// Drop an entity's memory, so that it is read anew.
    Restart { kind: Kind, key: Key, answer: oneshot::Sender<bool> },
    /// Try an entity again that was set aside.
    Release { kind: Kind, key: Key, answer: oneshot::Sender<bool> },
    /// Do something with what an entity has outstanding.
    Operate { entity_type: Arc<dyn EntityType>, key: Key, operation: Operation, answer: oneshot::Sender<Report> },
    /// Send out of the memory what matches; says how many.
    PassivateMatching { matching: Matching, dry_run: bool, answer: oneshot::Sender<u64> },
}

/// Where an entity is.
pub(crate) struct Presence {
    pub quarantined: bool,
    pub loaded: Option<Loaded>,
}

/// One in memory.
pub(crate) struct Loaded {
    pub waiting: u32,
    /// The first of them.
    pub first: Vec<WaitingReport>,
    pub loaded_for: Duration,
    pub idle_for: Duration,
    /// What it says of itself, as soon as it gets to it.
    pub look: oneshot::Receiver<Look>,
}

/// Commands that wait for one entity.
pub(crate) struct Waiting {
    pub kind: Kind,
    pub key: Key,
    pub commands: u32,
}

/// What an entity says of itself.
pub(crate) struct Look {
    pub version: u64,
    pub durable_version: u64,
    pub seq: u64,
    pub state_bytes: u64,
    pub state: serde_json::Value,
    pub recent: Vec<RecentReport>,
    pub effects: Vec<EffectReport>,
    pub wake_at: Option<Timestamp>,
}

/// The last decisions of an entity. Small, for there is one in each: commands by their slot in the kind's counts.
#[derive(Default)]
pub(super) struct Recent {
    decisions: [Option<Decision>; RECENT_MAX],
    next: u8,
}

#[derive(Clone, Copy)]
struct Decision {
    at: Timestamp,
    took_us: u32,
    slot: u8,
    outcome: Ended,
}

/// How a decision ended.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Accepted,
    Rejected,
    Failed,
}

impl Ended {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

impl Recent {
    pub(super) fn note(&mut self, slot: usize, outcome: Ended, at: Timestamp, took: Duration) {
        let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let slot = u8::try_from(slot).unwrap_or(u8::MAX);
        self.decisions[usize::from(self.next)] = Some(Decision { at, took_us, slot, outcome });
        self.next = (self.next + 1) % RECENT_MAX as u8;
    }

    /// Newest first.
    fn report(&self, name: impl Fn(usize) -> String) -> Vec<RecentReport> {
        let newest = usize::from(self.next) + RECENT_MAX - 1;
        let in_order = (0..RECENT_MAX).filter_map(|back| self.decisions[(newest - back) % RECENT_MAX]);
        let told = in_order.map(|decision| RecentReport {
            command: name(usize::from(decision.slot)),
            outcome: decision.outcome.label().to_owned(),
            at_ms: decision.at.0,
            decided_us: u64::from(decision.took_us),
        });
        told.collect()
    }
}

impl EntityState {
    pub(super) fn look(&mut self) -> Look {
        let counts = self.arguments.place.observer().kind(self.arguments.entity_type.kind()).map(|seen| &seen.counts);
        let recent = self.recent.report(|slot| counts.map_or("", |counts| counts.name(slot)).to_owned());
        let Some(live) = self.live.as_mut() else {
            return Look {
                version: 0,
                durable_version: 0,
                seq: 0,
                state_bytes: 0,
                state: serde_json::Value::Null,
                recent,
                effects: Vec::new(),
                wake_at: None,
            };
        };
        let pending = live.instance.outstanding();
        let effects = pending.effects.iter().map(|effect| {
            let run = live.running.get(&effect.id);
            EffectReport {
                step: effect.id.step.to_owned(),
                ordinal: effect.id.ordinal,
                running: run.is_some_and(super::effects::EffectRun::is_running),
                attempts: run.map_or(0, super::effects::EffectRun::failed),
                calls: called(effect),
            }
        });
        let effects = effects.collect();
        Look {
            version: live.version,
            durable_version: live.durable.version.load(Ordering::Acquire),
            seq: live.durable.seq.load(Ordering::Acquire),
            state_bytes: live.instance.head_row().data.len() as u64,
            state: live.instance.to_json(),
            recent,
            effects,
            wake_at: pending.wake.map(|(at, _)| at),
        }
    }
}

fn called(effect: &PendingEffect) -> Vec<String> {
    let name = |call: &Call| match call {
        Call::Ask { target, .. } => target.to_string(),
        Call::Provider { name, .. } => (*name).to_owned(),
    };
    effect.calls.iter().map(name).collect()
}

impl ShardState {
    pub(super) async fn inspect(&mut self, myself: &ActorRef<ShardMessage>, inspect: Inspect) {
        if inspect.acts() && (self.closed || self.term.is_none()) {
            return;
        }
        match inspect {
            Inspect::Presence { kind, key, answer } => tell(answer, self.presence(kind, key)),
            Inspect::Waiting { answer } => tell(answer, self.waiting()),
            Inspect::Passivate { kind, key, answer } => {
                match self.entities.get_mut(&(kind, key)).filter(|entry| entry.may_leave()) {
                    Some(entry) => entry.leave(Some(answer)),
                    None => tell(answer, false),
                }
            }
            Inspect::Restart { kind, key, answer } => {
                let entry = self.entities.get(&(kind, key));
                if let Some(entry) = entry {
                    drop(entry.actor.cast(EntityMessage::Forget));
                    // At once, not on the next command: what is outstanding must go on.
                    drop(entry.actor.cast(EntityMessage::Wake));
                }
                tell(answer, entry.is_some());
            }
            Inspect::Release { kind, key, answer } => {
                let name = (kind, key);
                let was_aside = self.is_quarantined(&name);
                if was_aside {
                    self.failures.remove(&name);
                    self.place.runtime.quarantine(kind, &name.1, false);
                    if let Some(entity_type) = self.place.runtime.entity_type(&kind.to_string()).cloned() {
                        self.wake(myself, entity_type, name.1).await;
                    }
                }
                tell(answer, was_aside);
            }
            Inspect::Operate { entity_type, key, operation, answer } => {
                let name = (entity_type.kind(), key);
                if self.is_quarantined(&name) {
                    let reason = format!("{}/{} is set aside; release it first", name.0, name.1);
                    tell(answer, Report::Refused { reason });
                } else if let Some(entry) = self.entry(myself, &name, &entity_type, false).await {
                    entry.last_used = Instant::now();
                    drop(entry.actor.cast(EntityMessage::Operate(operation, answer)));
                }
            }
            Inspect::PassivateMatching { matching, dry_run, answer } => {
                tell(answer, self.passivate_matching(&matching, dry_run));
            }
        }
    }

    fn presence(&self, kind: Kind, key: Key) -> Presence {
        let name = (kind, key);
        let loaded = self.entities.get(&name).map(|entry| {
            let (tell, look) = oneshot::channel();
            drop(entry.actor.cast(EntityMessage::Look(tell)));
            let waiting = entry.depth.load(Ordering::Relaxed);
            let counts = self.place.observer().kind(kind).map(|seen| &seen.counts);
            let told = |(slot, age): (usize, Duration)| WaitingReport {
                command: counts.map_or("", |counts| counts.name(slot)).to_owned(),
                age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            };
            Loaded {
                waiting,
                first: entry.queue.first(waiting, WAITING_TOLD_MAX, entry.since).into_iter().map(told).collect(),
                loaded_for: entry.since.elapsed(),
                idle_for: entry.last_used.elapsed(),
                look,
            }
        });
        Presence { quarantined: self.is_quarantined(&name), loaded }
    }

    fn waiting(&self) -> Vec<Waiting> {
        let all = self.entities.iter().map(|((kind, key), entry)| {
            let commands = entry.depth.load(Ordering::Relaxed);
            (commands, kind, key)
        });
        let busy = all.filter(|(commands, _, _)| *commands > 0);
        busy.map(|(commands, kind, key)| Waiting { kind: *kind, key: key.clone(), commands }).collect()
    }

    fn passivate_matching(&mut self, matching: &Matching, dry_run: bool) -> u64 {
        if matching.shard.is_some_and(|shard| shard != self.place.shard.number) {
            return 0;
        }
        let idle = matching.idle_ms.map(Duration::from_millis);
        let now = Instant::now();
        let mut count = 0;
        for ((kind, _), entry) in &mut self.entities {
            let fits = matching.kind.as_ref().is_none_or(|wanted| *wanted == kind.to_string())
                && idle.is_none_or(|idle| now.duration_since(entry.last_used) >= idle)
                && entry.may_leave();
            if fits {
                count += 1;
                if !dry_run {
                    entry.leave(None);
                }
            }
        }
        count
    }
}

impl Inspect {
    /// Whether it does something with one entity, which only the owner of its shard may.
    fn acts(&self) -> bool {
        matches!(self, Self::Passivate { .. } | Self::Restart { .. } | Self::Release { .. } | Self::Operate { .. })
    }
}

impl Entry {
    fn may_leave(&self) -> bool {
        self.stopping.is_none() && self.depth.load(Ordering::Relaxed) == 0
    }

    /// The entity says itself whether it can.
    pub(super) fn leave(&mut self, told: Option<oneshot::Sender<bool>>) {
        self.stopping = Some(Vec::new());
        drop(self.actor.cast(EntityMessage::Passivate(told)));
    }
}

/// Whoever asked may have given up: then the answer goes nowhere.
fn tell<T>(answer: oneshot::Sender<T>, what: T) {
    let _ = answer.send(what);
}
