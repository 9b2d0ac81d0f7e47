//! What a node knows of the cluster.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::membership::MemberState;
use crate::metrics;
use crate::router::NodeRouter;
use crate::status::{ClusterStatus, Dependency, NodeStatus, ServiceStatus};

pub(crate) async fn of(router: &NodeRouter) -> ClusterStatus {
    let Some(membership) = router.membership.get() else { return ClusterStatus::default() };
    let view = membership.view().borrow().clone();
    let linked: BTreeMap<_, _> = router
        .links
        .get()
        .map(|links| links.peers().into_iter().map(|peer| (peer.node, peer.connected)).collect())
        .unwrap_or_default();
    let nodes = view.live().map(|member| NodeStatus {
        name: member.node.name.to_string(),
        generation: member.node.generation,
        address: member.link_address.clone(),
        roles: member.roles.iter().map(ToOwned::to_owned).collect(),
        state: match member.state {
            // Up, but not to own anything before it is given back.
            MemberState::Up if view.cordoned.contains(&*member.node.name) => "drained".to_owned(),
            state => state.to_string(),
        },
        acknowledged_version: membership.acknowledged_version(&member.node),
        silent_ms: membership.silent_ms(&member.node),
        linked: member.node == router.node || linked.get(&member.node).copied().unwrap_or(false),
    });
    let placement = router.placement.borrow().clone();
    let mut services: BTreeMap<&'static str, ServiceStatus> = BTreeMap::new();
    for (shard, owner) in placement.all() {
        let service = services.entry(shard.service).or_insert_with(|| ServiceStatus {
            name: shard.service.to_owned(),
            serving_here: u32::try_from(metrics::serving_count(shard.service)).unwrap_or(0),
            loaded_here: router.runtime.observer.loaded(Some(shard.service)),
            unpublished_here: metrics::publish_lag_rows(shard.service),
            ..ServiceStatus::default()
        });
        service.shards += 1;
        let owner = owner.map_or_else(|| "nobody".to_owned(), |node| node.name.to_string());
        *service.owners.entry(owner).or_default() += 1;
    }
    ClusterStatus {
        cluster: view.cluster.clone(),
        node: router.node.to_string(),
        view_version: view.version,
        feature_level: view.feature_level,
        nodes: nodes.collect(),
        services: services.into_values().collect(),
        quarantined: router.runtime.quarantined(),
        dependencies: dependencies(router).await,
    }
}

/// A server that does not answer within this is down to whoever asks; the whole status is waited for not much longer.
const ANSWER_PATIENCE: Duration = Duration::from_millis(800);

/// Asks every database for a trifle, and the broker, side by side.
pub(crate) async fn dependencies(router: &NodeRouter) -> Vec<Dependency> {
    let checks = router.databases.all().map(|(name, server)| async move {
        let began = Instant::now();
        let outcome = in_time(async { server.store.ping().await.map_err(|error| error.to_string()) }).await;
        let refused = router.databases.incarnations().refused_on(name);
        let outcome = outcome.and_then(|()| match refused.is_empty() {
            true => Ok(()),
            false => Err(format!("an older copy of {}; its incarnation was not raised", refused.join(", "))),
        });
        Dependency {
            name: format!("database {name}"),
            location: server.store.location().to_owned(),
            up: outcome.is_ok(),
            latency_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            error: outcome.err(),
            is_optional: false,
        }
    });
    let (mut dependencies, broker) = futures::join!(futures::future::join_all(checks), broker(router));
    dependencies.extend(cluster_database(router, &dependencies));
    dependencies.extend(router.databases.replicas().map(|(server, replica)| replica.dependency(server)));
    dependencies.extend(broker);
    dependencies
}

/// The cluster database, where it is not on one of the services' servers. Every renewal of the lease tells how it is.
fn cluster_database(router: &NodeRouter, others: &[Dependency]) -> Option<Dependency> {
    let health = router.membership.get()?.store_health();
    let location = router.databases.incarnations().cluster().location_of_cluster();
    let is_known = others.iter().any(|other| other.location == location);
    (!is_known).then(|| Dependency {
        name: "database cluster".to_owned(),
        location: location.to_owned(),
        up: health.up,
        latency_us: health.latency_us,
        error: health.error,
        is_optional: false,
    })
}

async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let outcome = tokio::time::timeout(ANSWER_PATIENCE, work).await;
    outcome.unwrap_or_else(|_| Err(format!("no answer within {} ms", ANSWER_PATIENCE.as_millis())))
}

async fn broker(router: &NodeRouter) -> Option<Dependency> {
    let sink = router.broker.as_ref()?;
    let began = Instant::now();
    let outcome = in_time(async { sink.check().await.map_err(|error| error.0) }).await;
    Some(Dependency {
        name: "kafka".to_owned(),
        location: sink.location().to_owned(),
        up: outcome.is_ok(),
        latency_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        error: outcome.err(),
        is_optional: false,
    })
}
