//! One session with a server, of either kind: bound values in, rows out, faults by class.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{MySqlConnection, Row as _, SqliteConnection};

use super::{mysql, sqlite};

/// A statement that has not answered by then is taken for lost, and its session is closed.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A bound parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Texts too are bound as bytes, so that every server compares them bytewise.
    Bytes(&'a [u8]),
    Integer(i64),
    Null,
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }

    /// Sequence numbers, versions and epochs; those that come from a batch have been checked to fit.
    pub(super) fn unsigned(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Why a statement failed, in the classes that callers act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The session is gone or can't be trusted any more; what was under way may or may not have happened.
    Lost(String),
    /// The server can't serve just now; the statement did nothing.
    Unavailable(String),
    /// Deadlock, lock wait or a busy file; the statement did nothing.
    Again(String),
    /// A row with this unique key is there already.
    Duplicate(String),
    /// The table, column, index or database is there already.
    Exists(String),
    /// Anything else.
    Refused(String),
}

impl Fault {
    pub(super) fn cause(self) -> String {
        match self {
            Self::Lost(cause)
            | Self::Unavailable(cause)
            | Self::Again(cause)
            | Self::Duplicate(cause)
            | Self::Exists(cause)
            | Self::Refused(cause) => cause,
        }
    }
}

/// A session. Whoever drops it closes it, and the server rolls back what was open.
pub(super) enum Session {
    MySql(Box<MySqlConnection>),
    Sqlite(Box<SqliteConnection>),
}

impl Session {
    /// Begins a transaction that is going to write.
    pub(super) async fn begin(&mut self) -> Result<(), Fault> {
        match self {
            Self::MySql(_) => self.command("START TRANSACTION").await,
            Self::Sqlite(_) => self.command("BEGIN IMMEDIATE").await,
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), Fault> {
        self.command("COMMIT").await
    }

    pub(super) async fn rollback(&mut self) -> Result<(), Fault> {
        self.command("ROLLBACK").await
    }

    /// Runs a statement without values, unprepared.
    async fn command(&mut self, sql: &'static str) -> Result<(), Fault> {
        self.run_text(sql, ANSWER_TIMEOUT).await
    }

    /// Runs a statement of a schema, unprepared, with a bound of its own.
    pub(super) async fn run_text(&mut self, sql: &str, bound: Duration) -> Result<(), Fault> {
        within(bound, async {
            match self {
                Self::MySql(connection) => mysql::run_text(connection, sql).await,
                Self::Sqlite(connection) => sqlite::run_text(connection, sql).await,
            }
        })
        .await
    }

    /// Runs a prepared statement; returns how many rows it matched.
    pub(super) async fn execute(&mut self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<u64, Fault> {
        within(ANSWER_TIMEOUT, async {
            match self {
                Self::MySql(connection) => mysql::execute(connection, sql, values).await,
                Self::Sqlite(connection) => sqlite::execute(connection, sql, values).await,
            }
        })
        .await
    }

    /// Runs a prepared query; returns all of its rows.
    pub(super) async fn fetch(&mut self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        within(ANSWER_TIMEOUT, async {
            match self {
                Self::MySql(connection) => {
                    Ok(mysql::fetch(connection, sql, values).await?.into_iter().map(Row::MySql).collect())
                }
                Self::Sqlite(connection) => {
                    Ok(sqlite::fetch(connection, sql, values).await?.into_iter().map(Row::Sqlite).collect())
                }
            }
        })
        .await
    }
}

/// An unanswered statement leaves the session in an unknown state.
async fn within<T>(bound: Duration, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(bound, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::Lost(format!("no answer within {} ms", bound.as_millis()))),
    }
}

/// A row of a result.
pub(super) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

impl Row {
    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>, Fault> {
        match self {
            Self::MySql(row) => row.try_get::<Vec<u8>, _>(index),
            Self::Sqlite(row) => row.try_get::<Vec<u8>, _>(index),
        }
        .map_err(|error| Fault::Refused(format!("column {index}: {error}")))
    }

    pub(super) fn text(&self, index: usize) -> Result<String, Fault> {
        String::from_utf8(self.bytes(index)?).map_err(|error| Fault::Refused(format!("column {index}: {error}")))
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64, Fault> {
        match self {
            Self::MySql(row) => row.try_get::<i64, _>(index),
            Self::Sqlite(row) => row.try_get::<i64, _>(index),
        }
        .map_err(|error| Fault::Refused(format!("column {index}: {error}")))
    }

    pub(super) fn optional_bytes(&self, index: usize) -> Result<Option<Vec<u8>>, Fault> {
        match self {
            Self::MySql(row) => row.try_get::<Option<Vec<u8>>, _>(index),
            Self::Sqlite(row) => row.try_get::<Option<Vec<u8>>, _>(index),
        }
        .map_err(|error| Fault::Refused(format!("column {index}: {error}")))
    }

    pub(super) fn optional_integer(&self, index: usize) -> Result<Option<i64>, Fault> {
        match self {
            Self::MySql(row) => row.try_get::<Option<i64>, _>(index),
            Self::Sqlite(row) => row.try_get::<Option<i64>, _>(index),
        }
        .map_err(|error| Fault::Refused(format!("column {index}: {error}")))
    }

    /// Whatever it is, as it came: enough to compare two of one type. Nothing is empty.
    pub(super) fn raw(&self, index: usize) -> Result<Vec<u8>, Fault> {
        match self {
            Self::MySql(row) => row.try_get_unchecked::<Option<Vec<u8>>, _>(index),
            Self::Sqlite(row) => row.try_get_unchecked::<Option<Vec<u8>>, _>(index),
        }
        .map(Option::unwrap_or_default)
        .map_err(|error| Fault::Refused(format!("column {index}: {error}")))
    }

    pub(super) fn unsigned(&self, index: usize) -> Result<u64, Fault> {
        let number = self.integer(index)?;
        u64::try_from(number).map_err(|_| Fault::Refused(format!("column {index}: {number} is negative")))
    }

    pub(super) fn shard(&self, index: usize) -> Result<u32, Fault> {
        let number = self.integer(index)?;
        u32::try_from(number).map_err(|_| Fault::Refused(format!("column {index}: {number} is no shard")))
    }
}
