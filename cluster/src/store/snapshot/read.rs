//! Tables and their rows, streamed.

use std::fmt;
use std::io;
use std::time::Duration;

use futures::{Stream, TryStreamExt};
use sqlx::AssertSqlSafe;

use super::barrier::Wanted;
use super::{Cell, CellKind, SnapshotError, Table, TableColumn, fault_at};
use crate::store::session::{Fault, Row, Session, Value};
use crate::store::statements::{Dialect, Statements, identifier};
use crate::store::{mysql, sqlite};

/// A server that sends no row for so long is taken for lost.
const ROW_PATIENCE: Duration = Duration::from_secs(60);

/// One server as of a moment.
pub struct Snapshot {
    wanted: Wanted,
    session: Session,
}

/// The newest migrations that a database has had; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaVersions {
    /// Of the store's own tables.
    pub store: u32,
    /// Of the service's.
    pub service: u32,
}

impl Snapshot {
    pub(super) fn new(wanted: Wanted, session: Session) -> Self {
        Self { wanted, session }
    }

    /// Where it is, without secrets.
    pub fn location(&self) -> &str {
        &self.wanted.store.server.location
    }

    /// The databases that were wanted.
    pub fn databases(&self) -> &[String] {
        &self.wanted.databases
    }

    /// The tables of a database by name; none when it is not there.
    ///
    /// # Errors
    /// [`SnapshotError::Column`] for one that no migration of this version makes.
    pub async fn tables(&mut self, database: &str) -> Result<Vec<Table>, SnapshotError> {
        let server = &self.wanted.store.server;
        let found = layouts_in(&mut self.session, &server.statements, database).await;
        found
            .map_err(|fault| fault_at(&server.location, fault))?
            .into_iter()
            .map(|found| found.known(&server.location))
            .collect()
    }

    /// Hands over every row of a table; returns how many there were. One is in memory at a time.
    ///
    /// # Errors
    /// Those of the server, and of whoever takes the rows.
    pub async fn rows(
        &mut self,
        database: &str,
        table: &Table,
        mut each: impl FnMut(&[Cell]) -> io::Result<()>,
    ) -> Result<u64, SnapshotError> {
        let server = &self.wanted.store.server;
        let at = |fault| fault_at(&server.location, fault);
        let names: Result<Vec<String>, Fault> =
            table.columns.iter().map(|column| Ok(format!("`{}`", identifier(&column.name)?))).collect();
        let prefix = server.statements.prefix(database).map_err(at)?;
        let name = identifier(&table.name).map_err(at)?;
        let sql = AssertSqlSafe(format!("SELECT {} FROM {prefix}{name}", names.map_err(at)?.join(", ")));
        let count = match &mut self.session {
            Session::MySql(connection) => {
                let rows = sqlx::query(sql).fetch(&mut **connection).map_err(|error| mysql::fault(&error));
                hand_over(rows.map_ok(Row::MySql), table, &mut each).await
            }
            Session::Sqlite(connection) => {
                let rows = sqlx::query(sql).fetch(&mut **connection).map_err(|error| sqlite::fault(&error));
                hand_over(rows.map_ok(Row::Sqlite), table, &mut each).await
            }
        };
        match count {
            Ok(count) => Ok(count),
            Err(Stopped::Fault(fault)) => Err(at(fault)),
            Err(Stopped::Sink(error)) => Err(SnapshotError::Sink(error)),
        }
    }

