//! The settings of a node of these tests: on SQLite, with short leases and links on a free port.

use std::path::Path;
use std::time::Duration;

use nakku_cluster::journal::JournalSettings;
use nakku_cluster::link::LinkCredits;
use nakku_cluster::membership::Roles;
use nakku_cluster::node::NodeSettings;
use nakku_cluster::runtime::RuntimeSettings;
use nakku_cluster::topology::{ServiceTopology, Topology};

/// Of a node with these roles whose one database lies in the folder.
pub fn settings(name: &str, roles: Roles, folder: &Path, shards: u32) -> NodeSettings {
    let url = format!("sqlite://{}/nakku.db", folder.display());
    NodeSettings {
        name: name.to_owned(),
        roles,
        cluster_database: url.clone(),
        databases: [("main".to_owned(), url)].into(),
        topology: Topology::new("test", ServiceTopology::spread(shards, ["main"])),
        link_listen: "127.0.0.1:0".parse().expect("an address"),
        link_advertise: None,
        link_cookie: "test".into(),
        link_tls: None,
        link_credits: LinkCredits::default(),
        http_address: None,
        lease: Duration::from_secs(2),
        renew: Duration::from_millis(250),
        runtime: RuntimeSettings::default(),
        journal: JournalSettings::default(),
        journal_keep_rows: None,
        replicas: Default::default(),
        replica_staleness: Duration::from_secs(2),
        kafka: None,
        version: "test".into(),
    }
}
