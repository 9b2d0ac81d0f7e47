//! What an entity wants from the rest of the world: effects, each with its calls side by side until all have an
//! answer, and the time to wake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use ractor::{ActorProcessingErr, ActorRef};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::ask::Ask;
use crate::handle::Outcome;
use crate::instance::{EffectId, PendingEffect};
use crate::journal::Release;
use crate::metrics;
use crate::outstanding::{Answer, Call};
use crate::reference::Address;
use crate::trace::{Step, Traceparent};

use super::ShardPlace;
use super::entity::{Cause, EntityMessage, EntityState};

/// How long one attempt of a call of an entity may take; a provider says so itself.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// The pause after the first failed attempt; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// An effect that has been started.
pub(super) struct EffectRun {
    /// Failed attempts before its command came.
    attempts: u32,
    task: Option<AbortHandle>,
    progress: Arc<Progress>,
    given_up: bool,
}

/// What an effect under way shares with its entity.
#[derive(Default)]
struct Progress {
    /// Failed attempts so far.
    failed: AtomicU32,
    /// Ends the pause before the next attempt.
    hurry: Notify,
}

impl EffectRun {
    /// Whether its calls are still on their way.
    pub(super) fn is_running(&self) -> bool {
        self.task.is_some()
    }

    /// Failed attempts so far.
    pub(super) fn failed(&self) -> u32 {
        self.progress.failed.load(Ordering::Relaxed)
    }

    /// Its command has come; whether it helped will show.
    fn answered(&mut self, attempts: u32) {
        self.attempts = attempts;
        self.task = None;
    }

    /// The next attempt is made now, or at once behind the one that is under way.
    pub(super) fn hurry(&self) {
        self.progress.hurry.notify_one();
    }

    /// What its calls have brought so far, or will, does not matter any more.
    pub(super) fn give_up(&mut self) {
        self.stop();
        self.given_up = true;
    }

    /// Its answer no longer matters.
    pub(super) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Starts an effect of `from`; one that was started before has failed once more since.
fn start(
    place: &Arc<ShardPlace>,
    from: Address,
    effect: PendingEffect,
    before: Option<&EffectRun>,
    trace: Option<Traceparent>,
    entity: ActorRef<EntityMessage>,
) -> EffectRun {
    let attempts = before.map_or(0, |run| run.attempts + 1);
    // An operator who wanted it to hurry wants that of its next attempt, too.
    let progress = before.map(|run| Arc::clone(&run.progress)).unwrap_or_default();
    progress.failed.store(attempts, Ordering::Relaxed);
    let trace = Step::effect(trace, &from, effect.id.step);
    let task = tokio::spawn(run(Arc::clone(place), from, effect, Arc::clone(&progress), trace, entity));
    EffectRun { attempts, task: Some(task.abort_handle()), progress, given_up: false }
}

async fn run(
    place: Arc<ShardPlace>,
    from: Address,
    effect: PendingEffect,
    progress: Arc<Progress>,
    trace: Step,
    entity: ActorRef<EntityMessage>,
) {
    let id = effect.id;
    let mut attempts = progress.failed.load(Ordering::Relaxed);
    let mut answers: Vec<Option<Answer>> = vec![None; effect.calls.len()];
    let command = loop {
        if let Some((_, command)) = effect.give_up.as_ref().filter(|(most, _)| attempts >= *most) {
            let trace_id = trace.trace_id();
            tracing::warn!(entity = %from, step = id.step, attempts, trace_id, "an effect is given up");
            metrics::effect(&from.kind, id.step, "given_up");
            break command.clone();
        }
        if attempts > 0 {
            progress.pause(attempts).await;
        }
        let Ok(permit) = place.effect_permits().acquire().await else { return };
        let calls = effect.calls.iter().zip(answers.iter_mut()).filter(|(_, answer)| answer.is_none());
        join_all(
            calls.map(|(call, answer)| async { *answer = attempt(&place, &from, id, call, trace.traceparent).await }),
        )
        .await;
        drop(permit);
        let complete: Option<Vec<Answer>> = answers.iter().cloned().collect();
        if let Some(complete) = complete {
            let then = effect.then;
            // A wrong answer (of another version, say) must not take the runtime down with it.
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| then(complete))) {
                Ok(command) => break command,
                Err(_) => {
                    let trace_id = trace.trace_id();
                    tracing::error!(entity = %from, step = id.step, trace_id, "an answer was not understood");
                    metrics::effect(&from.kind, id.step, "not_understood");
                    progress.pause(attempts + 1).await;
                    ended(&entity, id, attempts + 1, Vec::new(), trace);
                    return;
                }
            }
        }
        attempts += 1;
        progress.failed.store(attempts, Ordering::Relaxed);
        metrics::effect(&from.kind, id.step, "no_answer");
    };
    metrics::effect(&from.kind, id.step, "answered");
    ended(&entity, id, attempts, command, trace);
}

/// Tells the entity, whose decision is the next step of the trace.
fn ended(entity: &ActorRef<EntityMessage>, id: EffectId, attempts: u32, command: Vec<u8>, trace: Step) {
    trace.note("failed_attempts", attempts);
    let traceparent = trace.traceparent;
    drop(trace);
    drop(entity.cast(EntityMessage::Effect { id, attempts, command, traceparent }));
}

