//! What is fixed when a cluster is founded: how keys become shards and which server holds which shard.
//!
//! The topology lives in the cluster database. A node brings its own, made of its settings, and refuses to
//! start when the two differ: two nodes that disagree here would write one entity in two places.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::reference::Key;
use crate::store::{ClusterStore, StoreError};

/// The one way in which shard keys are hashed.
pub const HASH: &str = "xxh3-64";
/// Shards of a service unless set otherwise.
pub const SHARD_COUNT_DEFAULT: u32 = 32;
/// The most shards that a service can have.
pub const SHARD_COUNT_MAX: u32 = 65_536;
/// Partitions of a service's topic unless set otherwise.
pub const EVENT_PARTITIONS_DEFAULT: u32 = 8;

/// Stands in the place of the topology while a backup is being put back.
pub(crate) const RESTORING: &str = r#"{"restoring":true}"#;

/// What all nodes of a cluster must have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The cluster's name.
    pub cluster: String,
    /// How shard keys are hashed, [`HASH`].
    pub hash: String,
    /// For services that are not named below, also those that a later version brings.
    pub default: ServiceTopology,
    /// Services that differ from the default.
    #[serde(default)]
    pub services: BTreeMap<String, ServiceTopology>,
}

/// How one service is divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTopology {
    /// Into how many shards.
    pub shard_count: u32,
    /// Partitions of its topic; a shard's events go to shard mod partitions.
    pub event_partitions: u32,
    /// Which database server holds which shards: ranges in the order of their first shard, the first of
    /// which begins at 0. Servers are named; where they are is each node's own setting.
    pub databases: Vec<DatabaseRange>,
}

/// Shards from one number up to the next range's first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseRange {
    /// The first shard of the range.
    pub first_shard: u32,
    /// The server's name.
    pub server: String,
}

