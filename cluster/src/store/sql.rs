//! The store on any of the servers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::server::{Address, Server};
use super::session::{Fault, Row, Value};
use super::statements::{ROWS_MAX, SHARDS_PER_FILTER_MAX, SHARDS_PER_LOOKUP_MAX, column_value};
use super::writer::SqlWriter;
use super::{
    CLAIM, Due, JournalRow, ListedRow, Publication, StateTable, Store, StoreError, StoreWriter, StoredEntity, migrate,
    mysql, schema, sqlite,
};
use crate::entity::ColumnValue;
use crate::query::{PAGE_MAX, Query};
use crate::reference::Key;
use crate::service::Migration;
use crate::time::Timestamp;

/// A SQLite file, a MariaDB server or a MySQL 8 server.
pub struct SqlStore {
    pub(super) server: Arc<Server>,
}

/// Reads an address: `sqlite:///path/to/file.db` or `mysql://user:password@host:port`, the latter with
/// `?ssl-mode=` (and `ssl-ca=`) if wanted. Connects only when it is used.
///
/// # Errors
/// [`StoreError::Refused`] when it is no such address. Neither errors nor logs show the password.
pub async fn open(url: &str) -> Result<Arc<SqlStore>, StoreError> {
    let (location, secret) = masked(url);
    let refused = |cause: String| {
        let cause = if secret.is_empty() { cause } else { cause.replace(&secret, "***") };
        StoreError::Refused { location: location.clone(), cause }
    };
    let address = if url.starts_with("sqlite:") {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(refused("a store must outlive its process".to_owned()));
        }
        let options = sqlite::options(url).map_err(refused)?;
        if let Some(folder) = options.get_filename().parent() {
            tokio::fs::create_dir_all(folder).await.map_err(|error| refused(error.to_string()))?;
        }
        Address::Sqlite(Box::new(options))
    } else if url.starts_with("mysql:") || url.starts_with("mariadb:") {
        Address::MySql(Box::new(mysql::options(url).map_err(refused)?))
    } else {
        return Err(refused("an address begins with sqlite:// or mysql://".to_owned()));
    };
    Ok(Arc::new(SqlStore { server: Arc::new(Server::new(location, address)) }))
}

impl SqlStore {
    pub(super) fn error(&self, fault: Fault) -> StoreError {
        self.server.error(fault)
    }

    async fn read_due(
        &self,
        table: &StateTable,
        shards: &[u32],
        until: Timestamp,
        after: Option<&Due>,
        limit: u32,
    ) -> Result<Vec<Due>, Fault> {
        let mut found = Vec::new();
        for shards in shards.chunks(SHARDS_PER_FILTER_MAX) {
            let shards = padded(shards);
            let sql = self.server.statements.due(table.kind, shards.len(), after.is_some())?;
            let mut values = vec![Value::Integer(until.0), Value::text("")];
            values.extend(shards.iter().map(|shard| Value::Integer(i64::from(*shard))));
            if let Some(Due { wake_at, key, .. }) = after {
                values.extend([Value::Integer(wake_at.0), Value::Integer(wake_at.0), Value::text(key.as_str())]);
            }
            values.push(Value::Integer(i64::from(limit)));
            for row in self.server.read(&sql, &values).await? {
                found.push(Due { shard: row.shard(0)?, key: key(&row, 1)?, wake_at: Timestamp(row.integer(2)?) });
            }
        }
        found.sort_by(|one, other| (one.wake_at, &one.key).cmp(&(other.wake_at, &other.key)));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn read_last_rows(&self, service: &str, shards: &[u32]) -> Result<Vec<JournalRow>, Fault> {
        let mut found = HashMap::new();
        for shards in shards.chunks(SHARDS_PER_LOOKUP_MAX) {
            let shards = padded(shards);
            let sql = self.server.statements.last_rows(service, shards.len())?;
            let values: Vec<_> = shards.iter().map(|shard| Value::Integer(i64::from(*shard))).collect();
            for row in self.server.read(&sql, &values).await? {
                let row = journal_row(&row)?;
                found.insert(row.shard, row);
            }
        }
        let mut rows: Vec<_> = found.into_values().collect();
        rows.sort_by_key(|row| row.shard);
        Ok(rows)
    }

    pub(super) fn list_statement<'a>(
        &self,
        table: &StateTable,
        query: &'a Query,
    ) -> Result<(Arc<str>, Vec<Value<'a>>), Fault> {
        let sql = self.server.statements.list(table, &query.equals, query.after.is_some())?;
        let mut values = vec![Value::text("")];
        let given = query.equals.iter().filter(|(_, value)| *value != ColumnValue::Null);
        values.extend(given.map(|(_, value)| column_value(value)));
        values.extend(query.after.iter().map(|key| Value::text(key.as_str())));
        values.push(Value::Integer(i64::from(query.limit.clamp(1, PAGE_MAX))));
        Ok((sql, values))
    }

