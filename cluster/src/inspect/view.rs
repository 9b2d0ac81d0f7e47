//! Where shards are to be, as an operator wants it: checked against the view, then changed in it. The shards are handed
//! over as in any planned move.

use super::question::ViewChange;
use crate::error::Failure;
use crate::membership::{Pin, View};
use crate::router::NodeRouter;

/// Changes the view; returns the version in which it is so.
///
/// # Errors
/// [`Failure::Invalid`] when there is no such shard or node, or a service would be left without any; else the cluster
/// database is away.
pub(crate) async fn change(router: &NodeRouter, change: ViewChange) -> Result<u64, Failure> {
    let unavailable = |what: String| Failure::Unavailable { what, retry_after_ms: 1000 };
    let membership = router.membership.get().ok_or_else(|| unavailable("this node (it starts)".into()))?;
    let view = membership.view().borrow().clone();
    check(router, &view, &change).map_err(|reason| Failure::Invalid { reason })?;
    let changed = match change {
        ViewChange::Pin { service, shard, node } => membership.pin(&service, shard, node.as_deref()).await,
        ViewChange::Cordon { node } => membership.cordon(&node, true).await,
        ViewChange::Uncordon { node } => membership.cordon(&node, false).await,
        ViewChange::Pause => membership.pause(owners(router)).await,
        ViewChange::Resume => membership.resume().await,
    };
    changed.map_err(|error| unavailable(format!("the view ({error})")))
}

fn check(router: &NodeRouter, view: &View, change: &ViewChange) -> Result<(), String> {
    let is_live = |name: &str| view.live().any(|member| *member.node.name == *name);
    match change {
        ViewChange::Pin { service, shard, node } => {
            let known = router.services.get(service).ok_or_else(|| format!("no service is called {service:?}"))?;
            let shards = router.topology.service(known).shard_count;
            if *shard >= shards {
                return Err(format!("{service} has shards 0 to {}", shards - 1));
            }
            let Some(node) = node else { return Ok(()) };
            let may_own = view.eligible(service).any(|member| *member.node.name == **node);
            may_own.then_some(()).ok_or_else(|| format!("no node {node:?} is up, not drained, and runs {service}"))
        }
        ViewChange::Cordon { node } => {
            if !is_live(node) {
                return Err(format!("no node {node:?} is in the view"));
            }
            let owns_alone = |service: &&&'static str| {
                let mut owners = view.eligible(service).map(|member| &*member.node.name);
                owners.any(|name| name == node) && !view.eligible(service).any(|member| *member.node.name != **node)
            };
            match router.services.values().find(owns_alone) {
                Some(service) => Err(format!("{node} is the only node for {service}; start another first")),
                None => Ok(()),
            }
        }
        ViewChange::Uncordon { node } => {
            let is_known = is_live(node) || view.cordoned.contains(node);
            is_known.then_some(()).ok_or_else(|| format!("no node {node:?} is in the view"))
        }
        ViewChange::Pause | ViewChange::Resume => Ok(()),
    }
}

/// Every shard where it is now.
fn owners(router: &NodeRouter) -> Vec<Pin> {
    let placement = router.placement.borrow().clone();
    let owned = placement.all().filter_map(|(shard, owner)| {
        let (service, node) = (shard.service.to_owned(), owner?.name.to_string());
        Some(Pin { service, shard: shard.number, node, paused: true })
    });
    owned.collect()
}
