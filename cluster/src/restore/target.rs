//! What is there before anything is put back, and whether it may go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{CLUSTER, Origin, RestoreError, Target, incarnation_now};
use crate::membership::View;
use crate::membership::view::LEASE_MS_DEFAULT;
use crate::store::snapshot::{self, Table};
use crate::store::{ClusterRows, ClusterStore, SqlStore, Store};
use crate::topology::Topology;

/// What a restore has to go beyond.
pub(super) struct Prepared {
    /// That each service's database will have, by service and location.
    pub incarnations: HashMap<(String, String), u64>,
    /// Of the cluster that was there; 0 when there was none.
    pub view_version: u64,
}

impl Target {
    /// Brings the schemas up and empties what may go.
    pub(super) async fn prepare(&self, origin: &Origin, replace: bool) -> Result<Prepared, RestoreError> {
        origin.topology.check()?;
        self.cluster.migrate_cluster().await?;
        self.check_stopped().await?;
        let mut databases: Vec<(&str, &Arc<SqlStore>)> = vec![(CLUSTER, &self.cluster)];
        for service in &self.services {
            for (_, store) in self.of_service(&origin.topology, service.name)? {
                store.migrate(service.name, service.migrations).await?;
                databases.push((service.name, store));
            }
        }
        for (database, store) in &databases {
            let Some(table) = snapshot::layouts(store, database).await?.filled else { continue };
            if !replace {
                return Err(RestoreError::NotEmpty {
                    database: format!("nakku_{database}"),
                    location: store.location().to_owned(),
                    table,
                    cluster: origin.topology.cluster.clone(),
                });
            }
        }
        let view_version = self.cluster.read_cluster().await?.view_version;
        if replace {
            // From here on nothing is whole.
            self.cluster.mark_restoring().await?;
            for (database, store) in databases.iter().filter(|(database, _)| *database != CLUSTER) {
                snapshot::clear(store, database).await?;
            }
            self.cluster.clear_cluster().await?;
        }
        let mut incarnations = HashMap::new();
        for service in &self.services {
            let in_backup = origin.incarnations.get(service.name).copied().unwrap_or(0);
            for (name, store) in self.of_service(&origin.topology, service.name)? {
                let found = store.incarnation(service.name).await?;
                let known = self.cluster.remember_incarnation(service.name, name, 0).await?;
                let next = found.max(known).max(in_backup).max(incarnation_now()) + 1;
                let of = (service.name.to_owned(), store.location().to_owned());
                let highest: &mut u64 = incarnations.entry(of).or_default();
                *highest = (*highest).max(next);
            }
        }
        Ok(Prepared { incarnations, view_version })
    }

    /// Every column of the backup is there.
    pub(super) async fn check_layout(
        &self,
        topology: &Topology,
        database: &str,
        table: &Table,
    ) -> Result<(), RestoreError> {
        let is_known = database == CLUSTER || self.services.iter().any(|service| service.name == database);
        let store = match database {
            CLUSTER => Some(&self.cluster),
            // All servers of a service have the same schema.
            service => self.of_service(topology, service)?.first().map(|(_, store)| *store),
        };
        let Some(store) = store.filter(|_| is_known) else {
            return Err(RestoreError::Unknown { what: format!("a database nakku_{database}") });
        };
        let there = snapshot::layouts(store, database).await?.tables;
        let Some(known) = there.iter().find(|known| known.name == table.name) else {
            return Err(RestoreError::Unknown { what: format!("a table nakku_{database}.{}", table.name) });
        };
        match table.columns.iter().find(|column| !known.columns.contains(column)) {
            Some(column) => {
                let what = format!("a column {} in nakku_{database}.{}", column.name, table.name);
                Err(RestoreError::Unknown { what })
            }
            None => Ok(()),
        }
    }

    /// The servers of a service by name.
    pub(super) fn of_service<'a>(
        &'a self,
        topology: &'a Topology,
        service: &str,
    ) -> Result<Vec<(&'a str, &'a Arc<SqlStore>)>, RestoreError> {
        let ranges = topology.service(service).databases.iter();
        let servers = ranges.map(|range| match self.servers.get(&range.server) {
            Some(store) => Ok((range.server.as_str(), store)),
            None => Err(RestoreError::Server(range.server.clone())),
        });
        servers.collect()
    }

    pub(super) fn store_of(
        &self,
        topology: &Topology,
        service: &str,
        shard: u32,
    ) -> Result<Arc<SqlStore>, RestoreError> {
        let server = topology.service(service).server_of(shard);
        self.servers.get(server).cloned().ok_or_else(|| RestoreError::Server(server.to_owned()))
    }

    /// No lease is renewed: no node that can reach this database is at work.
    async fn check_stopped(&self) -> Result<(), RestoreError> {
        let before = self.cluster.read_cluster().await?;
        if before.leases.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(lease(&before)).await;
        let after = self.cluster.read_cluster().await?;
        let renewed = after.leases.iter().filter(|lease| !before.leases.contains(lease));
        let nodes: Vec<String> = renewed.map(|lease| format!("{}@{}", lease.node, lease.generation)).collect();
        if nodes.is_empty() {
            return Ok(());
        }
        Err(RestoreError::Running { nodes: nodes.join(", "), location: self.cluster.location().to_owned() })
    }
}

/// Longer than any lease lasts.
fn lease(rows: &ClusterRows) -> Duration {
    let view = View::from_json(&rows.view).unwrap_or_default();
    let longest = view.members.iter().map(|member| member.lease_ms).max().unwrap_or(LEASE_MS_DEFAULT);
    Duration::from_millis(longest + longest / 10)
}