    async fn read_list(&self, table: &StateTable, query: &Query) -> Result<Vec<ListedRow>, Fault> {
        let (sql, values) = self.list_statement(table, query)?;
        listed(&self.server.read(&sql, &values).await?)
    }

    async fn read_entity(&self, table: &StateTable, shard: u32, key: &Key) -> Result<Option<StoredEntity>, Fault> {
        let sql = self.server.statements.load(table.kind)?;
        let rows = self.server.read(&sql, &[Value::Integer(i64::from(shard)), Value::text(key.as_str())]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut entity = StoredEntity::default();
        let mut has_head = false;
        for row in &rows {
            let part = row.text(0)?;
            if part.is_empty() {
                has_head = true;
                entity.version = row.unsigned(1)?;
                entity.seq = row.unsigned(2)?;
                entity.head = row.bytes(3)?;
            } else {
                entity.parts.push((part, row.bytes(3)?));
            }
        }
        if !has_head {
            return Err(Fault::Refused(format!("{}/{key} has parts but no head", table.kind)));
        }
        entity.parts.sort();
        Ok(Some(entity))
    }

    async fn prune_rows(&self, service: &str, shard: u32, below_seq: u64, limit: u32) -> Result<u64, Fault> {
        let text = |template| self.server.statements.with_prefix(service, template);
        let shard = Value::Integer(i64::from(shard));
        let last = text("SELECT COALESCE(MAX(seq), 0) FROM {prefix}journal WHERE shard = ?")?;
        let rows = self.server.read(&last, &[shard]).await?;
        let last_seq = rows.first().map(|row| row.unsigned(0)).transpose()?.unwrap_or(0);
        let prunable =
            text("SELECT seq FROM {prefix}journal WHERE shard = ? AND seq < ? AND type <> ? ORDER BY seq LIMIT ?")?;
        let below = Value::unsigned(below_seq.min(last_seq));
        let values = [shard, below, Value::text(CLAIM), Value::Integer(i64::from(limit))];
        let rows = self.server.read(&prunable, &values).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(0) };
        // Rows never change, so these bounds hold just the rows that were found.
        let delete = text("DELETE FROM {prefix}journal WHERE shard = ? AND seq >= ? AND seq <= ? AND type <> ?")?;
        let values = [shard, Value::Integer(first.integer(0)?), Value::Integer(last.integer(0)?), Value::text(CLAIM)];
        let mut transaction = self.server.transaction().await?;
        let pruned = transaction.execute(&delete, &values).await?;
        transaction.commit().await?;
        Ok(pruned)
    }

    async fn read_publications(&self, service: &str, shards: &[u32]) -> Result<Vec<Publication>, Fault> {
        let mut found = Vec::new();
        for shards in shards.chunks(SHARDS_PER_FILTER_MAX) {
            let shards = padded(shards);
            let sql = self.server.statements.publications(service, shards.len())?;
            let values: Vec<_> = shards.iter().map(|shard| Value::Integer(i64::from(*shard))).collect();
            for row in self.server.read(&sql, &values).await? {
                found.push(Publication { shard: row.shard(0)?, seq: row.unsigned(1)?, published: row.unsigned(2)? });
            }
        }
        Ok(found)
    }

