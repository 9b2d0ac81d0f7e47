//! What works behind the shards of a node, and what it rests on: journal writers, stores, publishers, consumers, broker.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::report::{Branch, CommitReport};
use crate::events::ConsumerType;
use crate::events::intake::Head;
use crate::events::rebuild::Rebuilding;
use crate::handle::Router;
use crate::metrics;
use crate::query::{PAGE_MAX, Query};
use crate::reference::{Key, ShardId};
use crate::router::NodeRouter;
use crate::status::Dependency;
use crate::time::Timestamp;

/// How long databases may take to say how far rebuilds are.
const REBUILD_PATIENCE: Duration = Duration::from_millis(500);

/// All of it on one node.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct InfrastructureReport {
    /// `name@generation`.
    pub node: String,
    /// The lanes of its journals.
    pub writers: Vec<WriterReport>,
    /// Its databases, the cluster's among them where that is on a server of its own.
    pub stores: Vec<StoreReport>,
    /// Of each service that it runs.
    pub publishers: Vec<PublisherReport>,
    /// The groups that consume events for the services that it runs.
    pub consumers: Vec<ConsumerReport>,
    /// Kafka and Redis, as far as it uses them.
    pub others: Vec<Dependency>,
}

/// One lane of the journal in front of a database server: one session, one transaction at a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct WriterReport {
    /// Where the server is, without secrets.
    pub location: String,
    /// The lane's number.
    pub lane: u32,
    /// What waits in its queue.
    pub queue: u64,
    /// And may wait at most.
    pub queue_max: u64,
    /// For how long the present transaction has been under way.
    pub under_way_ms: Option<u64>,
    /// Its transactions.
    pub commits: CommitReport,
    /// Transactions that did not simply succeed, by what was wrong.
    pub failures: BTreeMap<String, u64>,
    /// The last of them, and when.
    pub last_failure: Option<String>,
    /// See `last_failure`.
    pub last_failure_at_ms: Option<i64>,
}

/// One database server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StoreReport {
    /// How it is.
    #[serde(flatten)]
    pub server: Dependency,
    /// The incarnation of each service's database there.
    pub incarnations: BTreeMap<String, u64>,
    /// Services whose database there is an older copy, which is not served.
    pub refused: Vec<String>,
}

/// What takes the events of one service from the journal to whoever consumes them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct PublisherReport {
    /// The service.
    pub service: String,
    /// Rows of this node's shards that are not published yet.
    pub unpublished: u64,
    /// How long the oldest of them has waited.
    pub unpublished_ms: u64,
    /// Events that were published since the node started.
    pub published: u64,
    /// Rounds that failed since then, and are repeated.
    pub failures: u64,
    /// What went wrong with the last round, if it failed.
    pub trouble: Option<String>,
}

/// One consumer group.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ConsumerReport {
    /// Its name.
    pub group: String,
    /// Whose events it consumes.
    pub sources: Vec<String>,
    /// Events that its intakes took through this node since it started.
    pub consumed: u64,
    /// With a broker the messages of this node's partitions that it has not taken, without one the rows of this
    /// node's shards that are not published yet.
    pub lag: u64,
    /// Events that were set aside on this node since it started; `nakku dead-letters` lists what is left of all.
    pub dead_lettered: u64,
    /// Batches that were left alone because an earlier event was missing.
    pub gaps: u64,
    /// Source shards that have lacked an event for a minute.
    pub stuck: u64,
    /// How far those of its intakes are that this node has, while some of them gather anew what they know. Nothing
    /// when none does, and when their database does not say in time.
    #[serde(default)]
    pub rebuilding: Option<Rebuilding>,
}

/// What a program has beside its node that belongs into the same pictures, such as a gateway.
pub trait Beside: Send + Sync + 'static {
    /// Its place in the supervision tree.
    fn branch(&self) -> Branch;
    /// Servers that it rests on.
    fn dependencies(&self) -> Vec<Dependency>;
}

/// There is one node in a process, and few things beside it.
static BESIDE: RwLock<Vec<Weak<dyn Beside>>> = RwLock::new(Vec::new());

/// Shows something until it is dropped.
pub fn show(beside: &Arc<dyn Beside>) {
    let mut all = BESIDE.write().unwrap_or_else(PoisonError::into_inner);
    all.retain(|known| known.strong_count() > 0);
    all.push(Arc::downgrade(beside));
}

pub(super) fn beside() -> Vec<Arc<dyn Beside>> {
    BESIDE.read().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
}

pub(super) async fn of(router: &NodeRouter) -> InfrastructureReport {
    let (servers, mut others): (Vec<Dependency>, Vec<Dependency>) =
        crate::node::status::dependencies(router).await.into_iter().partition(|one| one.name.starts_with("database "));
    others.extend(beside().iter().flat_map(|one| one.dependencies()));
    let rebuilds =
        router.consumers.iter().map(|consumer| tokio::time::timeout(REBUILD_PATIENCE, rebuilding(router, consumer)));
    let rebuilds = join_all(rebuilds).await.into_iter().map(|looked| looked.ok().flatten());
    let consumers = consumers(router).into_iter().zip(rebuilds);
    InfrastructureReport {
        node: router.node.to_string(),
        writers: writers(router),
        stores: servers.into_iter().map(|server| store(router, server)).collect(),
        publishers: publishers(router),
        consumers: consumers.map(|(report, rebuilding)| ConsumerReport { rebuilding, ..report }).collect(),
        others,
    }
}

