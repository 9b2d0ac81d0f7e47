//! Nodes for scenarios that ask entities without the gateway.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nakku_cluster::events::kafka::KafkaSettings;
use nakku_cluster::journal::JournalSettings;
use nakku_cluster::link::LinkCredits;
use nakku_cluster::membership::Roles;
use nakku_cluster::membership::view::LEASE_MS_DEFAULT;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::runtime::RuntimeSettings;
use nakku_cluster::service::Service;
use nakku_cluster::topology::{SHARD_COUNT_DEFAULT, ServiceTopology, Topology};

use crate::error::BenchError;
use crate::http::server::COOKIE;

/// How long anything waits for a node.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Entities that are to stay in memory do.
const NEVER: Duration = Duration::from_secs(24 * 3600);
const LOADED_MAX: u32 = 1_000_000;
/// What `nakku node` calls its cluster, and the first of `databases.default`.
const SHOP_CLUSTER: &str = "nakku";
const SHOP_SERVER: &str = "default-1";

/// Starts a node of this process with the default settings, except that nothing is passivated.
///
/// # Errors
/// When it does not start.
pub async fn start(name: &str, roles: &[&str], database_url: &str, services: Vec<Service>) -> Result<Node, BenchError> {
    start_with_kafka(name, roles, database_url, services, None).await
}

/// The same; its events go over Kafka where that is given.
///
/// # Errors
/// When it does not start.
pub async fn start_with_kafka(
    name: &str,
    roles: &[&str],
    database_url: &str,
    services: Vec<Service>,
    kafka: Option<KafkaSettings>,
) -> Result<Node, BenchError> {
    start_as(settings(name, roles, database_url, kafka), services).await
}

/// The same in a cluster of `nakku node`, which has one server for all databases.
///
/// # Errors
/// When it does not start.
pub async fn join(name: &str, roles: &[&str], database_url: &str, services: Vec<Service>) -> Result<Node, BenchError> {
    let settings = NodeSettings {
        databases: [(SHOP_SERVER.to_owned(), database_url.to_owned())].into(),
        topology: Topology::new(SHOP_CLUSTER, ServiceTopology::spread(SHARD_COUNT_DEFAULT, [SHOP_SERVER])),
        link_cookie: COOKIE.into(),
        ..settings(name, roles, database_url, None)
    };
    start_as(settings, services).await
}

async fn start_as(settings: NodeSettings, services: Vec<Service>) -> Result<Node, BenchError> {
    Node::start(settings, services, Vec::new()).await.map_err(|error| BenchError::failed("starting a node", error))
}

fn settings(name: &str, roles: &[&str], database_url: &str, kafka: Option<KafkaSettings>) -> NodeSettings {
    NodeSettings {
        name: name.into(),
        roles: Roles::new(roles.iter().copied()),
        cluster_database: database_url.to_owned(),
        databases: [("main".to_owned(), database_url.to_owned())].into(),
        topology: Topology::new("bench", ServiceTopology::spread(SHARD_COUNT_DEFAULT, ["main"])),
        link_listen: ([127, 0, 0, 1], 0).into(),
        link_advertise: None,
        link_cookie: "bench".into(),
        link_tls: None,
        link_credits: LinkCredits::default(),
        http_address: None,
        lease: Duration::from_millis(LEASE_MS_DEFAULT),
        renew: Duration::from_millis(LEASE_MS_DEFAULT / 8),
        runtime: RuntimeSettings { passivate_after: NEVER, loaded_max: LOADED_MAX, ..RuntimeSettings::default() },
        journal: JournalSettings::default(),
        journal_keep_rows: None,
        replicas: Default::default(),
        replica_staleness: Duration::from_secs(2),
        kafka,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// A folder for SQLite files that goes when this does.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new() -> Result<Self, BenchError> {
        let nanos =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let path = std::env::temp_dir().join(format!("nakku-bench-{}-{nanos:x}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The address of a database in it.
    pub fn sqlite_url(&self) -> String {
        format!("sqlite://{}/nakku.db", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed stays in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
