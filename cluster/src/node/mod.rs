//! One node of a cluster: everything of this crate put together.
//!
//! Starting: open the databases and bring their schemas up, compare the topology, join the view, listen
//! for links, take the shards that the view gives. Draining is the same in reverse.
//!
//! - `settings`: what a node is told
//! - `status`: what it knows of the cluster
//! - `gauges`: how it is, for its metrics
//! - `housekeeping`: passivation and pruning

mod gauges;
mod housekeeping;
mod settings;
pub(crate) mod status;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::Actor;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::databases::{Databases, Server};
use crate::events::kafka::{Kafka, KafkaError};
use crate::events::{self, EventSink, Feeder, Journals, LocalSink, Outboxes, Publishing, Spread};
use crate::handle::{Cluster, Router};
use crate::handoff::{Handoff, OpenShards, Placement, Progress};
use crate::incarnation::Incarnations;
use crate::inspect::inspector::Inspector;
use crate::journal::{Journal, OnCommit};
use crate::link::{Inbound, LinkError, Links, Peer, Recipients};
use crate::membership::{Membership, MembershipError, NodeId};
use crate::provider::Provider;
use crate::reminders;
use crate::replicas::Replica;
use crate::router::NodeRouter;
use crate::runtime::Runtime;
use crate::service::Service;
use crate::store::{self, ClusterStore, SqlStore, Store, StoreError};
use crate::topology::{Topology, TopologyError};

pub use settings::NodeSettings;

/// How long a node waits at its start for the shards that the view gives to it.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long events gather before the consumers of this cluster are fed without a broker. Each feeding is a commit of
/// an intake, so fewer and larger ones leave the database to the orders; what they tell may be 2 s old.
const LOCAL_LINGER: Duration = Duration::from_millis(400);
/// How long they gather before they go to a broker.
const KAFKA_LINGER: Duration = Duration::from_millis(20);
/// How long a drain waits for the others to take over.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings are not the cluster's.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// It could not join.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// Its links could not be opened.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A service's database is an older copy than one that nodes have worked with.
    #[error(
        "the database of service {service} at {location} (server {server:?}) has incarnation {found}, but \
         {known} is known: an older copy of it was put in place and its incarnation not raised; see what it \
         lacks, and to go on with what it holds run `nakku migrate --raise-incarnation {service}`"
    )]
    Incarnation {
        /// The service.
        service: &'static str,
        /// The server's name in the topology.
        server: String,
        /// Where that is.
        location: String,
        /// What the database says.
        found: u64,
        /// The highest that is remembered.
        known: u64,
    },
    /// Kafka can't be used as the settings say.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A setting can't be used.
    #[error("{0}")]
    Setting(String),
    /// An actor could not be started.
    #[error("an actor could not be started: {0}")]
    Actor(#[from] ractor::SpawnErr),
    /// The view gives it shards that it could not take in time.
    #[error(
        "{serving} of {wanted} shards serve after {waited_ms} ms; is another node with the same shards alive but silent, or a database slow?"
    )]
    Slow {
        /// How many serve.
        serving: usize,
        /// How many should.
        wanted: usize,
        /// How long it waited.
        waited_ms: u128,
    },
}

/// A running node.
pub struct Node {
    router: Arc<NodeRouter>,
    membership: Arc<Membership>,
    links: Arc<Links>,
    progress: watch::Receiver<Progress>,
    ready: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    kafka: Option<Kafka>,
}