/// Why a topology can't be used, or is not the founded one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopologyError {
    /// This node's settings are not the cluster's.
    #[error("{setting} is {configured} here, but the cluster {cluster:?} was founded with {founded}")]
    Differs {
        /// The founded cluster.
        cluster: String,
        /// Such as `services.order.shard_count`.
        setting: String,
        /// What the cluster has.
        founded: String,
        /// What this node has.
        configured: String,
    },
    /// A value that no cluster can have.
    #[error("{setting}: {reason}")]
    Invalid {
        /// Such as `services.order.shard_count`.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The cluster database holds a topology that this version can't read.
    #[error("the founded topology can't be read: {0}")]
    Unreadable(String),
    /// The databases are only half there.
    #[error(
        "a backup is being put back, or that ended half-way: wait for it, or run nakku restore again with --replace"
    )]
    Restoring,
    /// The cluster database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Topology {
    /// All services alike.
    pub fn new(cluster: impl Into<String>, default: ServiceTopology) -> Self {
        Self { cluster: cluster.into(), hash: HASH.to_owned(), default, services: BTreeMap::new() }
    }

    /// One service differently.
    #[must_use]
    pub fn with(mut self, service: impl Into<String>, topology: ServiceTopology) -> Self {
        self.services.insert(service.into(), topology);
        self
    }

    /// How a service is divided.
    pub fn service(&self, name: &str) -> &ServiceTopology {
        self.services.get(name).unwrap_or(&self.default)
    }

    /// Names of all servers that any service uses.
    pub fn servers(&self) -> BTreeSet<&str> {
        let all = self.services.values().chain([&self.default]);
        all.flat_map(|service| service.databases.iter().map(|range| range.server.as_str())).collect()
    }

    /// Whether it makes sense in itself.
    ///
    /// # Errors
    /// [`TopologyError::Invalid`] that names the setting.
    pub fn check(&self) -> Result<(), TopologyError> {
        if self.hash != HASH {
            let reason = format!("this version hashes by {HASH}, not by {:?}", self.hash);
            return Err(TopologyError::Invalid { setting: "hash".to_owned(), reason });
        }
        let named = self.services.iter().map(|(name, service)| (format!("services.{name}"), service));
        for (path, service) in named.chain([("default".to_owned(), &self.default)]) {
            service.check().map_err(|(field, reason)| TopologyError::Invalid {
                setting: format!("{path}.{field}"),
                reason: reason.to_owned(),
            })?;
        }
        Ok(())
    }

    /// Compares the founded topology (`self`) with a node's settings.
    ///
    /// # Errors
    /// [`TopologyError::Differs`] that names the first difference.
    pub fn accepts(&self, configured: &Topology) -> Result<(), TopologyError> {
        self.same("cluster", &self.cluster, &configured.cluster)?;
        self.same("hash", &self.hash, &configured.hash)?;
        self.same_service("default", &self.default, &configured.default)?;
        let named: BTreeSet<&String> = self.services.keys().chain(configured.services.keys()).collect();
        for name in named {
            self.same_service(&format!("services.{name}"), self.service(name), configured.service(name))?;
        }
        Ok(())
    }

    /// Founds the cluster with these settings, or compares them with the founded ones. The cluster
    /// database's tables must be there.
    ///
    /// # Errors
    /// Any [`TopologyError`].
    pub async fn agree(&self, store: &dyn ClusterStore) -> Result<(), TopologyError> {
        self.check()?;
        let founded = store.found(&self.to_json()).await?;
        Self::from_json(&founded)?.accepts(self)
    }

    /// The document as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a topology has string keys and serialises")
    }

    /// The document as it was stored.
    ///
    /// # Errors
    /// [`TopologyError::Unreadable`], or [`TopologyError::Restoring`].
    pub fn from_json(json: &[u8]) -> Result<Self, TopologyError> {
        if json == RESTORING.as_bytes() {
            return Err(TopologyError::Restoring);
        }
        serde_json::from_slice(json).map_err(|error| TopologyError::Unreadable(error.to_string()))
    }

    fn same_service(
        &self,
        path: &str,
        founded: &ServiceTopology,
        configured: &ServiceTopology,
    ) -> Result<(), TopologyError> {
        self.same(&format!("{path}.shard_count"), &founded.shard_count, &configured.shard_count)?;
        self.same(&format!("{path}.event_partitions"), &founded.event_partitions, &configured.event_partitions)?;
        self.same(&format!("{path}.databases"), &founded.database_map(), &configured.database_map())
    }

    fn same<T: PartialEq + ToString>(&self, setting: &str, founded: &T, configured: &T) -> Result<(), TopologyError> {
        if founded == configured {
            return Ok(());
        }
        Err(TopologyError::Differs {
            cluster: self.cluster.clone(),
            setting: setting.to_owned(),
            founded: founded.to_string(),
            configured: configured.to_string(),
        })
    }
}

impl ServiceTopology {
    /// So many shards, spread evenly over these servers in contiguous ranges.
    pub fn spread<S: Into<String>>(shard_count: u32, servers: impl IntoIterator<Item = S>) -> Self {
        let servers: Vec<String> = servers.into_iter().map(Into::into).collect();
        let count = u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
        let ranges = servers.into_iter().zip(0u32..).map(|(server, index)| DatabaseRange {
            first_shard: u32::try_from(u64::from(index) * u64::from(shard_count) / u64::from(count))
                .unwrap_or(u32::MAX),
            server,
        });
        Self { shard_count, event_partitions: EVENT_PARTITIONS_DEFAULT, databases: ranges.collect() }
    }

