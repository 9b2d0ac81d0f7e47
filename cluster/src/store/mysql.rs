//! The driver for MariaDB and MySQL 8.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlRow};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions, Executor as _, MySqlConnection};

use super::session::{Fault, Value};

/// The server closes a session that has been silent for so long. A frozen owner's open transaction stands
/// in the way of its successor for no longer than this; an idle writer merely connects anew.
pub const SESSION_IDLE_SECONDS: u32 = 5;

/// A statement waits so long for a row, or for a table that is being altered, before it is sent again.
pub const LOCK_WAIT_SECONDS: u32 = 1;

/// Prepared statements that one session keeps. All sessions of all nodes together must stay under the
/// server's `max_prepared_stmt_count`.
const PREPARED_STATEMENTS_MAX: usize = 256;

/// A connection that is not there by then is not to be had.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads an address; refuses one that names a database, since every service has its own.
pub(super) fn options(url: &str) -> Result<MySqlConnectOptions, String> {
    let options = MySqlConnectOptions::from_str(url).map_err(|error| error.to_string())?;
    if options.get_database().is_some() {
        return Err("the address names a database, but every service has its own".to_owned());
    }
    Ok(options
        .statement_cache_capacity(PREPARED_STATEMENTS_MAX)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .disable_statement_logging())
}

/// Connects and sets the session up.
pub(super) async fn connect(options: &MySqlConnectOptions) -> Result<MySqlConnection, Fault> {
    let attempt = async {
        let mut connection = options.connect().await.map_err(|error| connect_fault(&error))?;
        // Safe updates make MariaDB look keys up however small the table is; read whole, it would have
        // rows that other transactions have locked.
        let session = format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
             default_storage_engine = InnoDB, autocommit = 1, sql_safe_updates = 1, \
             innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}, lock_wait_timeout = {LOCK_WAIT_SECONDS}, \
             wait_timeout = {SESSION_IDLE_SECONDS}, net_read_timeout = {SESSION_IDLE_SECONDS}, \
             net_write_timeout = {SESSION_IDLE_SECONDS}"
        );
        run_text(&mut connection, &session).await?;
        run_text(&mut connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        Ok(connection)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::Unavailable(format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis()))),
    }
}

/// Runs one statement by the text protocol.
pub(super) async fn run_text(connection: &mut MySqlConnection, sql: &str) -> Result<(), Fault> {
    connection.execute(AssertSqlSafe(sql)).await.map(|_| ()).map_err(|error| fault(&error))
}

/// Runs a prepared statement.
pub(super) async fn execute(
    connection: &mut MySqlConnection,
    sql: &Arc<str>,
    values: &[Value<'_>],
) -> Result<u64, Fault> {
    let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(values)?);
    query.execute(connection).await.map(|done| done.rows_affected()).map_err(|error| fault(&error))
}

/// Runs a prepared query.
pub(super) async fn fetch(
    connection: &mut MySqlConnection,
    sql: &Arc<str>,
    values: &[Value<'_>],
) -> Result<Vec<MySqlRow>, Fault> {
    let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(values)?);
    query.fetch_all(connection).await.map_err(|error| fault(&error))
}

fn arguments(values: &[Value<'_>]) -> Result<MySqlArguments, Fault> {
    let mut arguments = MySqlArguments::default();
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

/// A server that can't be reached while connecting has done nothing. One that can't be trusted is not tried again.
fn connect_fault(error: &sqlx::Error) -> Fault {
    let is_about_tls = match error {
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => true,
        // What the TLS library finds wrong comes as this.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    };
    match fault(error) {
        Fault::Lost(cause) | Fault::Again(cause) | Fault::Refused(cause) if is_about_tls => {
            Fault::Refused(format!("{cause}; check ssl-ca and ssl-mode in the address, and the server's certificate"))
        }
        Fault::Lost(cause) | Fault::Again(cause) => Fault::Unavailable(cause),
        other => other,
    }
}

/// Error numbers as in MySQL's and MariaDB's error references.
pub(super) fn fault(error: &sqlx::Error) -> Fault {
    let cause = error.to_string();
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Encode(_) | sqlx::Error::Configuration(_) => Fault::Refused(cause),
            _ => Fault::Lost(cause),
        };
    };
    let Some(answer) = database.try_downcast_ref::<MySqlDatabaseError>() else {
        return Fault::Refused(cause);
    };
    match answer.number() {
        // Duplicate entry.
        1062 | 1586 => Fault::Duplicate(cause),
        // Lock wait, deadlock, record changed since last read, too many prepared statements.
        1205 | 1213 | 1020 | 1461 => Fault::Again(cause),
        // Shutdown, out of sync or aborted connection, broken packets, killed, idle for too long.
        1053 | 1152 | 1153 | 1156..=1161 | 1184 | 1927 | 4031 => Fault::Lost(cause),
        // Too many connections, read-only server or transaction, node not ready for use (Galera).
        1040 | 1203 | 1226 | 1290 | 1792 | 1836 | 1047 => Fault::Unavailable(cause),
        // Database, table, column or index is there; nothing to drop.
        1007 | 1050 | 1060 | 1061 | 1091 => Fault::Exists(cause),
        number => match advice(number) {
            Some(advice) => Fault::Refused(format!("{cause}; {advice}")),
            None => Fault::Refused(cause),
        },
    }
}

/// What an operator does about a refusal.
fn advice(number: u16) -> Option<&'static str> {
    match number {
        // Access denied, for the user at all.
        1045 | 1698 => Some("check user and password in the address, or databases.password"),
        // For the database, a table, an operation.
        1044 | 1142 | 1227 => Some("as an administrator there: GRANT ALL ON `nakku\\_%`.* TO that user"),
        1049 => Some("run nakku migrate, or create it"),
        3159 => Some("the server wants TLS: add ?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE to the address"),
        // The disk is full, in the server's words and the engine's.
        1021 | 1114 => Some("the server's disk is full; free some space there"),
        _ => None,
    }
}