/// Servers on which several names lie share one journal.
pub(super) fn writers(router: &NodeRouter) -> Vec<WriterReport> {
    let mut known = HashSet::new();
    let mut servers: Vec<_> = router.databases.all().map(|(_, server)| server).collect();
    servers.sort_by_key(|server| server.store.location().to_owned());
    servers.retain(|server| known.insert(Arc::as_ptr(&server.journal)));
    let lanes = servers.into_iter().flat_map(|server| {
        let location = server.store.location();
        server.journal.lanes().zip(0..).map(move |((seen, queue, queue_max), lane)| {
            let (last_failure_at_ms, last_failure) = seen.last_failure().unzip();
            WriterReport {
                location: location.to_owned(),
                lane,
                queue: queue as u64,
                queue_max: queue_max as u64,
                under_way_ms: seen.under_way().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                commits: seen.commits.report(),
                failures: seen.failures(),
                last_failure,
                last_failure_at_ms,
            }
        })
    });
    lanes.collect()
}

fn store(router: &NodeRouter, server: Dependency) -> StoreReport {
    let name = server.name.trim_start_matches("database ");
    let incarnations = router.databases.incarnations();
    let refused = incarnations.refused_on(name).into_iter().map(str::to_owned).collect();
    StoreReport { incarnations: incarnations.on(name), refused, server }
}

fn publishers(router: &NodeRouter) -> Vec<PublisherReport> {
    let outboxes = &router.runtime.outboxes;
    let mut all: Vec<PublisherReport> = router
        .services
        .values()
        .filter_map(|service| Some((*service, outboxes.of(service)?)))
        .map(|(service, outbox)| {
            let lags = outbox.lags();
            let (published, failures) = outbox.counts();
            PublisherReport {
                service: service.to_owned(),
                unpublished: lags.values().map(|lag| lag.rows).sum(),
                unpublished_ms: lags.values().map(|lag| lag.ms).max().unwrap_or_default(),
                published,
                failures,
                trouble: outbox.trouble(),
            }
        })
        .collect();
    all.sort_by(|one, other| one.service.cmp(&other.service));
    all
}

pub(super) fn consumers(router: &NodeRouter) -> Vec<ConsumerReport> {
    let unpublished = |service: &&str| {
        let outbox = router.runtime.outboxes.of(service);
        outbox.map_or(0, |outbox| outbox.lags().values().map(|lag| lag.rows).sum::<u64>())
    };
    let report = |consumer: &crate::events::ConsumerType| {
        let counts = metrics::consumer_counts(consumer.group);
        ConsumerReport {
            group: consumer.group.to_owned(),
            sources: consumer.sources.iter().map(|service| (*service).to_owned()).collect(),
            consumed: counts.consumed,
            lag: if router.broker.is_some() { counts.lag } else { consumer.sources.iter().map(unpublished).sum() },
            dead_lettered: counts.dead_lettered,
            gaps: counts.gaps,
            stuck: counts.stuck,
            rebuilding: None,
        }
    };
    router.consumers.iter().map(report).collect()
}

/// How far the intakes of this node's shards are, while some of them gather anew. All their heads are read only when
/// one of them has something outstanding, which a rebuild is; so this costs one look at an index otherwise.
async fn rebuilding(router: &NodeRouter, consumer: &ConsumerType) -> Option<Rebuilding> {
    let kind = consumer.kind.to_string();
    let table = *router.tables.get(&kind)?;
    let mut by_server: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let shards = router.open.all().into_iter().map(|(shard, _)| shard);
    let mut own: Vec<ShardId> = shards.filter(|shard| shard.service == consumer.kind.service).collect();
    own.sort_unstable_by_key(|shard| shard.number);
    for shard in own {
        by_server.entry(router.databases.server_of(shard)).or_default().push(shard.number);
    }
    let mut is_any_outstanding = false;
    for (server, numbers) in by_server {
        let server = router.databases.all().find(|(name, _)| *name == server).map(|(_, server)| server)?;
        let due = server.store.due(&table, &numbers, Timestamp(i64::MAX), None, 1).await.ok()?;
        is_any_outstanding |= !due.is_empty();
    }
    if !is_any_outstanding {
        return None;
    }
    let mut heads: Vec<(Key, Head)> = Vec::new();
    let mut after = None;
    loop {
        let rows = router.list(table, &Query::new().recent().after(after).limit(PAGE_MAX)).await.ok()?;
        let is_last = rows.len() < PAGE_MAX as usize;
        after = rows.last().map(|row| row.key.clone());
        let is_here = |key: &Key| router.shard_of(&kind, key).is_ok_and(|shard| router.open.get(shard).is_some());
        let here = rows.into_iter().filter(|row| is_here(&row.key));
        heads.extend(here.filter_map(|row| Some((row.key, serde_json::from_slice(&row.head).ok()?))));
        if is_last {
            break;
        }
    }
    let rebuilding = Rebuilding::of(heads.iter().map(|(key, head)| (key, head)));
    (rebuilding.intakes_left > 0).then_some(rebuilding)
}
