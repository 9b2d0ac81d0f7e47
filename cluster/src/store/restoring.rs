//! A cluster database that is being put back: a mark stands in the place of the topology, so that no node starts.

use std::sync::Arc;

use super::StoreError;
use super::session::{Fault, Value};
use super::sql::SqlStore;
use super::statements::Dialect;
use crate::topology;

const DATABASE: &str = "cluster";

impl SqlStore {
    /// Puts the mark in the place of the topology.
    pub(crate) async fn mark_restoring(&self) -> Result<(), StoreError> {
        self.write_document(topology::RESTORING.as_bytes()).await.map_err(|fault| self.error(fault))
    }

    /// Removes the view and all leases.
    pub(crate) async fn clear_cluster(&self) -> Result<(), StoreError> {
        let clear = async {
            let mut transaction = self.server.transaction().await?;
            // The condition is for sessions that allow none without a key.
            for text in ["DELETE FROM {prefix}view WHERE id >= 0", "DELETE FROM {prefix}lease WHERE node >= ?"] {
                let values = [Value::text("")];
                let values = if text.contains('?') { &values[..] } else { &[] };
                transaction.execute(&self.of_cluster(text)?, values).await?;
            }
            transaction.commit().await
        };
        clear.await.map_err(|fault| self.error(fault))
    }

    /// Writes view and generations, and last the topology, which lets nodes start.
    pub(crate) async fn end_restoring(
        &self,
        topology: &[u8],
        view: Option<(u64, Vec<u8>)>,
        generations: &[(String, u64)],
    ) -> Result<(), StoreError> {
        let write = async {
            let dialect = self.server.statements.dialect();
            let clash = match dialect {
                Dialect::MySql => "ON DUPLICATE KEY UPDATE",
                Dialect::Sqlite => "ON CONFLICT (node) DO UPDATE SET",
            };
            let raise = self.of_cluster(&format!(
                "INSERT INTO {{prefix}}generation (node, generation) VALUES (?, ?) {clash} generation = {}(generation, ?)",
                dialect.highest()
            ))?;
            let insert = self.of_cluster("INSERT INTO {prefix}view (id, version, content) VALUES (1, ?, ?)")?;
            let mut transaction = self.server.transaction().await?;
            for (node, generation) in generations {
                let generation = Value::unsigned(*generation);
                transaction.execute(&raise, &[Value::text(node), generation, generation]).await?;
            }
            if let Some((version, content)) = &view {
                transaction.execute(&insert, &[Value::unsigned(*version), Value::Bytes(content)]).await?;
            }
            transaction.commit().await?;
            self.write_document(topology).await
        };
        write.await.map_err(|fault: Fault| self.error(fault))
    }

    async fn write_document(&self, content: &[u8]) -> Result<(), Fault> {
        let clash = match self.server.statements.dialect() {
            Dialect::MySql => "ON DUPLICATE KEY UPDATE",
            Dialect::Sqlite => "ON CONFLICT (id) DO UPDATE SET",
        };
        let write = self
            .of_cluster(&format!("INSERT INTO {{prefix}}topology (id, content) VALUES (1, ?) {clash} content = ?"))?;
        let mut transaction = self.server.transaction().await?;
        transaction.execute(&write, &[Value::Bytes(content), Value::Bytes(content)]).await?;
        transaction.commit().await
    }

    fn of_cluster(&self, template: &str) -> Result<Arc<str>, Fault> {
        self.server.statements.with_prefix(DATABASE, template)
    }
}
