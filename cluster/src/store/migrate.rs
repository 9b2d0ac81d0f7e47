//! Brings a database up to the newest migration, on any number of nodes at once.
//!
//! Every statement that has been applied is recorded, so that whoever comes after a crash goes on where it
//! stopped. MySQL can't take back a schema change; a statement that was applied but not yet recorded
//! answers "already there" and counts as applied. SQLite does a whole run in one transaction.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::schema;
use super::server::Server;
use super::session::{Fault, Session, Value};
use super::statements::{Dialect, identifier};
use crate::service::Migration;
use crate::time::Timestamp;

/// The longest that one statement of a schema may run: an index over a large table takes a while.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long a node waits for another one that is migrating.
pub const TURN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a schema change waits for transactions that use the table.
const TABLE_WAIT_SECONDS: u32 = 30;

/// A node that freezes while it migrates stands in the way of others for no longer than this.
const IDLE_SECONDS: u32 = 30;

const OWN: &str = "store";
const SERVICE: &str = "service";

/// Makes what is missing.
pub(super) async fn migrate(
    server: &Server,
    database: &str,
    own: &[Migration],
    service: &[Migration],
) -> Result<(), Fault> {
    let database = identifier(database)?;
    let prefix = server.statements.prefix(database)?;
    let mut pieces = Vec::new();
    for (origin, migrations) in [(OWN, own), (SERVICE, service)] {
        pieces.extend(split(origin, migrations, database, &prefix)?);
    }
    let texts = Texts::new(server, database)?;
    if let Ok(rows) = server.read(&texts.applied, &[]).await
        && let Ok(applied) = texts.read_applied(&rows)
        && pieces.iter().all(|piece| applied.contains(&piece.id()))
    {
        return Ok(());
    }
    match server.statements.dialect() {
        Dialect::MySql => migrate_mysql(server, database, &pieces, &texts).await,
        Dialect::Sqlite => migrate_sqlite(server, &pieces, &texts).await,
    }
}

async fn migrate_mysql(server: &Server, database: &str, pieces: &[Piece], texts: &Texts) -> Result<(), Fault> {
    // A session of its own: the lock ends with it, whatever happens.
    let mut session = server.connect().await?;
    let settings = format!(
        "SET SESSION lock_wait_timeout = {TABLE_WAIT_SECONDS}, wait_timeout = {IDLE_SECONDS}, sql_safe_updates = 0"
    );
    session.run_text(&settings, TURN_TIMEOUT).await?;
    let lock: Arc<str> = format!("SELECT COALESCE(GET_LOCK('nakku_migrate_{database}', 1), 0)").into();
    let since = Instant::now();
    loop {
        let rows = session.fetch(&lock, &[]).await?;
        if rows.first().map(|row| row.integer(0)).transpose()? == Some(1) {
            break;
        }
        if since.elapsed() > TURN_TIMEOUT {
            return Err(Fault::Unavailable("another node has been migrating for too long".to_owned()));
        }
    }
    let there: Arc<str> = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?".into();
    let rows = session.fetch(&there, &[Value::text(&format!("nakku_{database}"))]).await?;
    if rows.first().map(|row| row.integer(0)).transpose()? != Some(1) {
        let create = format!("CREATE DATABASE IF NOT EXISTS `nakku_{database}`");
        session.run_text(&create, STATEMENT_TIMEOUT).await?;
    }
    session.run_text(&texts.create_record, STATEMENT_TIMEOUT).await?;
    let applied = texts.read_applied(&session.fetch(&texts.applied, &[]).await?)?;
    for piece in pieces.iter().filter(|piece| !applied.contains(&piece.id())) {
        apply(&mut session, piece, texts).await?;
    }
    Ok(())
}

