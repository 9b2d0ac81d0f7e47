#![doc = include_str!("README.md")]

use crate::service::Migration;

/// What the store keeps in every service's database. `{service}` stands for its name.
pub(super) const SERVICE: &[Migration] = &[
    Migration { version: 1, name: "journal and incarnation", sql: include_str!("service.sql") },
    Migration { version: 2, name: "how far events have been published", sql: include_str!("publication.sql") },
    Migration {
        version: SERVICE_VERSION,
        name: "by which replicas show how far they are",
        sql: include_str!("heartbeat.sql"),
    },
];

/// The newest version of what every service's database has.
pub const SERVICE_VERSION: u32 = 3;

/// What the cluster database holds.
pub(super) const CLUSTER: &[Migration] = &[
    Migration { version: 1, name: "topology, view, leases, generations", sql: include_str!("cluster.sql") },
    Migration {
        version: CLUSTER_VERSION,
        name: "known incarnations of the service databases",
        sql: include_str!("cluster_incarnation.sql"),
    },
];

/// The newest version of the cluster database's schema.
pub const CLUSTER_VERSION: u32 = 2;

/// The record of what has been applied; made before anything else.
pub(super) const RECORD: &str = include_str!("record.sql");
