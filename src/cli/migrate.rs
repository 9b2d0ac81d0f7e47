//! `nakku migrate`: creates databases and tables, or brings them up to this version, before nodes are started.
//!
//! A node does the same for the services that it runs; this is for those who want it done beforehand, or by another
//! account.

use std::collections::HashMap;
use std::sync::Arc;

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
}

/// Migrates everything that the settings name.
pub async fn run(arguments: &Migrate) -> Done {
    let loaded = arguments.settings.sources(Vec::new())?.load()?;
    let services = nakku_actors::services();
    let (topology, addresses) = compose::topology(&loaded.settings, &services);
    let mut stores: HashMap<&str, Arc<SqlStore>> = HashMap::new();
    for (name, url) in &addresses {
        stores.insert(name, store::open(url).await.map_err(Wrong::failed)?);
    }
    let cluster = store::open(&loaded.settings.cluster_database()).await.map_err(Wrong::failed)?;
    cluster.migrate_cluster().await.map_err(Wrong::failed)?;
    let location = cluster.location().to_owned();
    let mut done =
        vec![Migrated { database: "nakku_cluster".into(), location, schema_version: store::schema::CLUSTER_VERSION }];
    for service in &services {
        let schema_version = service.migrations.last().map_or(0, |migration| migration.version);
        for range in &topology.service(service.name).databases {
            let Some(store) = stores.get(range.server.as_str()) else { continue };
            store.migrate(service.name, service.migrations).await.map_err(Wrong::failed)?;
            let database = format!("nakku_{}", service.name);
            done.push(Migrated { database, location: store.location().to_owned(), schema_version });
        }
    }
    let rows = done.iter().map(|one| vec![one.database.clone(), one.location.clone(), one.schema_version.to_string()]);
    show::rows(arguments.json, &done, &["database", "location", "schema version"], rows)
}