async fn migrate_sqlite(server: &Server, pieces: &[Piece], texts: &Texts) -> Result<(), Fault> {
    let since = Instant::now();
    let mut transaction = loop {
        match server.transaction().await {
            Err(Fault::Again(_) | Fault::Unavailable(_)) if since.elapsed() < TURN_TIMEOUT => {}
            outcome => break outcome?,
        }
    };
    let session = transaction.session();
    session.run_text(&texts.create_record, STATEMENT_TIMEOUT).await?;
    let applied = texts.read_applied(&session.fetch(&texts.applied, &[]).await?)?;
    for piece in pieces.iter().filter(|piece| !applied.contains(&piece.id())) {
        apply(session, piece, texts).await?;
    }
    transaction.commit().await
}

async fn apply(session: &mut Session, piece: &Piece, texts: &Texts) -> Result<(), Fault> {
    let at = |cause| {
        let Piece { origin, version, statement, name, .. } = piece;
        format!("{origin} migration {version} ({name}), statement {statement}: {cause}")
    };
    match session.run_text(&piece.sql, STATEMENT_TIMEOUT).await {
        // Applied before a crash, and not yet recorded.
        Ok(()) | Err(Fault::Exists(_) | Fault::Duplicate(_)) => {}
        Err(Fault::Refused(cause)) => return Err(Fault::Refused(at(cause))),
        Err(Fault::Again(cause) | Fault::Lost(cause) | Fault::Unavailable(cause)) => {
            return Err(Fault::Unavailable(at(cause)));
        }
    }
    let record = [
        Value::text(piece.origin),
        Value::Integer(i64::from(piece.version)),
        Value::Integer(piece.statement),
        Value::text(piece.name),
        Value::Integer(Timestamp::now().0),
    ];
    match session.execute(&texts.record, &record).await {
        Ok(_) | Err(Fault::Duplicate(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

/// One statement of a migration.
struct Piece {
    origin: &'static str,
    version: u32,
    statement: i64,
    name: &'static str,
    sql: String,
}

type PieceId = (String, i64, i64);

impl Piece {
    fn id(&self) -> PieceId {
        (self.origin.to_owned(), i64::from(self.version), self.statement)
    }
}

/// What reads and writes the record of applied statements.
struct Texts {
    create_record: Arc<str>,
    applied: Arc<str>,
    record: Arc<str>,
}

impl Texts {
    fn new(server: &Server, database: &str) -> Result<Self, Fault> {
        let text = |template| server.statements.with_prefix(database, template);
        Ok(Self {
            create_record: text(schema::RECORD)?,
            applied: text("SELECT origin, version, statement FROM {prefix}migration")?,
            record: text(
                "INSERT INTO {prefix}migration (origin, version, statement, name, applied_at) VALUES (?, ?, ?, ?, ?)",
            )?,
        })
    }

    fn read_applied(&self, rows: &[super::session::Row]) -> Result<HashSet<PieceId>, Fault> {
        rows.iter().map(|row| Ok((row.text(0)?, row.integer(1)?, row.integer(2)?))).collect()
    }
}

/// Splits migrations into statements, by `;` at the end of a line.
fn split(origin: &'static str, migrations: &[Migration], database: &str, prefix: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut last_version = 0;
    for migration in migrations {
        let Migration { version, name, sql } = *migration;
        if version <= last_version {
            return Err(Fault::Refused(format!("{origin} migration {version} ({name}) is out of order")));
        }
        last_version = version;
        let mut statement = 0;
        let mut text = String::new();
        let lines = sql.lines().map(str::trim_end).filter(|line| !line.trim_start().starts_with("--"));
        // The last statement may do without its semicolon.
        for line in lines.chain([";"]) {
            text.push_str(line.strip_suffix(';').unwrap_or(line));
            text.push('\n');
            if !line.ends_with(';') || text.trim().is_empty() {
                continue;
            }
            let words = |character: char| !character.is_ascii_alphanumeric() && character != '_';
            if text.split(words).any(|word| word.eq_ignore_ascii_case("unique")) {
                return Err(Fault::Refused(format!(
                    "{origin} migration {version} ({name}): uniqueness is an entity that the value names, never an index"
                )));
            }
            statement += 1;
            let sql = text.trim().replace("{prefix}", prefix).replace("{service}", database);
            pieces.push(Piece { origin, version, statement, name, sql });
            text.clear();
        }
    }
    Ok(pieces)
}
