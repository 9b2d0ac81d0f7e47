//! What may be done with what one entity has outstanding: its effects and its reminder.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::entity;
use super::question::EntityAt;
use super::report::Report;
use crate::router::NodeRouter;
use crate::shard::{Inspect, Operation, ShardMessage};

/// How long an entity may take to be read, to decide, and its decision to be durable.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Does something with an entity of this node, which is read for it when it is not in memory.
pub(crate) async fn operate(router: &NodeRouter, at: &EntityAt, operation: Operation) -> Report {
    let shard = match router.shard_of(&at.kind, &at.key) {
        Ok(shard) => shard,
        Err(failure) => return Report::Refused { reason: failure.to_string() },
    };
    let (Some(actor), Some(entity_type)) = (router.open.get(shard), router.runtime.entity_type(&at.kind)) else {
        return Report::Moved;
    };
    // Nobody is made by being looked for.
    if let Some(report) = entity::missing(router, at).await {
        return report;
    }
    let (answer, done) = oneshot::channel();
    let (entity_type, key) = (Arc::clone(entity_type), at.key.clone());
    if actor.cast(ShardMessage::Inspect(Inspect::Operate { entity_type, key, operation, answer })).is_err() {
        return Report::Moved;
    }
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(Ok(report)) => report,
        Ok(Err(_)) => Report::Moved,
        Err(_) => {
            let reason = format!(
                "{}/{} did not answer within {} ms; look at it before you try again",
                at.kind,
                at.key,
                PATIENCE.as_millis()
            );
            Report::Refused { reason }
        }
    }
}

/// Says why a reminder can't be cancelled.
pub(crate) async fn cancel_reminder(router: &NodeRouter, at: &EntityAt) -> Report {
    let now = EntityAt { version: None, reveal: false, ..at.clone() };
    let report = match entity::look(router, &now).await {
        Report::Entity(report) => report,
        other => return other,
    };
    let Some(wake_at_ms) = report.wake_at_ms else {
        return Report::Absent { what: format!("reminder of {}/{}", at.kind, at.key) };
    };
    let reason = format!(
        "{}/{} wakes at {wake_at_ms} because its state says so, and would set that again at once; fire the reminder, or \
         command the entity what ends the wait",
        at.kind, at.key
    );
    Report::Refused { reason }
}