/// The answer to a call, or nothing when it must be repeated.
async fn attempt(
    place: &ShardPlace,
    from: &Address,
    id: EffectId,
    call: &Call,
    traceparent: Option<Traceparent>,
) -> Option<Answer> {
    match call {
        Call::Ask { target, command } => {
            let ask = Ask { chain: vec![from.clone()], ..Ask::within(CALL_DEADLINE).traced(traceparent) };
            match place.router()?.ask(target.clone(), command.clone(), ask).await {
                Outcome::Reply { json, .. } => Some(Answer::Reply(json)),
                Outcome::Rejected { json, .. } => Some(Answer::Rejected(json)),
                Outcome::Failed(failure) => {
                    tracing::debug!(entity = %from, step = id.step, %target, %failure, "a call has no answer yet");
                    None
                }
            }
        }
        Call::Provider { name, request } => {
            let key = format!("{from}#{}#{}", id.step, id.ordinal);
            let Some(provider) = place.provider(name) else {
                tracing::error!(entity = %from, provider = name, "no such provider on this node");
                return None;
            };
            let step = Step::provider(traceparent, name);
            let answer = match tokio::time::timeout(provider.deadline(), provider.call(&key, request)).await {
                Ok(Ok(json)) => Some(Answer::Reply(json)),
                Ok(Err(error)) => {
                    tracing::debug!(entity = %from, provider = name, %error, "a provider did not answer");
                    None
                }
                Err(_) => None,
            };
            step.note("outcome", if answer.is_some() { "answered" } else { "no answer" });
            answer
        }
    }
}

impl Progress {
    /// The pause after so many failed attempts, unless somebody is in a hurry.
    async fn pause(&self, attempts: u32) {
        tokio::select! {
            () = tokio::time::sleep(pause_after(attempts)) => {}
            () = self.hurry.notified() => {}
        }
    }
}

/// Exponential, with up to a quarter taken off at random so that repeats do not march in step.
fn pause_after(attempts: u32) -> Duration {
    let full = PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(PAUSE_MAX);
    full.mul_f64(1.0 - 0.25 * f64::from(rand::random::<u16>()) / f64::from(u16::MAX))
}

impl EntityState {
    /// Starts what the newest durable state leaves outstanding and stops what it no longer does.
    pub(super) fn start_effects(&mut self, myself: &ActorRef<EntityMessage>) {
        let from = self.address();
        let Some(live) = self.live.as_mut() else { return };
        let durable = live.durable.version.load(Ordering::Acquire);
        let mut newest = None;
        while live.staged.front().is_some_and(|(version, _)| *version <= durable) {
            newest = live.staged.pop_front();
        }
        let Some((_, pending)) = newest else { return };
        if live.staged.is_empty() {
            live.traces.retain(|(id, _)| pending.effects.iter().any(|effect| effect.id == *id));
        }
        live.running.retain(|id, run| {
            let kept = pending.effects.iter().any(|effect| effect.id == *id);
            if !kept {
                run.stop();
            }
            kept
        });
        for effect in pending.effects {
            let id = effect.id;
            let before = live.running.get(&id);
            if before.is_some_and(EffectRun::is_running) {
                continue;
            }
            let trace = live.traces.iter().find(|(traced, _)| *traced == id).map(|(_, trace)| *trace);
            let run = start(&self.arguments.place, from.clone(), effect, before, trace, myself.clone());
            live.running.insert(id, run);
        }
    }

    /// An effect's command comes in; when it leaves the effect outstanding, the attempt has failed.
    pub(super) async fn effect_answered(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        id: EffectId,
        attempts: u32,
        command: Vec<u8>,
        traceparent: Option<Traceparent>,
    ) -> Result<(), ActorProcessingErr> {
        let live = self.live.as_mut().expect("answers come to loaded entities");
        let Some(run) = live.running.get_mut(&id).filter(|run| !run.given_up) else { return Ok(()) };
        run.answered(attempts);
        let cause = format!("{}#{}", id.step, id.ordinal);
        let moved = self.decide_for_itself(myself, cause, &command, traceparent).await?;
        if !moved {
            self.stage_again(myself).await?;
        }
        Ok(())
    }

    /// Nothing moved: what is outstanding stays so and is tried again once the present state is durable.
    pub(super) async fn stage_again(&mut self, myself: &ActorRef<EntityMessage>) -> Result<(), ActorProcessingErr> {
        let Some(live) = self.live.as_mut() else { return Ok(()) };
        let pending = live.instance.outstanding();
        live.staged.push_back((live.version, pending));
        if live.durable.version.load(Ordering::Acquire) >= live.version {
            self.start_effects(myself);
            return Ok(());
        }
        let place = &self.arguments.place;
        let Ok(permit) = place.journal.reserve_waiting(place.shard).await else { return Ok(()) };
        let again = myself.clone();
        let nudge: Box<dyn FnOnce() + Send> = Box::new(move || drop(again.cast(EntityMessage::Durable)));
        let release = Release { nudge: Some(nudge), ..Release::default() };
        permit.submit(self.submission(Vec::new(), Vec::new(), release, false));
        Ok(())
    }

    pub(super) async fn wake(&mut self, myself: &ActorRef<EntityMessage>) -> Result<(), ActorProcessingErr> {
        let now = self.arguments.place.now();
        let live = self.live.as_ref().expect("woken after loading");
        let Some((_, command)) = live.instance.outstanding().wake.filter(|(at, _)| *at <= now) else { return Ok(()) };
        if !self.decide_for_itself(myself, "wake".into(), &command, None).await? {
            tracing::error!(entity = %self.address(), "a reminder left the state as it was");
        }
        Ok(())
    }

    pub(super) async fn decide_for_itself(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        command_id: String,
        command: &[u8],
        traceparent: Option<Traceparent>,
    ) -> Result<bool, ActorProcessingErr> {
        let place = &self.arguments.place;
        let Ok(permit) = place.journal.reserve_waiting(place.shard).await else { return Ok(false) };
        let cause = Cause { command_id, traceparent, once: None, reply: None, arrived: None };
        self.decide(myself, permit, command, cause)
    }
}
