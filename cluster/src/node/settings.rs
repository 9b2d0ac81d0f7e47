//! What a node is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::events::kafka::KafkaSettings;
use crate::journal::JournalSettings;
use crate::link::{LinkCredits, LinkSettings, TlsFiles};
use crate::membership::{MembershipSettings, NodeId, Roles};
use crate::runtime::RuntimeSettings;
use crate::topology::Topology;

/// Everything that a node is started with.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Unique in the cluster and the same after a restart.
    pub name: String,
    /// What it runs.
    pub roles: Roles,
    /// `sqlite:///path` or `mysql://user:password@host:port` of the cluster database.
    pub cluster_database: String,
    /// Addresses of the database servers that the topology names.
    pub databases: BTreeMap<String, String>,
    /// Addresses of replicas that lists may be read from, by the names of the servers that they follow.
    pub replicas: BTreeMap<String, String>,
    /// One that is further behind is not read.
    pub replica_staleness: Duration,
    /// Must be the cluster's.
    pub topology: Topology,
    /// Where other nodes connect to; port 0 takes a free one.
    pub link_listen: SocketAddr,
    /// What the view says instead, where the two differ.
    pub link_advertise: Option<String>,
    /// Shared by all nodes.
    pub link_cookie: String,
    /// Mutual TLS between nodes.
    pub link_tls: Option<TlsFiles>,
    /// What may be unanswered on a link to another node.
    pub link_credits: LinkCredits,
    /// Where its gateway is, for the others to know.
    pub http_address: Option<String>,
    /// After this much silence the others declare it down.
    pub lease: Duration,
    /// How often it renews.
    pub renew: Duration,
    /// Limits.
    pub runtime: RuntimeSettings,
    /// Limits of the journal writers.
    pub journal: JournalSettings,
    /// How many of its newest rows a shard's journal keeps; all of them when nothing is set.
    pub journal_keep_rows: Option<u64>,
    /// Where events go; without it the consumers of this cluster are fed from the journals.
    pub kafka: Option<KafkaSettings>,
    /// The program's version, for the others to know.
    pub version: String,
}

impl NodeSettings {
    pub(super) fn membership(&self, link_address: String) -> MembershipSettings {
        MembershipSettings {
            http_address: self.http_address.clone(),
            lease: self.lease,
            renew: self.renew,
            version: self.version.clone(),
            ..MembershipSettings::new(
                self.topology.cluster.clone(),
                self.name.clone(),
                self.roles.clone(),
                link_address,
            )
        }
    }

    pub(super) fn links(&self, node: &NodeId, listen: SocketAddr) -> LinkSettings {
        let plain = LinkSettings::new(self.topology.cluster.clone(), node.clone(), listen, self.link_cookie.clone());
        LinkSettings { tls: self.link_tls.clone(), credits: self.link_credits, ..plain }
    }
}