impl Node {
    /// Starts a node with the services that this program has; which of them it runs is in the settings.
    ///
    /// # Errors
    /// A [`NodeError`] that says what to change.
    pub async fn start(
        settings: NodeSettings,
        services: Vec<Service>,
        providers: Vec<Arc<dyn Provider>>,
    ) -> Result<Self, NodeError> {
        settings.topology.check()?;
        let own: Vec<&Service> = services.iter().filter(|one| settings.roles.contains(one.name)).collect();
        let stores = open_stores(&settings, &own).await?;
        let cluster_store = store::open(&settings.cluster_database).await?;
        let cluster_store = stores
            .values()
            .find(|store| store.location() == cluster_store.location())
            .cloned()
            .unwrap_or(cluster_store);
        cluster_store.migrate_cluster().await?;
        let founded = cluster_store.found(&settings.topology.to_json()).await?;
        Topology::from_json(&founded)?.accepts(&settings.topology)?;
        let agreed: Arc<dyn ClusterStore> = cluster_store.clone();
        let used = migrate(&settings, &own, &stores).await?;
        let incarnations = Arc::new(Incarnations::agree(Arc::clone(&agreed), used).await?);
        // Before it joins: what is wrong with the settings is known before anybody counts on this node.
        let kafka = match &settings.kafka {
            Some(kafka) => Some(Kafka::connect(kafka, &settings.name, own.iter().copied()).await?),
            None => None,
        };

        let listen = free_port(settings.link_listen).await?;
        let link_address = settings.link_advertise.clone().unwrap_or_else(|| listen.to_string());
        let membership = Membership::join(agreed, settings.membership(link_address)).await?;
        let membership = Arc::new(membership);
        let node = membership.node().clone();
        let outboxes = Arc::new(Outboxes::new(own.iter().map(|service| service.name)));
        let names: Vec<&'static str> = services.iter().map(|service| service.name).collect();
        let (spread, unspread) = Spread::new(names.clone());
        let on_commit = on_commit(Arc::clone(&outboxes), Arc::clone(&spread));
        let databases = databases(&settings, &own, &stores, &node, Arc::clone(&incarnations), &on_commit)?;
        let replicas = replicas(&settings, &own, &stores).await?;
        let databases = Arc::new(databases.with_replicas(replicas));

        let lease = Arc::clone(&membership);
        let types = own.iter().flat_map(|service| service.types.iter().cloned());
        let lease_valid = move || lease.lease_valid();
        let journals = Journals::new();
        let providers = providers.into_iter().chain([Arc::clone(&journals) as Arc<dyn Provider>]);
        let runtime = Arc::new(Runtime::new(settings.runtime.clone(), types, providers, outboxes, lease_valid));
        spread.start(unspread, Arc::clone(&runtime), Arc::clone(&databases));
        let open = Arc::new(OpenShards::default());
        let placement = watch::Sender::new(Arc::new(Placement::default()));
        let ready = watch::Sender::new(false);
        let tables = services.iter().flat_map(|service| &service.types);
        let router = Arc::new(NodeRouter {
            node: node.clone(),
            runtime: Arc::clone(&runtime),
            topology: settings.topology.clone(),
            services: names.iter().map(|name| ((*name).to_owned(), *name)).collect(),
            placement: placement.subscribe(),
            open: Arc::clone(&open),
            databases: Arc::clone(&databases),
            links: OnceLock::new(),
            spread: Arc::clone(&spread),
            membership: OnceLock::from(Arc::clone(&membership)),
            held: Semaphore::new(settings.runtime.held_max),
            ready: ready.subscribe(),
            broker: kafka.as_ref().map(Kafka::sink),
            tables: tables.map(|one| (one.kind().to_string(), one.table())).collect(),
            inspector: OnceLock::new(),
            admin: OnceLock::new(),
            consumers: own.iter().flat_map(|service| service.consumers.iter().copied()).collect(),
        });
        let inspector = Inspector { router: Arc::downgrade(&router) };
        let (inspector, _) = Actor::spawn(None, inspector, ()).await?;
        router.inspector.get_or_init(|| inspector);
        let weak = Arc::downgrade(&router);
        journals.set_router(weak.clone());
        runtime.set_router(weak as std::sync::Weak<dyn Router>);

        let inbound: Arc<dyn Inbound> = router.clone();
        let links = Links::start(settings.links(&node, listen), inbound).await?;
        if router.links.set(Arc::clone(&links)).is_err() {
            return Err(NodeError::Setting("the links were started twice".into()));
        }
        spread.connect(Arc::clone(&links), &membership);
        let (taken, to_remind) = mpsc::unbounded_channel();
        let (progress, handoff) = Handoff::start(
            node,
            settings.topology.clone(),
            names,
            Arc::clone(&databases),
            Arc::clone(&runtime),
            Arc::clone(&membership),
            Arc::clone(&open),
            placement,
            taken,
            Arc::clone(&links),
        )
        .await?;
        let publishing = Publishing::new(Arc::clone(&runtime), Arc::clone(&databases));
        let mut tasks = vec![
            handoff,
            incarnations.watch(),
            reminders::start(Arc::clone(&runtime), Arc::clone(&databases), Arc::clone(&open), to_remind),
            housekeeping::start(Arc::clone(&open), Arc::clone(&databases), settings.journal_keep_rows),
            gauges::start(Arc::downgrade(&router), &settings.version),
            tokio::spawn(follow_view(Arc::clone(&membership), Arc::clone(&links))),
            tokio::spawn(follow_suspicions(Arc::clone(&membership), Arc::clone(&links))),
        ];
        tasks.extend(databases.replicas().map(|(_, replica)| Arc::clone(replica).watch()));
        let weak = Arc::downgrade(&(router.clone() as Arc<dyn Router>));
        let feeders = |services: &[&Service]| -> Vec<Feeder> {
            let consumers = services.iter().flat_map(|service| &service.consumers);
            consumers.map(|consumer| Feeder::new(*consumer, weak.clone())).collect()
        };
        let (sink, linger): (Arc<dyn EventSink>, _) = match &kafka {
            Some(kafka) => {
                tasks.extend(kafka.consume(feeders(&own)).await?);
                (kafka.sink(), KAFKA_LINGER)
            }
            None => {
                let all: Vec<&Service> = services.iter().collect();
                (Arc::new(LocalSink::new(feeders(&all), Arc::new(publishing.clone()))), LOCAL_LINGER)
            }
        };
        tasks.extend(
            own.iter().map(|service| events::start(service.name, publishing.clone(), Arc::clone(&sink), linger)),
        );
        let this = Self { router, membership, links, progress, ready, tasks, kafka };
        this.serve().await?;
        Ok(this)
    }

