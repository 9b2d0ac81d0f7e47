//! What a node knows of its cluster, as `nakku status` and `/health` show it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The whole picture, as seen by one node.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ClusterStatus {
    /// The name under which the cluster was founded.
    pub cluster: String,
    /// `name@generation` of the node that answers.
    pub node: String,
    /// The newest view it knows.
    pub view_version: u64,
    /// What every node supports.
    pub feature_level: u16,
    /// All members that are not gone.
    pub nodes: Vec<NodeStatus>,
    /// All services.
    pub services: Vec<ServiceStatus>,
    /// Entities on this node that have been set aside, `service.entity/key`.
    pub quarantined: Vec<String>,
    /// Servers that this node rests on.
    pub dependencies: Vec<Dependency>,
}

/// One member.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its life.
    pub generation: u64,
    /// Where its links are.
    pub address: String,
    /// What it runs.
    pub roles: Vec<String>,
    /// joining, up, drained (up, but without shards until it is undrained), draining or down.
    pub state: String,
    /// The newest view that it has acknowledged.
    pub acknowledged_version: u64,
    /// How long its lease has stood still, as seen from here, in milliseconds.
    pub silent_ms: u64,
    /// Whether a link to it stands (always true of the node itself).
    pub linked: bool,
}

/// One service.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// How many shards it has.
    pub shards: u32,
    /// Shards by owner, `name` to count.
    pub owners: std::collections::BTreeMap<String, u32>,
    /// Shards on this node that serve.
    pub serving_here: u32,
    /// Entities loaded on this node.
    pub loaded_here: u64,
    /// Rows of this node's shards whose events are still to be published.
    #[serde(default)]
    pub unpublished_here: u64,
}

/// A server that a node rests on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// Such as `database nakku_order`.
    pub name: String,
    /// Where, without secrets.
    pub location: String,
    /// Whether the last use of it succeeded, and it may be used.
    pub up: bool,
    /// Of the last use, in microseconds.
    pub latency_us: u64,
    /// What it said when it failed.
    pub error: Option<String>,
    /// The node does without it while it is away.
    #[serde(default)]
    pub is_optional: bool,
}
