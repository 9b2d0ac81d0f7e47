//! Rows back into tables, and tables emptied.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::read::layouts_in;
use super::{Cell, SnapshotError, Table, fault_at};
use crate::store::schema::{self, Kept};
use crate::store::session::{Fault, Value};
use crate::store::sql::SqlStore;
use crate::store::statements::{Dialect, identifier};

/// Rows that one statement writes at most.
const ROWS_MAX: usize = 256;
/// Bytes of rows that are gathered before they are written, if there are not enough rows before.
const BYTES_MAX: usize = 1024 * 1024;
/// Emptying a large table takes a while.
const CLEAR_PATIENCE: Duration = Duration::from_secs(600);

/// What is in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Its tables.
    pub tables: Vec<Table>,
    /// The first of them that has rows.
    pub filled: Option<String>,
}

/// The tables of a database, and whether there is anything in them; only what is kept for good counts.
///
/// # Errors
/// Those of the server.
pub async fn layouts(store: &SqlStore, database: &str) -> Result<Contents, SnapshotError> {
    let server = &store.server;
    let at = |fault| fault_at(&server.location, fault);
    let mut session = server.connect().await.map_err(at)?;
    let found = layouts_in(&mut session, &server.statements, database).await.map_err(at)?;
    let tables: Vec<Table> = found.into_iter().map(|found| found.known(&server.location)).collect::<Result<_, _>>()?;
    let prefix = server.statements.prefix(database).map_err(at)?;
    let mut filled = None;
    for table in tables.iter().filter(|table| schema::kept(database, &table.name) == Kept::ForGood) {
        let look = format!("SELECT 1 FROM {prefix}{} LIMIT 1", identifier(&table.name).map_err(at)?);
        if !session.fetch(&look.into(), &[]).await.map_err(at)?.is_empty() {
            filled = Some(table.name.clone());
            break;
        }
    }
    Ok(Contents { tables, filled })
}

/// Empties every table of a database but those that the schema fills.
///
/// # Errors
/// Those of the server.
pub async fn clear(store: &SqlStore, database: &str) -> Result<(), SnapshotError> {
    let server = &store.server;
    let at = |fault| fault_at(&server.location, fault);
    let tables = layouts(store, database).await?.tables;
    let prefix = server.statements.prefix(database).map_err(at)?;
    let mut transaction = server.transaction().await.map_err(at)?;
    for table in tables.iter().filter(|table| schema::kept(database, &table.name) != Kept::WithTheDatabase) {
        let name = identifier(&table.name).map_err(at)?;
        let empty = match server.statements.dialect() {
            Dialect::MySql => format!("TRUNCATE TABLE {prefix}{name}"),
            Dialect::Sqlite => format!("DELETE FROM {prefix}{name}"),
        };
        transaction.session().run_text(&empty, CLEAR_PATIENCE).await.map_err(at)?;
    }
    transaction.commit().await.map_err(at)
}

/// Puts rows into one table.
pub struct Filler {
    store: Arc<SqlStore>,
    database: String,
    table: Table,
    rows: Vec<Vec<Cell>>,
    bytes: usize,
    written: u64,
}

impl Filler {
    /// Of a table whose columns are among those of the one that is there.
    pub fn new(store: Arc<SqlStore>, database: impl Into<String>, table: Table) -> Self {
        Self { store, database: database.into(), table, rows: Vec::new(), bytes: 0, written: 0 }
    }

    /// Takes a row; writes what has gathered when it is enough.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn put(&mut self, row: Vec<Cell>) -> Result<(), SnapshotError> {
        self.bytes += row.iter().map(|cell| if let Cell::Bytes(bytes) = cell { bytes.len() } else { 8 }).sum::<usize>();
        self.rows.push(row);
        if self.rows.len() >= ROWS_MAX || self.bytes >= BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    /// Writes the rest; returns how many rows it has written in all.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn finish(mut self) -> Result<u64, SnapshotError> {
        self.flush().await?;
        Ok(self.written)
    }

    async fn flush(&mut self) -> Result<(), SnapshotError> {
        self.write().await.map_err(|fault| fault_at(&self.store.server.location, fault))?;
        self.written += u64::try_from(self.rows.len()).unwrap_or(0);
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }

    async fn write(&self) -> Result<(), Fault> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let server = &self.store.server;
        let names: Result<Vec<String>, Fault> =
            self.table.columns.iter().map(|column| Ok(format!("`{}`", identifier(&column.name)?))).collect();
        let insert = format!(
            "INSERT INTO {}{} ({}) VALUES ",
            server.statements.prefix(&self.database)?,
            identifier(&self.table.name)?,
            names?.join(", ")
        );
        let tuple = format!("({})", vec!["?"; self.table.columns.len()].join(", "));
        let mut transaction = server.transaction().await?;
        let mut rest = self.rows.as_slice();
        while !rest.is_empty() {
            // In powers of two, so that few statements have to be prepared.
            let (rows, others) = rest.split_at(1 << rest.len().ilog2());
            let sql: Arc<str> = format!("{insert}{}", vec![tuple.as_str(); rows.len()].join(", ")).into();
            let values: Vec<Value<'_>> = rows.iter().flatten().map(value).collect();
            transaction.execute(&sql, &values).await?;
            rest = others;
        }
        transaction.commit().await
    }
}

fn value(cell: &Cell) -> Value<'_> {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Bytes(bytes) => Value::Bytes(bytes),
    }
}

impl fmt::Debug for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filler")
            .field("database", &self.database)
            .field("table", &self.table.name)
            .finish_non_exhaustive()
    }
}