    /// Takes its shards and is ready when all of them serve.
    async fn serve(&self) -> Result<(), NodeError> {
        let up = self.membership.set_up().await?;
        let mut progress = self.progress.clone();
        let done = |progress: &Progress| progress.view_version >= up && progress.serving == progress.wanted;
        if tokio::time::timeout(START_PATIENCE, progress.wait_for(done)).await.is_err() {
            let Progress { serving, wanted, .. } = *progress.borrow();
            return Err(NodeError::Slow { serving, wanted, waited_ms: START_PATIENCE.as_millis() });
        }
        self.ready.send_replace(true);
        Ok(())
    }

    /// The handle for everything above.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(Arc::clone(&self.router) as Arc<dyn Router>)
    }

    /// Name and generation.
    pub fn id(&self) -> &NodeId {
        self.membership.node()
    }

    /// Where other nodes connect to.
    pub fn link_address(&self) -> std::net::SocketAddr {
        self.links.local_address()
    }

    /// Not ready from now on; still serves.
    pub fn set_draining(&self) {
        self.ready.send_replace(false);
    }

    /// Hands everything over and leaves the cluster. What was accepted is finished.
    ///
    /// # Errors
    /// When the cluster database is away: then the others notice by the lease.
    pub async fn drain(&self) -> Result<(), NodeError> {
        self.set_draining();
        let version = self.membership.drain().await?;
        let mut acknowledged = self.membership.all_acknowledged();
        let mut progress = self.progress.clone();
        let over = async {
            // Both end only with the node itself.
            let _ = progress.wait_for(|now| now.view_version >= version && now.serving == 0).await;
            let _ = acknowledged.wait_for(|all| *all >= version).await;
        };
        if tokio::time::timeout(DRAIN_PATIENCE, over).await.is_err() {
            tracing::warn!("not every node has taken over in time");
        }
        self.membership.leave().await?;
        self.stop().await;
        Ok(())
    }

    /// Resolves when the others have declared this node down: its generation is over, the process must
    /// stop serving and start again.
    pub async fn declared_down(&self) {
        self.membership.declared_down().await;
    }

    /// Ends links and tasks without handing over.
    pub async fn stop(&self) {
        self.ready.send_replace(false);
        self.links.stop().await;
        for task in &self.tasks {
            task.abort();
        }
        if let Some(kafka) = &self.kafka {
            kafka.left().await;
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(self.id()).finish()
    }
}

/// The servers of the services that this node runs: it needs no way to the others, nor an account there.
async fn open_stores(settings: &NodeSettings, own: &[&Service]) -> Result<BTreeMap<String, Arc<SqlStore>>, NodeError> {
    let ranges = own.iter().flat_map(|service| &settings.topology.service(service.name).databases);
    let used: HashSet<&str> = ranges.map(|range| range.server.as_str()).collect();
    let mut by_location: HashMap<String, Arc<SqlStore>> = HashMap::new();
    let mut stores = BTreeMap::new();
    for (name, url) in settings.databases.iter().filter(|(name, _)| used.contains(name.as_str())) {
        let opened = store::open(url).await?;
        let store = by_location.entry(opened.location().to_owned()).or_insert(opened);
        stores.insert(name.clone(), Arc::clone(store));
    }
    Ok(stores)
}

