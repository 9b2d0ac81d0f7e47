//! What is asked of a server because of replication: how far a replica is, and whether a server may be promoted.

use std::sync::Arc;

use super::session::{Fault, Row, Value};
use super::sql::{SqlStore, listed};
use super::statements::Dialect;
use super::{ListedRow, StateTable, StoreError};
use crate::membership::View;
use crate::query::Query;
use crate::time::Timestamp;

/// By how much versions of the view and generations of nodes rise when a copy of the cluster database takes its
/// place: more than such a copy can lack.
pub const LEAP: u64 = 1000;
/// Nodes that have not written for so long are forgotten, in milliseconds.
const BEATS_KEPT_MS: i64 = 24 * 3600 * 1000;
/// Of these at most so many at once.
const BEATS_FORGOTTEN_MAX: i64 = 200;

/// How a server stands towards replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Names the server itself, whatever address led to it.
    pub server: String,
    /// It refuses writes of ordinary accounts.
    pub is_read_only: bool,
    /// What it receives from another server, if it has been told of one.
    pub following: Option<Following>,
}

/// See [`Standing::following`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// The other server's host.
    pub of: String,
    /// It still receives.
    pub receives: bool,
    /// What it has received is applied.
    pub has_applied_all: bool,
}

impl SqlStore {
    /// Writes a node's beat into the databases of these services, in one transaction.
    ///
    /// # Errors
    /// When the server is away or read-only.
    pub async fn beat(&self, services: &[&str], node: &str, beat: u64) -> Result<(), StoreError> {
        self.write_beat(services, node, beat).await.map_err(|fault| self.error(fault))
    }

    /// The last beat of a node that the databases of all of these services show; nothing when they differ.
    ///
    /// # Errors
    /// When the server is away or has no such databases.
    pub async fn last_beat(&self, services: &[&str], node: &str) -> Result<Option<u64>, StoreError> {
        self.read_beat(services, node).await.map_err(|fault| self.error(fault))
    }

    /// Forgets the beats of nodes that have been gone for long.
    ///
    /// # Errors
    /// When the server is away or read-only.
    pub async fn forget_beats(&self, service: &str) -> Result<(), StoreError> {
        self.delete_beats(service).await.map_err(|fault| self.error(fault))
    }

    /// A list, if the server has a shard's journal up to a row. Nothing if it has not.
    ///
    /// # Errors
    /// As of any read.
    pub async fn list_reaching(
        &self,
        table: &StateTable,
        query: &Query,
        shard: u32,
        seq: u64,
    ) -> Result<Option<Vec<ListedRow>>, StoreError> {
        self.read_reaching(table, query, shard, seq).await.map_err(|fault| self.error(fault))
    }

