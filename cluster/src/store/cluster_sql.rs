//! What the cluster has agreed on, in the database `nakku_cluster`.

use async_trait::async_trait;

use super::session::{Fault, Value};
use super::sql::SqlStore;
use super::statements::Dialect;
use super::{ClusterRows, ClusterStore, LeaseRow, StoreError, migrate, schema};

const DATABASE: &str = "cluster";

/// How often nodes that start at once may deadlock in one small row.
const DEADLOCKS_MAX: u32 = 5;

impl SqlStore {
    fn text(&self, template: &str) -> Result<std::sync::Arc<str>, Fault> {
        self.server.statements.with_prefix(DATABASE, template)
    }

    async fn write_topology(&self, topology: &[u8]) -> Result<Vec<u8>, Fault> {
        let read = self.text("SELECT content FROM {prefix}topology WHERE id = 1")?;
        if let Some(row) = self.server.read_agreement(&read, &[]).await?.first() {
            return row.bytes(0);
        }
        let insert = self.text("INSERT INTO {prefix}topology (id, content) VALUES (1, ?)")?;
        let mut transaction = self.server.agreement().await?;
        match transaction.execute(&insert, &[Value::Bytes(topology)]).await {
            Ok(_) => transaction.commit().await?,
            // Another node founds at the same time.
            Err(Fault::Duplicate(_)) => drop(transaction),
            Err(other) => return Err(other),
        }
        match self.server.read_agreement(&read, &[]).await?.first() {
            Some(row) => row.bytes(0),
            None => Err(Fault::Unavailable("the topology is still being written".to_owned())),
        }
    }

    async fn raise_generation(&self, node: &str) -> Result<u64, Fault> {
        let clash = match self.server.statements.dialect() {
            Dialect::MySql => "ON DUPLICATE KEY UPDATE",
            Dialect::Sqlite => "ON CONFLICT (node) DO UPDATE SET",
        };
        let raise = self.text(&format!(
            "INSERT INTO {{prefix}}generation (node, generation) VALUES (?, 1) {clash} generation = generation + 1"
        ))?;
        let read = self.text("SELECT generation FROM {prefix}generation WHERE node = ?")?;
        let mut transaction = self.server.agreement().await?;
        transaction.execute(&raise, &[Value::text(node)]).await?;
        let rows = transaction.fetch(&read, &[Value::text(node)]).await?;
        let row = rows.first().ok_or_else(|| Fault::Refused("the generation just written is not there".to_owned()))?;
        let generation = row.unsigned(0)?;
        transaction.commit().await?;
        Ok(generation)
    }

    async fn read_rows(&self) -> Result<ClusterRows, Fault> {
        // One statement, and so one moment.
        let read = self.text(
            "SELECT 0, X'', version, 0, 0, content FROM {prefix}view WHERE id = 1 \
             UNION ALL SELECT 1, node, generation, acknowledged_version, beat, X'' FROM {prefix}lease",
        )?;
        let mut found = ClusterRows::default();
        for row in self.server.read_agreement(&read, &[]).await? {
            if row.integer(0)? == 0 {
                found.view_version = row.unsigned(2)?;
                found.view = row.bytes(5)?;
            } else {
                found.leases.push(LeaseRow {
                    node: row.text(1)?,
                    generation: row.unsigned(2)?,
                    acknowledged_version: row.unsigned(3)?,
                    beat: row.unsigned(4)?,
                });
            }
        }
        found.leases.sort_by(|one, other| one.node.cmp(&other.node));
        Ok(found)
    }

    async fn write_view(&self, expected: u64, view: &[u8]) -> Result<bool, Fault> {
        let mut transaction = self.server.agreement().await?;
        let swapped = if expected == 0 {
            let insert = self.text("INSERT INTO {prefix}view (id, version, content) VALUES (1, 1, ?)")?;
            match transaction.execute(&insert, &[Value::Bytes(view)]).await {
                Err(Fault::Duplicate(_)) => false,
                outcome => outcome? == 1,
            }
        } else {
            let update =
                self.text("UPDATE {prefix}view SET version = version + 1, content = ? WHERE id = 1 AND version = ?")?;
            transaction.execute(&update, &[Value::Bytes(view), Value::unsigned(expected)]).await? == 1
        };
        transaction.commit().await?;
        Ok(swapped)
    }