/// Brings the schemas up; returns the databases that this node uses.
async fn migrate(
    settings: &NodeSettings,
    services: &[&Service],
    stores: &BTreeMap<String, Arc<SqlStore>>,
) -> Result<BTreeMap<(&'static str, String), Arc<dyn Store>>, NodeError> {
    let mut used = BTreeMap::new();
    for service in services {
        for range in &settings.topology.service(service.name).databases {
            let store = stores.get(&range.server).ok_or_else(|| {
                let server = &range.server;
                NodeError::Setting(format!("service {} needs an address of database server {server:?}", service.name))
            })?;
            store.migrate(service.name, service.migrations).await?;
            used.insert((service.name, range.server.clone()), store.clone() as Arc<dyn Store>);
        }
    }
    Ok(used)
}

fn databases(
    settings: &NodeSettings,
    services: &[&Service],
    stores: &BTreeMap<String, Arc<SqlStore>>,
    node: &NodeId,
    incarnations: Arc<Incarnations>,
    on_commit: &OnCommit,
) -> Result<Databases, NodeError> {
    let writer: Arc<str> = node.to_string().into();
    let mut journals: HashMap<String, Arc<Journal>> = HashMap::new();
    let mut servers = HashMap::new();
    for (name, store) in stores {
        let journal = journals.entry(store.location().to_owned()).or_insert_with(|| {
            let mut limits = settings.journal.clone();
            if store.location().starts_with("sqlite") {
                limits.lanes = 1;
            }
            Journal::start(store.clone() as Arc<dyn Store>, Arc::clone(&writer), &limits, Some(Arc::clone(on_commit)))
        });
        let server = Server { store: store.clone() as Arc<dyn Store>, journal: Arc::clone(journal) };
        servers.insert(name.clone(), server);
    }
    let roles = services.iter().map(|service| service.name).collect();
    Ok(Databases::new(settings.topology.clone(), roles, servers, incarnations))
}

/// The replicas of servers that hold something of this node's services.
async fn replicas(
    settings: &NodeSettings,
    services: &[&Service],
    stores: &BTreeMap<String, Arc<SqlStore>>,
) -> Result<HashMap<String, Arc<Replica>>, NodeError> {
    let mut replicas = HashMap::new();
    for (name, url) in &settings.replicas {
        let on_server = |service: &&&Service| {
            settings.topology.service(service.name).databases.iter().any(|range| range.server == *name)
        };
        let own: Vec<&'static str> = services.iter().filter(on_server).map(|service| service.name).collect();
        let Some(primary) = stores.get(name).filter(|_| !own.is_empty()) else { continue };
        let store = store::open(url).await?;
        let replica = Replica::new(Arc::clone(primary), store, own, settings.name.clone(), settings.replica_staleness);
        replicas.insert(name.clone(), Arc::new(replica));
    }
    Ok(replicas)
}

/// What has been committed goes to the outboxes, and to whoever watches.
fn on_commit(outboxes: Arc<Outboxes>, spread: Arc<Spread>) -> OnCommit {
    Arc::new(move |rows| {
        spread.committed(&rows);
        outboxes.committed(rows);
    })
}

/// A free port where none is given: the address stands in the view before the links listen.
async fn free_port(listen: std::net::SocketAddr) -> Result<std::net::SocketAddr, NodeError> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    let refused = |error| NodeError::Setting(format!("can't listen on {listen}: {error}"));
    let probe = tokio::net::TcpListener::bind(listen).await.map_err(refused)?;
    probe.local_addr().map_err(refused)
}

/// Keeps links to whoever is in the view.
async fn follow_view(membership: Arc<Membership>, links: Arc<Links>) {
    let mut views = membership.view();
    loop {
        let view = views.borrow_and_update().clone();
        let others = view.live().filter(|member| member.node != *membership.node());
        links.set_peers(
            others.map(|member| Peer { node: member.node.clone(), address: member.link_address.clone() }).collect(),
        );
        links.notice(Recipients::All, bytes::Bytes::from_static(b"view"));
        if views.changed().await.is_err() {
            return;
        }
    }
}

/// A lost link is a reason to look at the leases now, and nothing more.
async fn follow_suspicions(membership: Arc<Membership>, links: Arc<Links>) {
    let mut suspicions = links.suspicions();
    while !matches!(suspicions.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
        membership.poke();
    }
}
