//! One node with all services on a SQLite file of its own, for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nakku_actors::notification::mailer::NoMailer;
use nakku_actors::payment::SimulatedCard;
use nakku_cluster::link::LinkCredits;
use nakku_cluster::membership::Roles;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::topology::{ServiceTopology, Topology};
use nakku_cluster::{Ask, Cluster, Entity, Key, Ref};

/// The shards of every service.
pub const SHARDS: u32 = 8;
/// Tests wait five times as long as expected.
pub const SLACK: u32 = 5;
/// How long any one step takes at most.
pub const STEP_EXPECTED: Duration = Duration::from_secs(2);

/// A node and where its data is.
pub struct Only {
    /// The node.
    pub node: Node,
    /// Its folder, to be removed in the end.
    pub folder: PathBuf,
}

/// The address of the database in a node's folder.
pub fn database(folder: &Path) -> String {
    format!("sqlite://{}/nakku.db", folder.display())
}

/// Starts it; the name tells tests apart that run at the same time.
pub async fn start(name: &str) -> Only {
    let folder = std::env::temp_dir().join(format!("nakku-{name}-{}", std::process::id()));
    let url = database(&folder);
    let services = nakku_actors::services();
    let settings = NodeSettings {
        name: "only".into(),
        roles: Roles::new(services.iter().map(|service| service.name)),
        cluster_database: url.clone(),
        databases: [("main".to_owned(), url)].into(),
        topology: Topology::new(name, ServiceTopology::spread(SHARDS, ["main"])),
        link_listen: "127.0.0.1:0".parse().expect("an address"),
        link_advertise: None,
        link_cookie: "test".into(),
        link_tls: None,
        link_credits: LinkCredits::default(),
        http_address: None,
        lease: Duration::from_secs(2),
        renew: Duration::from_millis(250),
        runtime: nakku_cluster::runtime::RuntimeSettings::default(),
        journal: nakku_cluster::journal::JournalSettings::default(),
        journal_keep_rows: None,
        replicas: Default::default(),
        replica_staleness: Duration::from_secs(2),
        kafka: None,
        version: "test".into(),
    };
    // Nobody carries e-mails, so that what is said of one that can't be sent is said too.
    let node = Node::start(settings, services, vec![Arc::new(SimulatedCard::default()), Arc::new(NoMailer)]).await;
    Only { node: node.expect("the node starts"), folder }
}

/// Asks an entity and panics unless it answers.
pub async fn ask<E: Entity>(cluster: &Cluster, key: &Key, command: E::Command) -> E::Reply {
    let target = Ref::<E>::new(key.clone());
    let answered = cluster.ask(&target, &command, Ask::within(STEP_EXPECTED * SLACK)).await;
    answered.unwrap_or_else(|error| panic!("{target:?}: {error}")).reply
}

/// Asks until the answer is as wanted; a refusal is not.
pub async fn until<E: Entity>(
    cluster: &Cluster,
    key: &Key,
    command: impl Fn() -> E::Command,
    wanted: &str,
    is_wanted: impl Fn(&E::Reply) -> bool,
) -> E::Reply {
    let began = Instant::now();
    loop {
        let target = Ref::<E>::new(key.clone());
        let answered = cluster.ask(&target, &command(), Ask::within(STEP_EXPECTED * SLACK)).await;
        let found = match answered {
            Ok(answered) if is_wanted(&answered.reply) => return answered.reply,
            Ok(answered) => format!("{:?}", answered.reply),
            Err(error) => error.to_string(),
        };
        assert!(began.elapsed() < STEP_EXPECTED * SLACK, "{key} was to be {wanted}, not {found}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A key that is written in a test.
pub fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}
