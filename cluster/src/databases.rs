//! Which database server holds which shard, and the journal in front of each server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::incarnation::Incarnations;
use crate::journal::Journal;
use crate::reference::ShardId;
use crate::replicas::Replica;
use crate::store::Store;
use crate::topology::Topology;

/// One server and the journal that writes to it.
#[derive(Clone)]
pub struct Server {
    /// For reads.
    pub store: Arc<dyn Store>,
    /// For commits.
    pub journal: Arc<Journal>,
}

/// The servers that this node uses, by the names that the topology has for them. A service's shards may be
/// spread over several; services on the same server share its journal, so that their decisions share
/// transactions.
#[derive(Debug)]
pub struct Databases {
    topology: Topology,
    services: HashSet<&'static str>,
    servers: HashMap<String, Server>,
    /// By the server that each follows.
    replicas: HashMap<String, Arc<Replica>>,
    incarnations: Arc<Incarnations>,
}

/// A server, and what belongs to shards that it holds.
pub(crate) type OnServer<'a, T> = (&'a Server, Vec<(ShardId, T)>);

impl Databases {
    /// From the topology, the services that this node runs, the servers that it has addresses of, and the
    /// incarnations of the services' databases there.
    pub fn new(
        topology: Topology,
        services: HashSet<&'static str>,
        servers: HashMap<String, Server>,
        incarnations: Arc<Incarnations>,
    ) -> Self {
        Self { topology, services, servers, replicas: HashMap::new(), incarnations }
    }

    /// With replicas that lists may be read from, by the names of the servers that they follow.
    pub(crate) fn with_replicas(self, replicas: HashMap<String, Arc<Replica>>) -> Self {
        Self { replicas, ..self }
    }

    /// Every replica with the name of the server that it follows.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (&String, &Arc<Replica>)> {
        self.replicas.iter()
    }

    /// The replica of a server, if it has one.
    pub(crate) fn replica_of(&self, server: &str) -> Option<&Arc<Replica>> {
        self.replicas.get(server)
    }

    /// The incarnation of the database that holds a shard: ids of its events begin with it. At least 1 for a
    /// service that this node runs, else 0. It only rises; a shard whose database's rises is taken anew.
    pub fn incarnation(&self, shard: ShardId) -> u64 {
        self.incarnations.of(shard.service, self.server_of(shard))
    }

    /// Whether the database that holds a shard is an older copy, and must not be served.
    pub fn is_refused(&self, shard: ShardId) -> bool {
        self.incarnations.is_refused(shard.service, self.server_of(shard))
    }

    /// What is known of the databases' incarnations.
    pub fn incarnations(&self) -> &Arc<Incarnations> {
        &self.incarnations
    }

    /// The name of the server that holds a shard.
    pub fn server_of(&self, shard: ShardId) -> &str {
        self.topology.service(shard.service).server_of(shard.number)
    }

    /// Where a shard lies; nothing when this node has no address of that server.
    pub fn of_shard(&self, shard: ShardId) -> Option<&Server> {
        self.servers.get(self.server_of(shard))
    }

    /// What belongs to shards, by the server that holds them; names of one server count as one. What lies on a server
    /// that this node has no address of is left out.
    pub(crate) fn by_server<T>(&self, items: impl IntoIterator<Item = (ShardId, T)>) -> Vec<OnServer<'_, T>> {
        let mut by_location: BTreeMap<&str, OnServer<'_, T>> = BTreeMap::new();
        for (shard, item) in items {
            if let Some(server) = self.of_shard(shard) {
                let there = by_location.entry(server.store.location()).or_insert_with(|| (server, Vec::new()));
                there.1.push((shard, item));
            }
        }
        by_location.into_values().collect()
    }

    /// All servers of a service with their names, in the order of the shards; nothing when this node does not run
    /// it.
    pub fn of_service(&self, service: &str) -> Option<Vec<(&str, &Server)>> {
        self.services.get(service)?;
        let ranges = self.topology.service(service).databases.iter();
        ranges.map(|range| Some((range.server.as_str(), self.servers.get(&range.server)?))).collect()
    }

    /// Every server with its name.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Server)> {
        self.servers.iter()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.store.location()).finish()
    }
}