    async fn write_publications(&self, service: &str, publications: &[Publication]) -> Result<(), Fault> {
        let mut transaction = self.server.transaction().await?;
        for some in publications.chunks(ROWS_MAX) {
            // Repeating the last one up to a power of two changes nothing: a position only rises.
            let last = some.last().into_iter().cycle();
            let rows = some.len().next_power_of_two();
            let sql = self.server.statements.record_publications(service, rows)?;
            let rows = some.iter().chain(last).take(rows);
            let values: Vec<_> = rows
                .flat_map(|one| {
                    [Value::Integer(i64::from(one.shard)), Value::unsigned(one.seq), Value::unsigned(one.published)]
                })
                .collect();
            transaction.execute(&sql, &values).await?;
        }
        transaction.commit().await
    }

    async fn read_incarnation(&self, service: &str) -> Result<u64, Fault> {
        let sql = self.server.statements.with_prefix(service, INCARNATION)?;
        incarnation(&self.server.read(&sql, &[]).await?)
    }

    async fn write_incarnation(&self, service: &str, known: u64) -> Result<u64, Fault> {
        let highest = self.server.statements.dialect().highest();
        let raise =
            format!("UPDATE {{prefix}}incarnation SET incarnation = {highest}(incarnation, ?) + 1 WHERE id = 1");
        let raise = self.server.statements.with_prefix(service, &raise)?;
        let read = self.server.statements.with_prefix(service, INCARNATION)?;
        let mut transaction = self.server.transaction().await?;
        transaction.execute(&raise, &[Value::unsigned(known)]).await?;
        let raised = incarnation(&transaction.fetch(&read, &[]).await?)?;
        transaction.commit().await?;
        Ok(raised)
    }
}

#[async_trait]
impl Store for SqlStore {
    fn location(&self) -> &str {
        &self.server.location
    }

    fn renew_sessions(&self) {
        self.server.renew();
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.server.read(&Arc::from("SELECT 1"), &[]).await.map(drop).map_err(|fault| self.error(fault))
    }

    async fn migrate(&self, service: &str, migrations: &[Migration]) -> Result<(), StoreError> {
        migrate::migrate(&self.server, service, schema::SERVICE, migrations).await.map_err(|fault| self.error(fault))
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        let session = self.server.connect().await.map_err(|fault| self.error(fault))?;
        Ok(Box::new(SqlWriter::new(self.server.clone(), session)))
    }

    async fn load(&self, table: &StateTable, shard: u32, key: &Key) -> Result<Option<StoredEntity>, StoreError> {
        self.read_entity(table, shard, key).await.map_err(|fault| self.error(fault))
    }

    async fn last_rows(&self, service: &str, shards: &[u32]) -> Result<Vec<JournalRow>, StoreError> {
        self.read_last_rows(service, shards).await.map_err(|fault| self.error(fault))
    }

    async fn due(
        &self,
        table: &StateTable,
        shards: &[u32],
        until: Timestamp,
        after: Option<&Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.read_due(table, shards, until, after, limit).await.map_err(|fault| self.error(fault))
    }

    async fn list(&self, table: &StateTable, query: &Query) -> Result<Vec<ListedRow>, StoreError> {
        self.read_list(table, query).await.map_err(|fault| self.error(fault))
    }

    async fn journal(
        &self,
        service: &str,
        shard: u32,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let read = async {
            let sql = self.server.statements.journal(service)?;
            let values =
                [Value::Integer(i64::from(shard)), Value::unsigned(from_seq), Value::Integer(i64::from(limit))];
            self.server.read(&sql, &values).await?.iter().map(journal_row).collect::<Result<Vec<_>, _>>()
        };
        read.await.map_err(|fault| self.error(fault))
    }