    /// How the server stands towards replication.
    ///
    /// # Errors
    /// [`StoreError::Refused`] by SQLite, and where the account may not ask.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        self.read_standing().await.map_err(|fault| self.error(fault))
    }

    /// Raises the version of the view and the generations of all nodes of a cluster database far above what any node
    /// may have seen of another copy: what was agreed there and is lacking here can't be taken for what will be
    /// agreed here. Returns the version; 0 when there is no view.
    ///
    /// # Errors
    /// When the server is away or read-only, or the view changed at the same moment.
    pub async fn leap(&self) -> Result<u64, StoreError> {
        self.write_leap().await.map_err(|fault| self.error(fault))
    }

    async fn write_beat(&self, services: &[&str], node: &str, beat: u64) -> Result<(), Fault> {
        let clash = match self.server.statements.dialect() {
            Dialect::MySql => "ON DUPLICATE KEY UPDATE beat = VALUES(beat), written_at = VALUES(written_at)",
            Dialect::Sqlite => {
                "ON CONFLICT (node) DO UPDATE SET beat = excluded.beat, written_at = excluded.written_at"
            }
        };
        let template = format!("INSERT INTO {{prefix}}heartbeat (node, beat, written_at) VALUES (?, ?, ?) {clash}");
        let values = [Value::text(node), Value::unsigned(beat), Value::Integer(Timestamp::now().0)];
        let mut transaction = self.server.transaction().await?;
        for service in services {
            transaction.execute(&self.server.statements.with_prefix(service, &template)?, &values).await?;
        }
        transaction.commit().await
    }

    async fn read_beat(&self, services: &[&str], node: &str) -> Result<Option<u64>, Fault> {
        let mut pieces = Vec::with_capacity(services.len());
        for service in services {
            let read = "SELECT beat FROM {prefix}heartbeat WHERE node = ?";
            pieces.push(self.server.statements.with_prefix(service, read)?.to_string());
        }
        let values = vec![Value::text(node); services.len()];
        let rows = self.server.read(&Arc::from(pieces.join(" UNION ALL ")), &values).await?;
        let beats = rows.iter().map(|row| row.unsigned(0)).collect::<Result<Vec<u64>, Fault>>()?;
        let same = beats.len() == services.len() && beats.windows(2).all(|pair| pair[0] == pair[1]);
        Ok(beats.first().copied().filter(|_| same))
    }

    async fn delete_beats(&self, service: &str) -> Result<(), Fault> {
        let text = |template| self.server.statements.with_prefix(service, template);
        let read = text("SELECT node FROM {prefix}heartbeat WHERE written_at < ? LIMIT ?")?;
        let before = Timestamp::now().0 - BEATS_KEPT_MS;
        let rows = self.server.read(&read, &[Value::Integer(before), Value::Integer(BEATS_FORGOTTEN_MAX)]).await?;
        let delete = text("DELETE FROM {prefix}heartbeat WHERE node = ?")?;
        let mut transaction = self.server.transaction().await?;
        for row in rows {
            transaction.execute(&delete, &[Value::text(&row.text(0)?)]).await?;
        }
        transaction.commit().await
    }

    async fn read_reaching(
        &self,
        table: &StateTable,
        query: &Query,
        shard: u32,
        seq: u64,
    ) -> Result<Option<Vec<ListedRow>>, Fault> {
        let reached = "SELECT seq FROM {prefix}journal WHERE shard = ? AND seq >= ? LIMIT 1";
        let reached = self.server.statements.with_prefix(table.kind.service, reached)?;
        let (list, values) = self.list_statement(table, query)?;
        // On one session, so that both are asked of one server: behind the address may be several.
        let mut transaction = self.server.transaction().await?;
        let end = transaction.fetch(&reached, &[Value::Integer(i64::from(shard)), Value::unsigned(seq)]).await?;
        let rows = match end.is_empty() {
            true => None,
            false => Some(listed(&transaction.fetch(&list, &values).await?)?),
        };
        transaction.commit().await?;
        Ok(rows)
    }

    async fn read_standing(&self) -> Result<Standing, Fault> {
        if self.server.statements.dialect() == Dialect::Sqlite {
            return Err(Fault::Refused("a SQLite file has no replica".to_owned()));
        }
        let read = "SELECT CONCAT(@@global.hostname, ':', @@global.port, ' ', @@global.datadir), \
                    CAST(@@global.read_only AS SIGNED)";
        let rows = self.server.read(&Arc::from(read), &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::Refused("the server does not say who it is".to_owned()))?;
        let (server, is_read_only) = (row.text(0)?, row.integer(1)? != 0);
        let newer = self.server.read(&Arc::from("SHOW REPLICA STATUS"), &[]).await;
        let rows = match newer {
            Ok(rows) => rows,
            // Servers before MySQL 8.0.22 have only the older word.
            Err(Fault::Refused(_)) => self.server.read(&Arc::from("SHOW SLAVE STATUS"), &[]).await?,
            Err(other) => return Err(other),
        };
        let following = rows.first().map(following).transpose()?;
        Ok(Standing { server, is_read_only, following })
    }

    async fn write_leap(&self) -> Result<u64, Fault> {
        let text = |template| self.server.statements.with_prefix("cluster", template);
        let read = text("SELECT version, content FROM {prefix}view WHERE id = 1")?;
        let (nodes, raise) = (
            text("SELECT node FROM {prefix}generation")?,
            text("UPDATE {prefix}generation SET generation = generation + ? WHERE node = ?")?,
        );
        let swap = text("UPDATE {prefix}view SET version = ?, content = ? WHERE id = 1 AND version = ?")?;
        let mut transaction = self.server.transaction().await?;
        for row in transaction.fetch(&nodes, &[]).await? {
            transaction.execute(&raise, &[Value::unsigned(LEAP), Value::text(&row.text(0)?)]).await?;
        }
        let rows = transaction.fetch(&read, &[]).await?;
        let Some(row) = rows.first() else {
            transaction.commit().await?;
            return Ok(0);
        };
        let version = row.unsigned(0)?;
        let mut view = View::from_json(&row.bytes(1)?).map_err(|error| Fault::Refused(error.to_string()))?;
        view.version = version + LEAP;
        let content = view.to_json();
        let values = [Value::unsigned(view.version), Value::Bytes(&content), Value::unsigned(version)];
        if transaction.execute(&swap, &values).await? != 1 {
            return Err(Fault::Again("the view was changed at the same moment".to_owned()));
        }
        transaction.commit().await?;
        Ok(view.version)
    }
}

/// By place: MySQL renames these columns from version to version, and keeps their order, which MariaDB shares.
fn following(row: &Row) -> Result<Following, Fault> {
    let (file, position, applied_file, applied_position) = (row.raw(5)?, row.raw(6)?, row.raw(9)?, row.raw(21)?);
    Ok(Following {
        of: String::from_utf8_lossy(&row.raw(1)?).into_owned(),
        receives: row.raw(10)? != b"No",
        has_applied_all: file == applied_file && position == applied_position,
    })
}
