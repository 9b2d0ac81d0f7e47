//! The driver for SQLite: one file, shared by several local processes.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteError, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions, Executor as _, SqliteConnection};

use super::session::{Fault, Value};

/// How long a statement waits for another process that holds the file's write lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The busy timeout does not cover the switch to write-ahead logging, which happens once in a file's life.
const CONNECT_ATTEMPTS_MAX: u32 = 20;
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

const PREPARED_STATEMENTS_MAX: usize = 256;

/// Reads an address.
pub(super) fn options(url: &str) -> Result<SqliteConnectOptions, String> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| error.to_string())?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(PREPARED_STATEMENTS_MAX)
        .disable_statement_logging())
}

/// Opens the file.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, Fault> {
    let mut attempt = 1;
    loop {
        match options.connect().await.map_err(|error| fault(&error)) {
            Ok(connection) => return Ok(connection),
            Err(Fault::Again(_)) if attempt < CONNECT_ATTEMPTS_MAX => attempt += 1,
            Err(Fault::Again(cause) | Fault::Lost(cause)) => return Err(Fault::Unavailable(cause)),
            Err(other) => return Err(other),
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
}

/// Runs one statement unprepared.
pub(super) async fn run_text(connection: &mut SqliteConnection, sql: &str) -> Result<(), Fault> {
    connection.execute(AssertSqlSafe(sql)).await.map(|_| ()).map_err(|error| fault(&error))
}

/// Runs a prepared statement.
pub(super) async fn execute(
    connection: &mut SqliteConnection,
    sql: &Arc<str>,
    values: &[Value<'_>],
) -> Result<u64, Fault> {
    let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(values)?);
    query.execute(connection).await.map(|done| done.rows_affected()).map_err(|error| fault(&error))
}

/// Runs a prepared query.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    sql: &Arc<str>,
    values: &[Value<'_>],
) -> Result<Vec<SqliteRow>, Fault> {
    let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(values)?);
    query.fetch_all(connection).await.map_err(|error| fault(&error))
}

fn arguments(values: &[Value<'_>]) -> Result<SqliteArguments, Fault> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Bytes(bytes) => arguments.add(*bytes),
            Value::Integer(number) => arguments.add(*number),
            Value::Null => arguments.add(Option::<i64>::None),
        }
        .map_err(|error| Fault::Refused(error.to_string()))?;
    }
    Ok(arguments)
}

/// Result codes as in <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
pub(super) fn fault(error: &sqlx::Error) -> Fault {
    let cause = error.to_string();
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Encode(_) | sqlx::Error::Configuration(_) => Fault::Refused(cause),
            _ => Fault::Lost(cause),
        };
    };
    let Some(answer) = database.try_downcast_ref::<SqliteError>() else {
        return Fault::Refused(cause);
    };
    let code = sqlx::error::DatabaseError::code(answer).and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
    match (code, code & 0xFF) {
        // A primary key or a unique index.
        (1555 | 2067, _) => Fault::Duplicate(cause),
        // Busy, locked.
        (_, 5 | 6) => Fault::Again(cause),
        (_, 1) if cause.contains("already exists") || cause.contains("duplicate column name") => Fault::Exists(cause),
        (_, 13) => Fault::Refused(format!("{cause}; free some space where the file is")),
        (_, 8 | 14) => Fault::Refused(format!("{cause}; check that its folder is there and may be written to")),
        _ => Fault::Refused(cause),
    }
}