    async fn entity_journal(
        &self,
        service: &str,
        shard: u32,
        entity: &str,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let read = async {
            let sql = self.server.statements.entity_journal(service)?;
            let values = [
                Value::Integer(i64::from(shard)),
                Value::text(entity),
                Value::unsigned(after_seq),
                Value::Integer(i64::from(limit)),
            ];
            self.server.read(&sql, &values).await?.iter().map(journal_row).collect::<Result<Vec<_>, _>>()
        };
        read.await.map_err(|fault| self.error(fault))
    }

    async fn prune(&self, service: &str, shard: u32, below_seq: u64, limit: u32) -> Result<u64, StoreError> {
        self.prune_rows(service, shard, below_seq, limit).await.map_err(|fault| self.error(fault))
    }

    async fn publications(&self, service: &str, shards: &[u32]) -> Result<Vec<Publication>, StoreError> {
        self.read_publications(service, shards).await.map_err(|fault| self.error(fault))
    }

    async fn record_publications(&self, service: &str, publications: &[Publication]) -> Result<(), StoreError> {
        self.write_publications(service, publications).await.map_err(|fault| self.error(fault))
    }

    async fn incarnation(&self, service: &str) -> Result<u64, StoreError> {
        self.read_incarnation(service).await.map_err(|fault| self.error(fault))
    }

    async fn raise_incarnation(&self, service: &str, known: u64) -> Result<u64, StoreError> {
        self.write_incarnation(service, known).await.map_err(|fault| self.error(fault))
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("location", &self.server.location).finish_non_exhaustive()
    }
}

const INCARNATION: &str = "SELECT incarnation FROM {prefix}incarnation WHERE id = 1";

fn incarnation(rows: &[Row]) -> Result<u64, Fault> {
    let row = rows.first().ok_or_else(|| Fault::Refused("the database has lost its incarnation".to_owned()))?;
    row.unsigned(0)
}

/// Rows of a list.
pub(super) fn listed(rows: &[Row]) -> Result<Vec<ListedRow>, Fault> {
    rows.iter().map(|row| Ok(ListedRow { key: key(row, 0)?, version: row.unsigned(1)?, head: row.bytes(2)? })).collect()
}

fn journal_row(row: &Row) -> Result<JournalRow, Fault> {
    Ok(JournalRow {
        shard: row.shard(0)?,
        seq: row.unsigned(1)?,
        epoch: row.unsigned(2)?,
        writer: row.text(3)?.into(),
        entity: row.text(4)?,
        entity_version: row.unsigned(5)?,
        previous_seq: row.unsigned(6)?,
        command_id: row.text(7)?,
        event_type: row.text(8)?,
        payload: row.bytes(9)?,
        occurred_at: Timestamp(row.integer(10)?),
        traceparent: row.text(11)?,
    })
}

fn key(row: &Row, index: usize) -> Result<Key, Fault> {
    Key::new(row.text(index)?).map_err(|error| Fault::Refused(error.to_string()))
}

/// Repeats the last shard up to a power of two, so that few statements have to be prepared.
pub(super) fn padded(shards: &[u32]) -> Vec<u32> {
    let mut padded = shards.to_vec();
    if let Some(last) = shards.last() {
        padded.resize(shards.len().next_power_of_two(), *last);
    }
    padded
}

/// The address with its password masked, and the password.
fn masked(url: &str) -> (String, String) {
    let Some(start) = url.find("://").map(|at| at + 3) else { return (url.to_owned(), String::new()) };
    let Some(end) = url.rfind('@').filter(|end| *end > start) else { return (url.to_owned(), String::new()) };
    match url[start..end].find(':').map(|at| start + at + 1) {
        Some(secret) => (format!("{}***{}", &url[..secret], &url[end..]), url[secret..end].to_owned()),
        None => (url.to_owned(), String::new()),
    }
}
