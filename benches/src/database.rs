//! The database server: the one that was given, or a throw-away MariaDB with its default durability.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sqlx::{Connection as _, MySqlConnection};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::error::BenchError;

/// A database server for one run.
#[derive(Debug)]
pub struct Database {
    /// `mysql://…` without a database.
    pub url: String,
    /// Its process, where it was started here.
    pub pid: Option<u32>,
    /// Holds the pipe whose end stops the server, however this process ends.
    _script: Option<Child>,
}

/// Where the repository's script for servers is, seen from its root.
pub(crate) const SCRIPT: &str = "deploy/servers/run";

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
                let database = Self { url: of_it.to_owned(), pid, _script: None };
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

    /// The script runs `cat` as its command: that ends, and the server with it, when this process has
    /// closed the pipe, which the kernel does for whatever reason the process ends.
    async fn start() -> Result<Self, BenchError> {
        let what = "a throw-away MariaDB";
        let script = script().ok_or_else(|| {
            BenchError::failed(what, format!("found no {SCRIPT}; run this in the repository, or give --database URL"))
        })?;
        let mut child = Command::new(script)
            .args(["with", "mariadb", "--", "sh", "-c"])
            .arg("echo \"$NAKKU_TEST_MARIADB_URL $(cat \"$NAKKU_TEST_MARIADB_DIR/pid\")\"; exec cat >/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or_else(|| BenchError::failed(what, "no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        let Some((url, pid)) = line.trim().split_once(' ') else {
            return Err(BenchError::failed(what, format!("did not start; try: {SCRIPT} install")));
        };
        Ok(Self { url: url.to_owned(), pid: pid.parse().ok(), _script: Some(child) })
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

/// Looked for above the working folder, the program and the sources.
pub(crate) fn script() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let starts = [std::env::current_dir().ok(), program, Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")))];
    let mut scripts =
        starts.iter().flatten().flat_map(|start| start.ancestors()).map(|folder: &Path| folder.join(SCRIPT));
    scripts.find(|script| script.exists())
}
