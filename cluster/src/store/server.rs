//! One database server: its address, its SQL, and a small pool of sessions for reads and housekeeping.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::session::{Fault, Row, Session, Value};
use super::statements::{Dialect, Statements};
use super::turn::{Turn, Turns};
use super::{StoreError, mysql, sqlite};

/// Sessions for reads and housekeeping, beside those of the writers.
pub const POOL_SESSIONS_MAX: usize = 8;

/// More of them for what the cluster agrees on: leases and views must not wait behind reads of services, least of all
/// when shards have just moved and their entities are loaded.
pub const AGREEMENT_SESSIONS_MAX: usize = 2;

/// Whoever has waited so long for a session of the pool, or for a turn to write, is refused.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a server is and how to log in.
pub(super) enum Address {
    MySql(Box<MySqlConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

/// See the module.
pub(super) struct Server {
    pub(super) location: String,
    pub(super) statements: Statements,
    address: Address,
    /// In SQLite one writes at a time.
    turns: Option<Turns>,
    permits: Semaphore,
    agreement_permits: Semaphore,
    idle: Mutex<Idle>,
}

/// Sessions of the pool that nobody uses just now.
#[derive(Default)]
struct Idle {
    /// Raised when those that are in use must not come back either.
    generation: u64,
    sessions: Vec<Session>,
}

impl Server {
    pub(super) fn new(location: String, address: Address) -> Self {
        let (dialect, turns) = match &address {
            Address::MySql(_) => (Dialect::MySql, None),
            Address::Sqlite(options) => (Dialect::Sqlite, Some(Turns::new(options.get_filename()))),
        };
        Self {
            location,
            statements: Statements::new(dialect),
            address,
            turns,
            permits: Semaphore::new(POOL_SESSIONS_MAX),
            agreement_permits: Semaphore::new(AGREEMENT_SESSIONS_MAX),
            idle: Mutex::default(),
        }
    }

    /// Opens a session.
    pub(super) async fn connect(&self) -> Result<Session, Fault> {
        match &self.address {
            Address::MySql(options) => Ok(Session::MySql(Box::new(mysql::connect(options).await?))),
            Address::Sqlite(options) => Ok(Session::Sqlite(Box::new(sqlite::connect(options).await?))),
        }
    }

    /// Waits for the right to write, where only one may.
    pub(super) async fn turn(&self) -> Result<Option<Turn>, Fault> {
        match &self.turns {
            Some(turns) => turns.take(ACQUIRE_TIMEOUT).await.map(Some),
            None => Ok(None),
        }
    }

    /// Begins a transaction on a session that was used before, if it still lives, or else on a new one, and says
    /// which. Nothing but the beginning has been sent, so trying twice is safe.
    pub(super) async fn begin(&self, used: Option<Session>) -> Result<(Session, Begun), Fault> {
        if let Some(mut session) = used {
            match session.begin().await {
                Ok(()) => return Ok((session, Begun::OnUsed)),
                Err(Fault::Lost(cause)) => {
                    tracing::debug!(location = %self.location, cause, "session was closed, connecting anew");
                }
                Err(other) => return Err(other),
            }
        }
        let mut session = self.connect().await?;
        match session.begin().await {
            Ok(()) => Ok((session, Begun::OnNew)),
            Err(Fault::Lost(cause)) => Err(Fault::Unavailable(cause)),
            Err(other) => Err(other),
        }
    }

    /// Runs one query on a session of the pool.
    pub(super) async fn read(&self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        let _permit = permit(&self.permits).await?;
        self.read_permitted(sql, values).await
    }

    /// The same of what the cluster agrees on.
    pub(super) async fn read_agreement(&self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        let _permit = permit(&self.agreement_permits).await?;
        self.read_permitted(sql, values).await
    }

    async fn read_permitted(&self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        let (generation, used) = self.take_idle();
        if let Some(mut session) = used {
            match session.fetch(sql, values).await {
                Err(Fault::Lost(cause)) => {
                    // Idle sessions die together, by the server's restart or its idle time.
                    tracing::debug!(location = %self.location, cause, "session was closed, connecting anew");
                    self.idle().sessions.clear();
                }
                outcome => {
                    self.put_idle(generation, session);
                    return outcome;
                }
            }
        }
        let mut session = self.connect().await?;
        let outcome = session.fetch(sql, values).await;
        if !matches!(outcome, Err(Fault::Lost(_))) {
            self.put_idle(generation, session);
        }
        outcome
    }

    /// Begins a transaction of housekeeping on a session of the pool.
    pub(super) async fn transaction(&self) -> Result<Transaction<'_>, Fault> {
        self.transaction_permitted(permit(&self.permits).await?).await
    }

    /// The same of what the cluster agrees on.
    pub(super) async fn agreement(&self) -> Result<Transaction<'_>, Fault> {
        self.transaction_permitted(permit(&self.agreement_permits).await?).await
    }

    async fn transaction_permitted<'a>(&'a self, permit: SemaphorePermit<'a>) -> Result<Transaction<'a>, Fault> {
        let turn = self.turn().await?;
        let (generation, used) = self.take_idle();
        let (session, _) = self.begin(used).await?;
        Ok(Transaction { server: self, session, generation, _turn: turn, _permit: permit })
    }

    /// What is read from now on is read over new sessions: behind the address may be another server now.
    pub(super) fn renew(&self) {
        let mut idle = self.idle();
        idle.generation += 1;
        idle.sessions.clear();
    }

    /// Names the server in an error.
    pub(super) fn error(&self, fault: Fault) -> StoreError {
        let location = self.location.clone();
        match fault {
            Fault::Lost(cause) | Fault::Unavailable(cause) | Fault::Again(cause) => {
                StoreError::Unavailable { location, cause }
            }
            Fault::Duplicate(cause) | Fault::Exists(cause) | Fault::Refused(cause) => {
                StoreError::Refused { location, cause }
            }
        }
    }

    fn take_idle(&self) -> (u64, Option<Session>) {
        let mut idle = self.idle();
        (idle.generation, idle.sessions.pop())
    }

    fn put_idle(&self, generation: u64, session: Session) {
        let mut idle = self.idle();
        if idle.generation == generation {
            idle.sessions.push(session);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn permit(permits: &Semaphore) -> Result<SemaphorePermit<'_>, Fault> {
    match tokio::time::timeout(ACQUIRE_TIMEOUT, permits.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Fault::Unavailable("all sessions of the pool are busy".to_owned())),
    }
}

/// A transaction of housekeeping. Dropped before its commit, it closes its session, and so rolls back.
pub(super) struct Transaction<'a> {
    server: &'a Server,
    session: Session,
    generation: u64,
    _turn: Option<Turn>,
    _permit: SemaphorePermit<'a>,
}

/// On what a transaction was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    OnUsed,
    OnNew,
}

impl Transaction<'_> {
    pub(super) async fn execute(&mut self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<u64, Fault> {
        self.session.execute(sql, values).await
    }

    pub(super) async fn fetch(&mut self, sql: &Arc<str>, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        self.session.fetch(sql, values).await
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.session.commit().await?;
        self.server.put_idle(self.generation, self.session);
        Ok(())
    }
}
