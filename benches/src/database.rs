//! The database server: the one that was given, or a throw-away MariaDB with its default durability.

use std::path::Path;

use sqlx::{Connection as _, MySqlConnection};

use crate::error::BenchError;
use crate::throw_away::{ThrowAway, Wanted};

/// A database server for one run.
#[derive(Debug)]
pub struct Database {
    /// `mysql://…` without a database.
    pub url: String,
    /// Its process, where it was started here.
    pub pid: Option<u32>,
    /// It ends with it.
    _server: Option<ThrowAway>,
}

impl Database {
    /// The given server, the one that the script for servers has started around this program, or one of its own.
    ///
    /// # Errors
    /// When none can be started.
    pub async fn open(url: Option<&str>) -> Result<Self, BenchError> {
        let around = std::env::var("NAKKU_TEST_MARIADB_URL").ok();
        let pid = || {
            let folder = std::env::var("NAKKU_TEST_MARIADB_DIR").ok()?;
            std::fs::read_to_string(Path::new(&folder).join("pid")).ok()?.trim().parse().ok()
        };
        match url.or(around.as_deref()) {
            Some(of_it) => {
                let pid = if url.is_none() { pid() } else { None };
                let database = Self { url: of_it.to_owned(), pid, _server: None };
                let there = database.own().await?;
                if there.is_empty() {
                    return Ok(database);
                }
                let there = there.join(", ");
                Err(BenchError::Usage(format!("a benchmark needs a server for itself, and this one holds {there}")))
            }
            None => Self::start().await,
        }
    }

    /// Removes what the scenario has written; none of it was there before.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn clear(&self) -> Result<(), BenchError> {
        let mut connection = self.connect().await?;
        for name in self.own().await? {
            sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE `{name}`"))).execute(&mut connection).await?;
        }
        Ok(())
    }

    /// The databases that nodes use.
    async fn own(&self) -> Result<Vec<String>, BenchError> {
        let sql =
            "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata WHERE schema_name LIKE 'nakku\\_%'";
        Ok(sqlx::query_scalar(sql).fetch_all(&mut self.connect().await?).await?)
    }

    async fn start() -> Result<Self, BenchError> {
        let server = ThrowAway::start(Wanted {
            server: "mariadb",
            what: "a throw-away MariaDB",
            instead: "--database URL",
            tell: "$(cat \"$NAKKU_TEST_MARIADB_DIR/pid\")",
        });
        let server = server.await?;
        Ok(Self { url: server.url.clone(), pid: server.rest.parse().ok(), _server: Some(server) })
    }

    /// A session of the driver alone, as the baselines use it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> Result<MySqlConnection, BenchError> {
        Ok(MySqlConnection::connect(&self.url).await?)
    }

    /// What the server says it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn versions(&self) -> Result<Vec<(String, String)>, BenchError> {
        let mut connection = self.connect().await?;
        let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
        let flush: i64 = sqlx::query_scalar("SELECT CAST(@@innodb_flush_log_at_trx_commit AS SIGNED)")
            .fetch_one(&mut connection)
            .await?;
        Ok(vec![("database".into(), format!("{version} (flush at commit {flush})"))])
    }
}