    /// What a service's database says of itself; nothing when it is not there.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn incarnation(&mut self, service: &str) -> Result<Option<u64>, SnapshotError> {
        let rows =
            self.small(service, "incarnation", "SELECT incarnation FROM {prefix}incarnation WHERE id = 1").await?;
        let numbers: Result<Vec<u64>, Fault> = rows.iter().map(|row| row.unsigned(0)).collect();
        Ok(numbers.map_err(|fault| fault_at(self.location(), fault))?.first().copied())
    }

    /// The document with which the cluster was founded; nothing when there is none.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn topology(&mut self) -> Result<Option<Vec<u8>>, SnapshotError> {
        let rows = self.small("cluster", "topology", "SELECT content FROM {prefix}topology WHERE id = 1").await?;
        let documents: Result<Vec<Vec<u8>>, Fault> = rows.iter().map(|row| row.bytes(0)).collect();
        Ok(documents.map_err(|fault| fault_at(self.location(), fault))?.pop())
    }

    /// Which migrations a database has had.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn schema_versions(&mut self, database: &str) -> Result<SchemaVersions, SnapshotError> {
        let newest = "SELECT origin, MAX(version) FROM {prefix}migration GROUP BY origin";
        let mut versions = SchemaVersions::default();
        for row in self.small(database, "migration", newest).await? {
            let read = || -> Result<(String, u32), Fault> { Ok((row.text(0)?, row.shard(1)?)) };
            let (origin, version) = read().map_err(|fault| fault_at(self.location(), fault))?;
            if origin == "store" { versions.store = version } else { versions.service = version }
        }
        Ok(versions)
    }

    /// The rows of a small query over a table; none when there is no such table.
    async fn small(&mut self, database: &str, table: &str, template: &str) -> Result<Vec<Row>, SnapshotError> {
        if self.tables(database).await?.iter().all(|one| one.name != table) {
            return Ok(Vec::new());
        }
        let server = &self.wanted.store.server;
        let at = |fault| fault_at(&server.location, fault);
        let sql = server.statements.with_prefix(database, template).map_err(at)?;
        self.session.fetch(&sql, &[]).await.map_err(at)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// A table as a server describes it.
pub(super) struct Found {
    pub(super) name: String,
    /// Name and type, in their order.
    columns: Vec<(String, String)>,
}

impl Found {
    pub(super) fn known(self, location: &str) -> Result<Table, SnapshotError> {
        let columns = self.columns.into_iter().map(|(name, found)| match kind_of(&found) {
            Some(kind) => Ok(TableColumn { name, kind }),
            None => Err(SnapshotError::Column {
                location: location.to_owned(),
                table: self.name.clone(),
                column: name,
                found,
            }),
        });
        Ok(Table { columns: columns.collect::<Result<_, _>>()?, name: self.name })
    }
}

/// The tables of a database as its server describes them, by name.
pub(super) async fn layouts_in(
    session: &mut Session,
    statements: &Statements,
    database: &str,
) -> Result<Vec<Found>, Fault> {
    let database = identifier(database)?;
    let rows = match statements.dialect() {
        Dialect::MySql => {
            let sql = "SELECT CAST(table_name AS BINARY), CAST(column_name AS BINARY), CAST(data_type AS BINARY) \
                       FROM information_schema.columns WHERE table_schema = ? ORDER BY table_name, ordinal_position";
            session.fetch(&sql.into(), &[Value::text(&format!("nakku_{database}"))]).await?
        }
        Dialect::Sqlite => {
            let prefix = statements.prefix(database)?;
            let sql = format!(
                "SELECT CAST(substr(t.name, {}) AS BLOB), CAST(c.name AS BLOB), CAST(lower(c.type) AS BLOB) \
                 FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                 WHERE t.type = 'table' AND t.name GLOB '{prefix}*' ORDER BY t.name, c.cid",
                prefix.len() + 1
            );
            session.fetch(&sql.into(), &[]).await?
        }
    };
    let mut tables: Vec<Found> = Vec::new();
    for row in rows {
        let (table, column) = (row.text(0)?, (row.text(1)?, row.text(2)?));
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Found { name: table, columns: vec![column] }),
        }
    }
    Ok(tables)
}

fn kind_of(found: &str) -> Option<CellKind> {
    match found.split('(').next().unwrap_or_default() {
        "int" | "integer" | "bigint" => Some(CellKind::Integer),
        "varbinary" | "longblob" => Some(CellKind::Bytes),
        _ => None,
    }
}

enum Stopped {
    Fault(Fault),
    Sink(io::Error),
}

async fn hand_over(
    rows: impl Stream<Item = Result<Row, Fault>>,
    table: &Table,
    each: &mut impl FnMut(&[Cell]) -> io::Result<()>,
) -> Result<u64, Stopped> {
    let mut rows = std::pin::pin!(rows);
    let mut cells = Vec::with_capacity(table.columns.len());
    let mut count = 0;
    loop {
        let next = tokio::time::timeout(ROW_PATIENCE, rows.try_next()).await;
        let next = next.unwrap_or_else(|_| Err(Fault::Lost(format!("no row within {} s", ROW_PATIENCE.as_secs()))));
        let Some(row) = next.map_err(Stopped::Fault)? else { return Ok(count) };
        cells.clear();
        for (index, column) in table.columns.iter().enumerate() {
            let cell = match column.kind {
                CellKind::Integer => row.optional_integer(index).map(|value| value.map(Cell::Integer)),
                CellKind::Bytes => row.optional_bytes(index).map(|value| value.map(Cell::Bytes)),
            };
            cells.push(cell.map_err(Stopped::Fault)?.unwrap_or(Cell::Null));
        }
        each(&cells).map_err(Stopped::Sink)?;
        count += 1;
    }
}
