//! Runs one effect of an entity: its calls side by side, each until it has an answer.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ractor::ActorRef;
use tokio::task::AbortHandle;

use crate::ask::Ask;
use crate::handle::Outcome;
use crate::instance::{EffectId, PendingEffect};
use crate::metrics;
use crate::outstanding::{Answer, Call};
use crate::reference::Address;
use crate::trace::{Step, Traceparent};

use super::ShardPlace;
use super::entity::EntityMessage;

/// How long one attempt of a call of an entity may take; a provider says so itself.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// The pause after the first failed attempt; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// An effect that has been started.
pub(super) struct EffectRun {
    /// Failed attempts so far.
    pub attempts: u32,
    task: Option<AbortHandle>,
}

impl EffectRun {
    /// Whether its calls are still on their way.
    pub(super) fn is_running(&self) -> bool {
        self.task.is_some()
    }

    /// Its command has come; whether it helped will show.
    pub(super) fn answered(&mut self, attempts: u32) {
        self.attempts = attempts;
        self.task = None;
    }

    /// Its answer no longer matters.
    pub(super) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Starts an effect of `from` that has failed `attempts` times already.
pub(super) fn start(
    place: &Arc<ShardPlace>,
    from: Address,
    effect: PendingEffect,
    attempts: u32,
    trace: Option<Traceparent>,
    entity: ActorRef<EntityMessage>,
) -> EffectRun {
    let trace = Step::effect(trace, &from, effect.id.step);
    let task = tokio::spawn(run(Arc::clone(place), from, effect, attempts, trace, entity));
    EffectRun { attempts, task: Some(task.abort_handle()) }
}

async fn run(
    place: Arc<ShardPlace>,
    from: Address,
    effect: PendingEffect,
    mut attempts: u32,
    trace: Step,
    entity: ActorRef<EntityMessage>,
) {
    let id = effect.id;
    let mut answers: Vec<Option<Answer>> = vec![None; effect.calls.len()];
    let command = loop {
        if let Some((_, command)) = effect.give_up.as_ref().filter(|(most, _)| attempts >= *most) {
            tracing::warn!(entity = %from, step = id.step, attempts, "an effect is given up");
            metrics::effect(&from.kind, id.step, "given_up");
            break command.clone();
        }
        if attempts > 0 {
            tokio::time::sleep(pause_after(attempts)).await;
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
                    tracing::error!(entity = %from, step = id.step, "an answer was not understood");
                    metrics::effect(&from.kind, id.step, "not_understood");
                    tokio::time::sleep(pause_after(attempts + 1)).await;
                    ended(&entity, id, attempts + 1, Vec::new(), trace);
                    return;
                }
            }
        }
        attempts += 1;
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

/// Exponential, with up to a quarter taken off at random so that repeats do not march in step.
fn pause_after(attempts: u32) -> Duration {
    let full = PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(PAUSE_MAX);
    full.mul_f64(1.0 - 0.25 * f64::from(rand::random::<u16>()) / f64::from(u16::MAX))
}
