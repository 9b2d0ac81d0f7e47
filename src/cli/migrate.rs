//! `nakku migrate`: creates databases and tables, or brings them up to this version, before nodes are started.
//!
//! A node does the same for the services that it runs; this is for those who want it done beforehand, or by another
//! account. It is also where an operator says that a restored or promoted copy of a database is the one that counts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use nakku_cluster::incarnation;
use nakku_cluster::store::{self, ClusterStore, SqlStore, Store};
use serde::Serialize;

use super::arguments::Migrate;
use super::outcome::{Done, Wrong};
use super::show;
use crate::compose;

/// One database that is up to date now.
#[derive(Debug, Serialize)]
struct Migrated {
    database: String,
    location: String,
    schema_version: u32,
    /// Of a service's database.
    incarnation: Option<u64>,
    /// What the cluster database remembers of it; nodes refuse a lower one.
    known_incarnation: Option<u64>,
}

/// Migrates everything that the settings name.
pub async fn run(arguments: &Migrate) -> Done {
    let loaded = arguments.settings.sources(Vec::new())?.load()?;
    let services = nakku_actors::services();
    let raise = arguments.raise_incarnation.as_deref();
    if let Some(unknown) = raise.filter(|name| services.iter().all(|service| service.name != *name)) {
        let names: Vec<_> = services.iter().map(|service| service.name).collect();
        return Err(Wrong::Usage(format!("no service is called {unknown:?}; there are {}", names.join(", "))));
    }
    let (topology, addresses) = compose::topology(&loaded.settings, &services);
    let mut stores: HashMap<&str, Arc<SqlStore>> = HashMap::new();
    for (name, url) in &addresses {
        stores.insert(name, store::open(url).await.map_err(Wrong::failed)?);
    }
    let cluster = store::open(&loaded.settings.cluster_database()).await.map_err(Wrong::failed)?;
    cluster.migrate_cluster().await.map_err(Wrong::failed)?;
    let mut done = vec![Migrated {
        database: "nakku_cluster".into(),
        location: cluster.location().to_owned(),
        schema_version: store::schema::CLUSTER_VERSION,
        incarnation: None,
        known_incarnation: None,
    }];
    for service in &services {
        let name = service.name;
        let schema_version = service.migrations.last().map_or(0, |migration| migration.version);
        let servers: BTreeSet<&str> =
            topology.service(name).databases.iter().map(|range| range.server.as_str()).collect();
        for server in servers {
            let Some(store) = stores.get(server) else { continue };
            store.migrate(name, service.migrations).await.map_err(Wrong::failed)?;
            if raise == Some(name) {
                incarnation::raise(cluster.as_ref(), store.as_ref(), name, server).await.map_err(Wrong::failed)?;
            }
            done.push(Migrated {
                database: format!("nakku_{name}"),
                location: store.location().to_owned(),
                schema_version,
                incarnation: Some(store.incarnation(name).await.map_err(Wrong::failed)?),
                known_incarnation: Some(cluster.remember_incarnation(name, server, 0).await.map_err(Wrong::failed)?),
            });
        }
    }
    let heads = ["database", "location", "schema version", "incarnation"];
    show::rows(arguments.json, &done, &heads, done.iter().map(Migrated::row))
}

impl Migrated {
    fn row(&self) -> Vec<String> {
        let incarnation = match (self.incarnation, self.known_incarnation) {
            (None, _) => String::new(),
            (Some(found), Some(known)) if found < known => format!("{found}, but {known} is known"),
            (Some(found), _) => found.to_string(),
        };
        vec![self.database.clone(), self.location.clone(), self.schema_version.to_string(), incarnation]
    }
}
