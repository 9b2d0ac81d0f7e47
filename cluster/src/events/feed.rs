//! Hands events to an intake, with patience for what passes and a dead letter for what does not.

use std::borrow::Borrow;
use std::sync::Weak;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::SealedEnvelope;
use super::intake::{BATCH_MAX, Command, ConsumerType, Progress, Reply, key_of};
use crate::ask::Ask;
use crate::error::Failure;
use crate::handle::{Outcome, Router};
use crate::metrics;
use crate::reference::Address;
use crate::router::COMMAND_BYTES_MAX;

/// How often an event is tried before it is set aside.
pub const ATTEMPTS_MAX: u32 = 4;
/// Pause before the second attempt; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Pause while an intake takes no more.
const PAUSE_FULL: Duration = Duration::from_millis(50);
/// How often an intake may say so in a row.
const FULL_MAX: u32 = 100;
/// How long one command may take.
const ASK_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of events in one command.
const COMMAND_BYTES: usize = COMMAND_BYTES_MAX / 2;

/// About how much of an event is not its data.
const ENVELOPE_BYTES: usize = 512;

/// Why events were not consumed. Nothing is lost: they are to be handed in again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The intake lacks an earlier event.
    #[error("{intake} has consumed up to {high_water} and lacks {lacks}")]
    Gap {
        /// The intake.
        intake: String,
        /// How far it got.
        high_water: u64,
        /// The predecessor of the first event that it could not take.
        lacks: u64,
    },
    /// It takes no more for now.
    #[error("{0} takes no more for now")]
    Full(String),
    /// It could not be asked.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// [`Command::Consume`] of events that stay where they are.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Handed<'a> {
    Consume { events: Vec<&'a SealedEnvelope>, complete: bool },
}

/// Feeds the intakes of one consumer.
#[derive(Clone)]
pub(crate) struct Feeder {
    pub consumer: ConsumerType,
    pub router: Weak<dyn Router>,
}

impl Feeder {
    pub(crate) fn new(consumer: ConsumerType, router: Weak<dyn Router>) -> Self {
        metrics::consumes(consumer.group);
        Self { consumer, router }
    }

    /// Hands over events of one source shard, in the order of their sequence, until all are consumed or set
    /// aside. `complete` says that
    /// the source has nothing between them and what the intake has consumed.
    ///
    /// # Errors
    /// A [`FeedError`]; what was consumed before it stays so.
    pub(crate) async fn feed<E: Borrow<SealedEnvelope> + Sync>(
        &self,
        events: &[E],
        complete: bool,
    ) -> Result<(), FeedError> {
        let Some(first) = events.first().map(Borrow::borrow) else { return Ok(()) };
        let key = key_of(&first.service, first.shard);
        let target = Address { kind: self.consumer.kind.to_string().into(), key };
        let mut left = events;
        let mut refusals = 0;
        let mut fulls = 0;
        // After a crash one by one, so that only the event at fault is set aside.
        let mut batch_max = BATCH_MAX;
        while let Some(next) = left.first().map(Borrow::borrow) {
            let batch = &left[..within(left, batch_max)];
            let command = Handed::Consume { events: batch.iter().map(Borrow::borrow).collect(), complete };
            let bytes = batch.iter().map(|event| size(event.borrow())).sum();
            let progress = match self.ask(&target, &command, bytes).await {
                Ok(progress) => progress,
                Err(Failure::Crashed { .. }) if batch.len() > 1 => {
                    batch_max = 1;
                    continue;
                }
                Err(Failure::Crashed { entity }) => {
                    let reason = format!("{entity} crashed over it");
                    Progress { refused: Some((next.sequence, reason)), ..Progress::default() }
                }
                Err(failure) => return Err(failure.into()),
            };
            let done = progress.done.min(batch.len());
            metrics::consumed(self.consumer.group, done);
            left = &left[done..];
            if done > 0 {
                (refusals, fulls) = (0, 0);
            }
            let Some(next) = left.first().map(Borrow::borrow) else { break };
            if let Some((_, reason)) = progress.refused.filter(|(sequence, _)| *sequence == next.sequence) {
                refusals += 1;
                if refusals < ATTEMPTS_MAX {
                    tokio::time::sleep(PAUSE_FIRST * 2u32.pow(refusals - 1)).await;
                    continue;
                }
                tracing::warn!(intake = %target, event = next.id, reason, "an event is set aside as a dead letter");
                let event = Box::new(next.clone().opened());
                let command = Command::<Value>::SetAside { event, reason, attempts: refusals };
                self.ask(&target, &command, ENVELOPE_BYTES).await?;
                metrics::dead_lettered(self.consumer.group);
                left = &left[1..];
                (refusals, batch_max) = (0, BATCH_MAX);
            } else if let Some(lacks) = progress.lacks {
                let high_water = progress.high_water;
                return Err(FeedError::Gap { intake: target.to_string(), high_water, lacks });
            } else if progress.full {
                fulls += 1;
                if fulls > FULL_MAX {
                    return Err(FeedError::Full(target.to_string()));
                }
                tokio::time::sleep(PAUSE_FULL).await;
            } else if done == 0 {
                let reason = format!("{target} neither took nor refused {}", next.id);
                return Err(Failure::Invalid { reason }.into());
            }
        }
        Ok(())
    }

    /// `bytes` is about how much the command takes as JSON.
    async fn ask(
        &self,
        target: &Address,
        command: &(impl Serialize + Sync),
        bytes: usize,
    ) -> Result<Progress, Failure> {
        let invalid = |error: serde_json::Error| Failure::Invalid { reason: error.to_string() };
        let gone = || Failure::Unavailable { what: "this node".into(), retry_after_ms: 1000 };
        let router = self.router.upgrade().ok_or_else(gone)?;
        let mut json = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut json, command).map_err(invalid)?;
        match router.ask(target.clone(), json, Ask::within(ASK_PATIENCE)).await {
            Outcome::Reply { json, .. } => match serde_json::from_slice(&json).map_err(invalid)? {
                Reply::<Value>::Consumed(progress) => Ok(progress),
                other => Err(Failure::Invalid { reason: format!("{target} answered {other:?}") }),
            },
            Outcome::Rejected { json, .. } => {
                let rejection = String::from_utf8_lossy(&json);
                Err(Failure::Invalid { reason: format!("{target} refused: {rejection}") })
            }
            Outcome::Failed(failure) => Err(failure),
        }
    }
}

/// How many of the events fit one command; at least one.
fn within<E: Borrow<SealedEnvelope>>(events: &[E], count_max: usize) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(count_max).take_while(|event| {
        bytes += size((*event).borrow());
        bytes <= COMMAND_BYTES
    });
    fitting.count().max(1)
}

/// About how many bytes an event takes as JSON.
fn size(event: &SealedEnvelope) -> usize {
    event.data.text().len() + ENVELOPE_BYTES
}
