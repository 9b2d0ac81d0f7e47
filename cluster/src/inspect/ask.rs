//! One question to one node, or to all of them.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::oneshot;

use super::inspector::Asked;
use super::question::Question;
use super::report::{Everywhere, Report};
use crate::error::Failure;
use crate::link::LinkFailure;
use crate::membership::NodeId;
use crate::reference::Address;
use crate::router::NodeRouter;
use crate::time::Timestamp;
use crate::wire::{WireAnswer, WireCall, WireInspect};

/// How long it is waited for a shard that moves.
const MOVING_PATIENCE: Duration = Duration::from_secs(3);
/// How often its owner is looked for meanwhile, at least.
const MOVING_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks this node's own inspector.
pub(crate) async fn here(router: &NodeRouter, question: Question) -> Report {
    let refused = |reason: &str| Report::Refused { reason: reason.to_owned() };
    let Some(inspector) = router.inspector.get() else { return refused("this node is starting") };
    let (answer, report) = oneshot::channel();
    let patience = question.patience();
    if inspector.cast(Asked { question, answer }).is_err() {
        return refused("this node is stopping");
    }
    match tokio::time::timeout(patience, report).await {
        Ok(Ok(report)) => report,
        _ => refused("the node did not look in time"),
    }
}

/// Asks one node.
///
/// # Errors
/// When it can't be reached or does not answer in time.
pub(crate) async fn one(router: &NodeRouter, node: &NodeId, question: Question) -> Result<Report, Failure> {
    if *node == router.node {
        return Ok(here(router, question).await);
    }
    let away = |reason: String| Failure::Unavailable { what: format!("node {node} ({reason})"), retry_after_ms: 1000 };
    let call = WireCall::Inspect(WireInspect::new(&question));
    let answer = router.call(node, call, bytes::Bytes::new(), None, question.patience()).await;
    match answer.map_err(|failure: LinkFailure| away(failure.to_string()))? {
        WireAnswer::Report { json } => json.report(),
        WireAnswer::Failed { failure } => Err(failure),
        _ => Err(away("it answered something else".into())),
    }
}

/// Asks nodes side by side.
pub(crate) async fn everywhere(router: &NodeRouter, questions: Vec<(NodeId, Question)>) -> Everywhere {
    let asked = questions.into_iter().map(|(node, question)| async move {
        let asked = Timestamp::now().0;
        let mut answer = one(router, &node, question).await;
        if let Ok(Report::Node(report)) = &mut answer {
            // Half of the way there and back was gone when it looked at its clock.
            report.clock_offset_ms = report.now_at_ms - asked.midpoint(Timestamp::now().0);
        }
        (node, answer)
    });
    let mut everywhere = Everywhere::default();
    for (node, answer) in join_all(asked).await {
        match answer {
            Ok(report) => everywhere.answers.push((node.to_string(), report)),
            Err(failure) => everywhere.silent.push((node.to_string(), failure.to_string())),
        }
    }
    everywhere
}

/// Asks the node that owns an entity's shard; the next one when it has just moved.
///
/// # Errors
/// When it goes on moving, or its owner can't be asked.
pub(crate) async fn owner(router: &NodeRouter, target: &Address, question: Question) -> Result<Report, Failure> {
    let shard = router.shard_of(&target.kind, &target.key)?;
    let mut placement = router.placement.clone();
    let began = Instant::now();
    loop {
        let owner = placement.borrow_and_update().owner(shard).cloned();
        let answer = match owner {
            Some(owner) => one(router, &owner, question.clone()).await?,
            None => Report::Moved,
        };
        if !matches!(answer, Report::Moved) {
            return Ok(answer);
        }
        if began.elapsed() > MOVING_PATIENCE {
            return Err(Failure::Moved { shard: shard.to_string() });
        }
        // Either the placement changes or the pause ends; both are reasons to look again.
        let _ = tokio::time::timeout(MOVING_LOOK_EVERY, placement.changed()).await;
    }
}

/// The node of this name that is not down.
pub(crate) fn named(router: &NodeRouter, name: &str) -> Option<NodeId> {
    members(router).into_iter().find(|node| *node.name == *name || node.to_string() == name)
}

/// All nodes that are not down.
pub(crate) fn members(router: &NodeRouter) -> Vec<NodeId> {
    let view = router.membership.get().map(|membership| membership.view().borrow().clone());
    view.iter().flat_map(|view| view.live()).map(|member| member.node.clone()).collect()
}
