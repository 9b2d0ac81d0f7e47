//! What an operator may do with what one entity has outstanding: its effects and its reminder. The entity decides what
//! follows, as ever, and whoever asked hears of it when it is durable.

use ractor::{ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::entity::{Cause, EntityMessage, EntityState};
use crate::handle::Outcome;
use crate::inspect::Report;
use crate::inspect::question::EffectAt;
use crate::instance::{Pending, PendingEffect};
use crate::journal::ReplyTo;
use crate::metrics;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Make the next attempt of an effect now.
    RetryEffect(EffectAt),
    /// End an effect as if its attempts were used up.
    GiveUpEffect(EffectAt),
    /// Give the entity now what its reminder would give it.
    FireReminder,
}

impl EntityState {
    pub(super) async fn operate(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        operation: Operation,
        answer: oneshot::Sender<Report>,
    ) -> Result<(), ActorProcessingErr> {
        match operation {
            Operation::RetryEffect(wanted) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.retry_effect(&wanted));
                Ok(())
            }
            Operation::GiveUpEffect(wanted) => self.give_up_effect(myself, &wanted, answer).await,
            Operation::FireReminder => self.fire_reminder(myself, answer).await,
        }
    }

    fn retry_effect(&self, wanted: &EffectAt) -> Report {
        let Some(live) = &self.live else { return Report::Moved };
        match found(&live.instance.outstanding(), wanted, &self.address().to_string()) {
            Err(report) => report,
            Ok(effect) => {
                // What is not started yet waits for its commit, not for a pause.
                if let Some(run) = live.running.get(&effect.id) {
                    run.hurry();
                }
                Report::Acted { entities: 1 }
            }
        }
    }

    async fn give_up_effect(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        wanted: &EffectAt,
        answer: oneshot::Sender<Report>,
    ) -> Result<(), ActorProcessingErr> {
        let address = self.address();
        let Some(live) = self.live.as_mut() else { return Ok(()) };
        let pending = live.instance.outstanding();
        let (id, command) = match found(&pending, wanted, &address.to_string()) {
            Ok(PendingEffect { id, give_up: Some((_, command)), .. }) => (*id, command.clone()),
            Ok(PendingEffect { id, .. }) => {
                let reason = format!(
                    "{address} goes on wanting {}:{} until it has its answer: it knows no way to do without; mend what \
                     it calls, then retry it",
                    id.step, id.ordinal
                );
                told(answer, Report::Refused { reason });
                return Ok(());
            }
            Err(report) => {
                told(answer, report);
                return Ok(());
            }
        };
        if let Some(run) = live.running.get_mut(&id) {
            run.give_up();
        }
        metrics::effect(&address.kind, id.step, "given_up");
        tracing::warn!(entity = %address, step = id.step, "an operator gives up an effect");
        let moved = self.decide_for_operator(myself, format!("{}#{}", id.step, id.ordinal), &command, answer).await?;
        if !moved {
            self.stage_again(myself).await?;
        }
        Ok(())
    }

    async fn fire_reminder(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        answer: oneshot::Sender<Report>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(live) = &self.live else { return Ok(()) };
        let Some((_, command)) = live.instance.outstanding().wake else {
            told(answer, Report::Absent { what: format!("reminder of {}", self.address()) });
            return Ok(());
        };
        self.decide_for_operator(myself, "wake".into(), &command, answer).await.map(drop)
    }

    /// Decides a command of the entity itself; the answer tells whether the state moved, once that is durable.
    async fn decide_for_operator(
        &mut self,
        myself: &ActorRef<EntityMessage>,
        command_id: String,
        command: &[u8],
        answer: oneshot::Sender<Report>,
    ) -> Result<bool, ActorProcessingErr> {
        let place = &self.arguments.place;
        // Without an answer it is asked again, where the shard is by then.
        let Ok(permit) = place.journal.reserve_waiting(place.shard).await else { return Ok(false) };
        let (reply, outcome) = ReplyTo::channel();
        let cause = Cause { command_id, traceparent: None, once: None, reply: Some(reply), arrived: None };
        let moved = self.decide(myself, permit, command, cause)?;
        tokio::spawn(async move {
            let Ok(outcome) = outcome.await else { return };
            told(answer, report(outcome, moved));
        });
        Ok(moved)
    }
}

fn report(outcome: Outcome, moved: bool) -> Report {
    match outcome {
        Outcome::Reply { .. } => Report::Acted { entities: u64::from(moved) },
        Outcome::Rejected { .. } => Report::Acted { entities: 0 },
        Outcome::Failed(failure) if failure.is_moved() => Report::Moved,
        Outcome::Failed(failure) => Report::Refused { reason: failure.to_string() },
    }
}

/// The effect of this name; without an ordinal it must be the only one of its step.
fn found<'a>(pending: &'a Pending, wanted: &EffectAt, entity: &str) -> Result<&'a PendingEffect, Report> {
    let fits = |effect: &&PendingEffect| {
        effect.id.step == wanted.step && wanted.ordinal.is_none_or(|ordinal| ordinal == effect.id.ordinal)
    };
    let mut fitting = pending.effects.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(effect), None) => Ok(effect),
        (Some(_), Some(_)) => {
            let reason = format!("{entity} has several effects {}: name one of {}", wanted.step, names(pending));
            Err(Report::Refused { reason })
        }
        (None, _) if pending.effects.is_empty() => {
            Err(Report::Absent { what: format!("effect {wanted} of {entity}: nothing is outstanding") })
        }
        (None, _) => {
            Err(Report::Absent { what: format!("effect {wanted} of {entity}: outstanding are {}", names(pending)) })
        }
    }
}

/// Names that one message has at most.
const NAMES_MAX: usize = 20;

fn names(pending: &Pending) -> String {
    let names = pending.effects.iter().map(|effect| format!("{}:{}", effect.id.step, effect.id.ordinal));
    names.take(NAMES_MAX).collect::<Vec<_>>().join(", ")
}

/// Whoever asked may have given up: then the answer goes nowhere.
fn told(answer: oneshot::Sender<Report>, report: Report) {
    let _ = answer.send(report);
}
