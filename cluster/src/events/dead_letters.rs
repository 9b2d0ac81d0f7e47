//! Dead letters as an operator sees them: of every intake of a consumer, to look at and to try again.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use super::intake::{Command, ConsumerType, DeadLetter, Rejection, Reply};
use crate::ask::Ask;
use crate::error::{AskError, Failure};
use crate::handle::{Cluster, Outcome};
use crate::query::{PAGE_MAX, Query};
use crate::reference::{Address, Key};

/// How long one intake may take.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// Letters that one answer of an intake has at most.
const PAGE: usize = 100;
/// How many intakes are asked at the same time.
const ASKED_MAX: usize = 16;

/// A dead letter, and the intake that keeps it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The intake's key: the source's service and shard.
    pub intake: Key,
    /// The letter; its event's sequence is its number in the intake.
    pub letter: DeadLetter,
}

/// The dead letters of a consumer, by intake and sequence; at most so many.
///
/// # Errors
/// When a store is away or an intake does not answer.
pub async fn of(cluster: &Cluster, consumer: ConsumerType, limit: usize) -> Result<Vec<Kept>, Failure> {
    let mut intakes = Vec::new();
    let mut after = None;
    loop {
        let page = cluster.keys(consumer.kind, &Query::new().after(after).limit(PAGE_MAX)).await?;
        after = page.last().cloned();
        let is_last = page.len() < PAGE_MAX as usize;
        intakes.extend(page);
        if is_last {
            break;
        }
    }
    let asked = stream::iter(intakes).map(|intake| kept_by(cluster, consumer, intake, limit));
    let kept: Vec<Vec<Kept>> = asked.buffered(ASKED_MAX).try_collect().await?;
    Ok(kept.into_iter().flatten().take(limit).collect())
}

/// One of them, if it is there.
///
/// # Errors
/// When the intake does not answer.
pub async fn one(
    cluster: &Cluster,
    consumer: ConsumerType,
    intake: &Key,
    sequence: u64,
) -> Result<Option<DeadLetter>, Failure> {
    let letters = page(cluster, consumer, intake, sequence.saturating_sub(1), 1).await?;
    Ok(letters.into_iter().find(|letter| letter.event.sequence == sequence))
}

/// Has its intake process it now; it is a dead letter no longer when that succeeds.
///
/// # Errors
/// When there is none, when it still can't be processed, or when the intake does not answer.
pub async fn replay(
    cluster: &Cluster,
    consumer: ConsumerType,
    intake: &Key,
    sequence: u64,
) -> Result<(), AskError<Rejection>> {
    ask(cluster, consumer, intake, &Command::Replay { sequence }).await.map(|_| ())
}

async fn kept_by(cluster: &Cluster, consumer: ConsumerType, intake: Key, limit: usize) -> Result<Vec<Kept>, Failure> {
    let mut kept: Vec<Kept> = Vec::new();
    while kept.len() < limit {
        let after = kept.last().map_or(0, |last| last.letter.event.sequence);
        let letters = page(cluster, consumer, &intake, after, PAGE).await?;
        let is_last = letters.len() < PAGE;
        kept.extend(letters.into_iter().map(|letter| Kept { intake: intake.clone(), letter }));
        if is_last {
            break;
        }
    }
    Ok(kept)
}

async fn page(
    cluster: &Cluster,
    consumer: ConsumerType,
    intake: &Key,
    after: u64,
    limit: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    match ask(cluster, consumer, intake, &Command::DeadLetters { after, limit }).await {
        Ok(Reply::DeadLetters(letters)) => Ok(letters),
        Ok(other) => Err(Failure::Invalid { reason: format!("{intake} answered {other:?}") }),
        Err(AskError::Failed(failure)) => Err(failure),
        Err(AskError::Rejected { rejection, .. }) => Err(Failure::Invalid { reason: rejection.to_string() }),
    }
}

async fn ask(
    cluster: &Cluster,
    consumer: ConsumerType,
    intake: &Key,
    command: &Command<Value>,
) -> Result<Reply<Value>, AskError<Rejection>> {
    let invalid = |error: serde_json::Error| Failure::Invalid { reason: error.to_string() };
    let target = Address { kind: consumer.kind.to_string().into(), key: intake.clone() };
    let json = serde_json::to_vec(command).map_err(invalid)?;
    match cluster.ask_untyped(target, json, Ask::within(ASK_PATIENCE)).await {
        Outcome::Reply { json, .. } => Ok(serde_json::from_slice(&json).map_err(invalid)?),
        Outcome::Rejected { json, entity_version } => {
            let rejection = serde_json::from_slice(&json).map_err(invalid)?;
            Err(AskError::Rejected { rejection, entity_version })
        }
        Outcome::Failed(failure) => Err(failure.into()),
    }
}