    async fn write_lease(&self, node: &str, generation: u64, acknowledged_version: u64) -> Result<bool, Fault> {
        let lock = match self.server.statements.dialect() {
            Dialect::MySql => " FOR UPDATE",
            // The transaction has the whole file.
            Dialect::Sqlite => "",
        };
        let read =
            self.text(&format!("SELECT generation, acknowledged_version FROM {{prefix}}lease WHERE node = ?{lock}"))?;
        let mut transaction = self.server.agreement().await?;
        let rows = transaction.fetch(&read, &[Value::text(node)]).await?;
        let Some(row) = rows.first() else {
            let insert = self
                .text("INSERT INTO {prefix}lease (generation, acknowledged_version, beat, node) VALUES (?, ?, 1, ?)")?;
            let values = [Value::unsigned(generation), Value::unsigned(acknowledged_version), Value::text(node)];
            return match transaction.execute(&insert, &values).await {
                Ok(_) => transaction.commit().await.map(|()| true),
                // Only another life of the node writes this row.
                Err(Fault::Duplicate(cause)) => Err(Fault::Again(cause)),
                Err(other) => Err(other),
            };
        };
        let (held, acknowledged) = (row.unsigned(0)?, row.unsigned(1)?);
        if held > generation {
            transaction.commit().await?;
            return Ok(false);
        }
        // A new life begins with what it has acknowledged itself.
        let acknowledged =
            if held == generation { acknowledged.max(acknowledged_version) } else { acknowledged_version };
        let update = self.text(
            "UPDATE {prefix}lease SET generation = ?, acknowledged_version = ?, beat = beat + 1 WHERE node = ?",
        )?;
        let values = [Value::unsigned(generation), Value::unsigned(acknowledged), Value::text(node)];
        transaction.execute(&update, &values).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn delete_lease(&self, node: &str, generation: u64) -> Result<(), Fault> {
        let delete = self.text("DELETE FROM {prefix}lease WHERE node = ? AND generation <= ?")?;
        let mut transaction = self.server.agreement().await?;
        transaction.execute(&delete, &[Value::text(node), Value::unsigned(generation)]).await?;
        transaction.commit().await
    }

    async fn write_known_incarnation(&self, service: &str, server: &str, incarnation: u64) -> Result<u64, Fault> {
        let mut deadlocks = 0;
        loop {
            match self.raise_known_incarnation(service, server, incarnation).await {
                Err(Fault::Again(_)) if deadlocks < DEADLOCKS_MAX => deadlocks += 1,
                outcome => return outcome,
            }
        }
    }

    async fn raise_known_incarnation(&self, service: &str, server: &str, incarnation: u64) -> Result<u64, Fault> {
        let read = self.text("SELECT incarnation FROM {prefix}incarnation WHERE service = ? AND server = ?")?;
        let of = [Value::text(service), Value::text(server)];
        let rows = self.server.read_agreement(&read, &of).await?;
        let known = rows.first().map(|row| row.unsigned(0)).transpose()?.unwrap_or(0);
        if known >= incarnation {
            return Ok(known);
        }
        let dialect = self.server.statements.dialect();
        let clash = match dialect {
            Dialect::MySql => "ON DUPLICATE KEY UPDATE",
            Dialect::Sqlite => "ON CONFLICT (service, server) DO UPDATE SET",
        };
        let remember = self.text(&format!(
            "INSERT INTO {{prefix}}incarnation (service, server, incarnation) VALUES (?, ?, ?) \
             {clash} incarnation = {}(incarnation, ?)",
            dialect.highest()
        ))?;
        let mut transaction = self.server.agreement().await?;
        let incarnation = Value::unsigned(incarnation);
        transaction.execute(&remember, &[of[0], of[1], incarnation, incarnation]).await?;
        let rows = transaction.fetch(&read, &of).await?;
        let row = rows.first().ok_or_else(|| Fault::Refused("the incarnation just written is not there".to_owned()))?;
        let known = row.unsigned(0)?;
        transaction.commit().await?;
        Ok(known)
    }
}

#[async_trait]
impl ClusterStore for SqlStore {
    fn location_of_cluster(&self) -> &str {
        &self.server.location
    }

    async fn migrate_cluster(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.server, DATABASE, schema::CLUSTER, &[]).await.map_err(|fault| self.error(fault))
    }

    async fn found(&self, topology: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.write_topology(topology).await.map_err(|fault| self.error(fault))
    }

    async fn next_generation(&self, node: &str) -> Result<u64, StoreError> {
        self.raise_generation(node).await.map_err(|fault| self.error(fault))
    }

    async fn read_cluster(&self) -> Result<ClusterRows, StoreError> {
        self.read_rows().await.map_err(|fault| self.error(fault))
    }

    async fn swap_view(&self, expected: u64, view: &[u8]) -> Result<bool, StoreError> {
        self.write_view(expected, view).await.map_err(|fault| self.error(fault))
    }

    async fn renew_lease(&self, node: &str, generation: u64, acknowledged_version: u64) -> Result<bool, StoreError> {
        self.write_lease(node, generation, acknowledged_version).await.map_err(|fault| self.error(fault))
    }

    async fn remove_lease(&self, node: &str, generation: u64) -> Result<(), StoreError> {
        self.delete_lease(node, generation).await.map_err(|fault| self.error(fault))
    }

    async fn remember_incarnation(&self, service: &str, server: &str, incarnation: u64) -> Result<u64, StoreError> {
        self.write_known_incarnation(service, server, incarnation).await.map_err(|fault| self.error(fault))
    }
}
