//! The one moment: writers of all servers held up together, for the time that it takes to begin a transaction on
//! each.
//!
//! Every transaction that changes anything of a shard inserts a journal row, so on MySQL whoever has all journals
//! locked for reading has no writer beside it: those under way end first, later ones wait. In SQLite whoever is
//! about to write has the file. What nodes do between two transactions goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};

use super::read::{Snapshot, layouts_in};
use super::{SnapshotError, fault_at};
use crate::store::server::Transaction;
use crate::store::session::{Fault, Session};
use crate::store::sql::SqlStore;
use crate::store::statements::{Dialect, identifier};

/// How often it is tried: a transaction that lasts longer than the lock is waited for stands in the way.
const ATTEMPTS_MAX: u32 = 10;
/// Writers that had to wait go on for so long before the next attempt.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest that one statement of the barrier may take; the lock itself is given up after a second.
const STEP_PATIENCE: Duration = Duration::from_secs(3);
/// A reader may be idle for so long, while the rows of another server are read, in seconds.
const READER_IDLE_SECONDS: u32 = 86_400;

/// A server, and the databases of it that are wanted, by service or `cluster`.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The server; each only once.
    pub store: Arc<SqlStore>,
    /// Without `nakku_`.
    pub databases: Vec<String>,
}

/// All servers as of one moment.
#[derive(Debug)]
pub struct Moment {
    /// In the order in which they were wanted.
    pub snapshots: Vec<Snapshot>,
    /// The longest that any writer can have waited for it.
    pub held_up: Duration,
}

/// Begins a snapshot on every server, at the same moment as far as anything that nodes write can tell.
///
/// # Errors
/// A [`SnapshotError`]; then nobody waits any more.
pub async fn take(wanted: Vec<Wanted>) -> Result<Moment, SnapshotError> {
    // Before anybody has to wait: connecting takes longer than all that follows.
    let mut readers = try_join_all(wanted.iter().map(reader)).await?;
    let mut attempt = 1;
    let held_up = loop {
        match hold_up(&wanted, &mut readers).await {
            Ok(held_up) => break held_up,
            Err(SnapshotError::Barrier { location, cause }) if attempt < ATTEMPTS_MAX => {
                tracing::debug!(location, cause, attempt, "writers did not pause in time");
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    };
    let snapshots = wanted.into_iter().zip(readers).map(|(wanted, reader)| Snapshot::new(wanted, reader.session));
    Ok(Moment { snapshots: snapshots.collect(), held_up })
}

struct Reader {
    session: Session,
    /// What holds writers up when it is locked: journals, and the view.
    locked: Vec<String>,
}

/// What a server's writers wait at.
enum Gate<'a> {
    /// A session with locked tables.
    Locked(Session),
    /// The only writer of the file.
    Writing(Transaction<'a>),
    /// Nothing is written there yet.
    Nobody,
}

async fn reader(wanted: &Wanted) -> Result<Reader, SnapshotError> {
    let server = &wanted.store.server;
    let at = |fault| fault_at(&server.location, fault);
    let mut session = server.connect().await.map_err(at)?;
    let mut locked = Vec::new();
    if server.statements.dialect() == Dialect::MySql {
        let settings = format!(
            "SET SESSION wait_timeout = {READER_IDLE_SECONDS}, net_write_timeout = {READER_IDLE_SECONDS}, \
             sql_safe_updates = 0"
        );
        session.run_text(&settings, STEP_PATIENCE).await.map_err(at)?;
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        session.run_text(isolation, STEP_PATIENCE).await.map_err(at)?;
        for database in &wanted.databases {
            let prefix = server.statements.prefix(database).map_err(at)?;
            let tables = layouts_in(&mut session, &server.statements, database).await.map_err(at)?;
            let holds =
                tables.iter().map(|table| table.name.as_str()).filter(|name| matches!(*name, "journal" | "view"));
            for name in holds {
                locked.push(format!("{prefix}`{}` READ", identifier(name).map_err(at)?));
            }
        }
    }
    Ok(Reader { session, locked })
}

/// One attempt. Returns how long writers may have waited.
async fn hold_up(wanted: &[Wanted], readers: &mut [Reader]) -> Result<Duration, SnapshotError> {
    let began = Instant::now();
    let gates = join_all(wanted.iter().zip(readers.iter()).map(|(wanted, reader)| close(wanted, &reader.locked))).await;
    let mut begun = Ok(());
    if gates.iter().all(Result::is_ok) {
        let beginning =
            wanted.iter().zip(readers.iter_mut()).map(|(wanted, reader)| begin(wanted, &mut reader.session));
        begun = try_join_all(beginning).await.map(drop);
    }
    let mut refused = None;
    let opening = gates.into_iter().filter_map(|gate| gate.map_err(|error| refused = Some(error)).ok());
    join_all(opening.map(open)).await;
    let held_up = began.elapsed();
    match refused {
        Some(error) => Err(error),
        None => begun.map(|()| held_up),
    }
}

async fn close<'a>(wanted: &'a Wanted, locked: &[String]) -> Result<Gate<'a>, SnapshotError> {
    let server = &wanted.store.server;
    let at = |fault| match fault {
        Fault::Again(cause) => SnapshotError::Barrier { location: server.location.clone(), cause },
        other => fault_at(&server.location, other),
    };
    if server.statements.dialect() == Dialect::Sqlite {
        return server.transaction().await.map(Gate::Writing).map_err(at);
    }
    if locked.is_empty() {
        return Ok(Gate::Nobody);
    }
    let mut session = server.connect().await.map_err(at)?;
    session.run_text(&format!("LOCK TABLES {}", locked.join(", ")), STEP_PATIENCE).await.map_err(at)?;
    Ok(Gate::Locked(session))
}

async fn begin(wanted: &Wanted, session: &mut Session) -> Result<(), SnapshotError> {
    let server = &wanted.store.server;
    let steps: [&str; 2] = match server.statements.dialect() {
        // One that an earlier attempt has begun ends by it.
        Dialect::MySql => ["ROLLBACK", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"],
        // The first read fixes the moment.
        Dialect::Sqlite => ["BEGIN", "SELECT COUNT(*) FROM sqlite_master"],
    };
    for step in steps {
        session.run_text(step, STEP_PATIENCE).await.map_err(|fault| fault_at(&server.location, fault))?;
    }
    Ok(())
}

async fn open(gate: Gate<'_>) {
    match gate {
        Gate::Locked(mut session) => {
            // If this fails the session ends, and with it the lock.
            let _ = session.run_text("UNLOCK TABLES", STEP_PATIENCE).await;
        }
        // Dropped, it rolls back what it has not done.
        Gate::Writing(transaction) => drop(transaction),
        Gate::Nobody => {}
    }
}
