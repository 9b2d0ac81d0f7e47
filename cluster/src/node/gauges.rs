//! Looks every few seconds at how the node and what it rests on are, for whoever scrapes its metrics.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::status;
use crate::inspect::points;
use crate::metrics::node as metrics;
use crate::router::NodeRouter;
use crate::status::{ClusterStatus, Dependency};

/// How often; scrapes are no more frequent than that.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Starts the task; it ends with the node.
pub(super) fn start(router: Weak<NodeRouter>, version: &str) -> JoinHandle<()> {
    metrics::version(version);
    tokio::spawn(async move {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let Some(router) = router.upgrade() else { return };
            look(&router).await;
        }
    })
}

async fn look(router: &NodeRouter) {
    metrics::ready(*router.ready.borrow());
    let max = router.runtime.settings.in_flight_max;
    metrics::in_flight(max.saturating_sub(router.runtime.in_flight.available_permits()) as u64, max as u64);
    metrics::process(points::resident(), points::cpu_seconds());
    let ClusterStatus { view_version, nodes, services, quarantined, dependencies, .. } = status::of(router).await;
    dependencies.iter().for_each(metrics::dependency);
    if let Some(membership) = router.membership.get() {
        let health = membership.store_health();
        let (up, latency_us) = (health.up, health.latency_us);
        metrics::dependency(&Dependency { name: "database cluster".into(), up, latency_us, ..Dependency::default() });
    }
    let mut members: BTreeMap<&str, u64> = BTreeMap::new();
    nodes.iter().for_each(|node| *members.entry(&node.state).or_default() += 1);
    metrics::cluster(view_version, &members);
    for service in &services {
        metrics::cluster_shards(&service.name, service.shards.into());
        let of_service = |entity: &&String| entity.split_once('.').is_some_and(|(name, _)| name == service.name);
        metrics::quarantined(&service.name, quarantined.iter().filter(of_service).count() as u64);
    }
}