    /// The name of the server that holds a shard.
    pub fn server_of(&self, shard: u32) -> &str {
        let after = self.databases.partition_point(|range| range.first_shard <= shard);
        self.databases.get(after.saturating_sub(1)).map_or("", |range| range.server.as_str())
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.shard_count == 0 || self.shard_count > SHARD_COUNT_MAX {
            return Err(("shard_count", "must be from 1 to 65536"));
        }
        if self.event_partitions == 0 {
            return Err(("event_partitions", "must be at least 1"));
        }
        if self.databases.first().is_none_or(|range| range.first_shard != 0) {
            return Err(("databases", "the first range must begin at shard 0"));
        }
        let ascending = self.databases.windows(2).all(|pair| pair[0].first_shard < pair[1].first_shard);
        if !ascending || self.databases.iter().any(|range| range.first_shard >= self.shard_count) {
            return Err(("databases", "ranges must ascend and each must hold a shard"));
        }
        Ok(())
    }

    fn database_map(&self) -> String {
        let ranges: Vec<String> =
            self.databases.iter().map(|range| format!("{} from {}", range.server, range.first_shard)).collect();
        ranges.join(", ")
    }
}

/// The shard of a key among so many.
pub fn shard_of(key: &Key, shard_count: u32) -> u32 {
    u32::try_from(xxh3_64(key.shard_key().as_bytes()) % u64::from(shard_count.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        Topology::new("bengaluru", ServiceTopology::spread(32, ["main"]))
            .with("order", ServiceTopology::spread(64, ["order-1", "order-2", "order-3"]))
    }

    #[test]
    fn a_difference_is_named() {
        let founded = topology();
        founded.check().expect("valid");
        founded.accepts(&topology()).expect("the same");
        let read = Topology::from_json(&founded.to_json()).expect("readable");
        assert_eq!(read, founded);

        let fewer = topology().with("order", ServiceTopology::spread(32, ["order-1", "order-2", "order-3"]));
        let error = founded.accepts(&fewer).expect_err("differs");
        assert_eq!(
            error.to_string(),
            "services.order.shard_count is 32 here, but the cluster \"bengaluru\" was founded with 64"
        );
        let moved = topology().with("cart", ServiceTopology::spread(32, ["other"]));
        let error = founded.accepts(&moved).expect_err("differs");
        assert!(error.to_string().starts_with("services.cart.databases is other from 0 here"), "{error}");
        let mut renamed = topology();
        renamed.cluster = "mysuru".to_owned();
        assert!(
            matches!(founded.accepts(&renamed), Err(TopologyError::Differs { setting, .. }) if setting == "cluster")
        );
    }

    #[test]
    fn a_service_as_the_default_may_come_later() {
        let explicit = topology().with("analytics", ServiceTopology::spread(32, ["main"]));
        topology().accepts(&explicit).expect("the same");
    }

    #[test]
    fn shards_spread_over_servers_in_ranges() {
        let topology = topology();
        let order = topology.service("order");
        let servers: Vec<&str> = [0, 20, 21, 41, 42, 63].map(|shard| order.server_of(shard)).to_vec();
        assert_eq!(servers, ["order-1", "order-1", "order-2", "order-2", "order-3", "order-3"]);
        assert_eq!(topology.service("cart").server_of(31), "main");
        assert_eq!(topology.servers().len(), 4);
        let none = Topology::new("c", ServiceTopology::spread(32, Vec::<String>::new()));
        assert!(matches!(none.check(), Err(TopologyError::Invalid { setting, .. }) if setting == "default.databases"));
        let crowded = Topology::new("c", ServiceTopology::spread(1, ["a", "b"]));
        assert!(crowded.check().is_err());
    }

    #[test]
    fn the_hash_is_fixed_for_good() {
        // Values of xxh3_64 as of its stable release; a change here would send entities to other shards.
        let key = Key::new("u-1.o-7").expect("key");
        assert_eq!(shard_of(&key, 32), shard_of(&Key::new("u-1").expect("key"), 32));
        assert_eq!(xxh3_64(b""), 0x2D06_8005_38D3_94C2);
        let spread: BTreeSet<u32> =
            (0..1000).map(|user| shard_of(&Key::new(format!("u-{user}")).expect("key"), 32)).collect();
        assert_eq!(spread.len(), 32);
    }
}
