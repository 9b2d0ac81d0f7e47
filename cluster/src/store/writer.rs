//! The session that commits batches.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::server::{Begun, Server};
use super::session::{Fault, Session, Value};
use super::sql::padded;
use super::statements::{ROWS_MAX, SHARDS_PER_LOOKUP_MAX, Statements, delete_values, journal_values, upsert_values};
use super::{Batch, CLAIM, CommitError, JournalRow, StateTable, StateWrite, StoreWriter};
use crate::entity::ColumnKind;
use crate::entity::ColumnValue;
use crate::reference::{Kind, ShardId};

/// The most bytes of values that one statement carries, so that it stays below the smallest default of
/// `max_allowed_packet` (16 MiB).
pub const STATEMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Names of journal columns with the bytes that they hold; SQLite would not check it.
const JOURNAL_TEXT_BYTES_MAX: [(&str, usize); 5] =
    [("writer", 255), ("entity", 255), ("command_id", 512), ("type", 128), ("traceparent", 128)];
const PART_BYTES_MAX: usize = 192;

/// By service and shard.
type FirstRows<'a> = BTreeMap<&'static str, BTreeMap<u32, &'a JournalRow>>;

/// See the module.
pub(super) struct SqlWriter {
    server: Arc<Server>,
    /// Taken out for the time of a commit: a commit that is dropped half-way drops its session too.
    session: Option<Session>,
    /// Shards that were committed to over this session. A session never changes its server, and what a server has
    /// once shown it keeps.
    continued: HashSet<ShardId>,
}

impl SqlWriter {
    pub(super) fn new(server: Arc<Server>, session: Session) -> Self {
        Self { server, session: Some(session), continued: HashSet::new() }
    }

    /// Behind the address may be another server than that of the last session, a promoted replica or a restored
    /// copy. Where rows are missing nothing may be written behind the gap.
    async fn gaps(server: &Server, session: &mut Session, first_rows: &FirstRows<'_>) -> Result<Vec<ShardId>, Fault> {
        let mut gaps = Vec::new();
        for (&service, rows) in first_rows {
            let rows: Vec<&JournalRow> = rows.values().copied().collect();
            for rows in rows.chunks(SHARDS_PER_LOOKUP_MAX) {
                let shards: Vec<u32> = rows.iter().map(|row| row.shard).collect();
                let shards = padded(&shards);
                let sql = server.statements.ends(service, shards.len())?;
                let values: Vec<_> = shards.iter().map(|shard| Value::Integer(i64::from(*shard))).collect();
                let mut ends: BTreeMap<u32, (u64, String)> = BTreeMap::new();
                for row in session.fetch(&sql, &values).await? {
                    ends.insert(row.shard(0)?, (row.unsigned(1)?, row.text(2)?));
                }
                let gap = rows.iter().filter(|row| !continues(row, ends.get(&row.shard)));
                gaps.extend(gap.map(|row| ShardId { service, number: row.shard }));
            }
        }
        Ok(gaps)
    }

    /// The first row of each shard that was not committed to over this session yet.
    fn first_rows<'a>(&self, batch: &'a Batch) -> FirstRows<'a> {
        let mut first_rows = FirstRows::new();
        let mut last: Option<ShardId> = None;
        for (service, row) in &batch.journal {
            let shard = ShardId { service, number: row.shard };
            // Rows of a shard often stand together.
            if last.replace(shard) != Some(shard) && !self.continued.contains(&shard) {
                first_rows.entry(*service).or_default().entry(row.shard).or_insert(row);
            }
        }
        first_rows
    }

    /// Rolls back, and keeps the session only when the server has confirmed it.
    async fn roll_back(&mut self, mut session: Session) -> bool {
        let confirmed = session.rollback().await.is_ok();
        if confirmed {
            self.session = Some(session);
        }
        confirmed
    }

    /// A statement before the commit has failed.
    async fn give_up(&mut self, session: Session, fault: Fault, in_journal: bool) -> CommitError {
        match fault {
            // The session goes with it, and with the session the transaction.
            Fault::Lost(cause) => CommitError::Unknown(cause),
            // The commit was never sent, so nothing can land, whether or not the rollback is confirmed.
            Fault::Unavailable(_) => CommitError::NotBegun(self.server.error(fault)),
            Fault::Duplicate(_) if in_journal => {
                self.roll_back(session).await;
                CommitError::Collision
            }
            Fault::Again(cause) => {
                self.roll_back(session).await;
                CommitError::Repeat(cause)
            }
            Fault::Duplicate(cause) | Fault::Exists(cause) | Fault::Refused(cause) => {
                self.roll_back(session).await;
                CommitError::Refused(cause)
            }
        }
    }
}

#[async_trait]
impl StoreWriter for SqlWriter {
    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let steps = steps(batch, &self.server.statements).map_err(CommitError::Refused)?;
        if steps.is_empty() {
            return Ok(());
        }
        let server = self.server.clone();
        let not_begun = |fault| match fault {
            Fault::Again(cause) => CommitError::Repeat(cause),
            other => CommitError::NotBegun(server.error(other)),
        };
        let _turn = server.turn().await.map_err(not_begun)?;
        let (mut session, begun) = server.begin(self.session.take()).await.map_err(not_begun)?;
        if begun == Begun::OnNew {
            self.continued.clear();
            server.renew();
        }
        let first_rows = self.first_rows(batch);
        match Self::gaps(&server, &mut session, &first_rows).await {
            Ok(gaps) if gaps.is_empty() => {}
            Ok(shards) => {
                self.roll_back(session).await;
                return Err(CommitError::Gap { shards });
            }
            Err(Fault::Lost(cause)) => return Err(not_begun(Fault::Unavailable(cause))),
            Err(fault) => return Err(self.give_up(session, fault, false).await),
        }
        let mut values = Vec::new();
        for step in &steps {
            values.clear();
            let in_journal = step.bind(&mut values);
            if let Err(fault) = session.execute(&step.sql, &values).await {
                return Err(self.give_up(session, fault, in_journal).await);
            }
        }
        match session.commit().await {
            Ok(()) => {
                self.session = Some(session);
                let shards = |(service, rows): (&'static str, BTreeMap<u32, _>)| {
                    rows.into_keys().map(move |number| ShardId { service, number })
                };
                self.continued.extend(first_rows.into_iter().flat_map(shards));
                Ok(())
            }
            // Refused by the server's own account; but it holds only once the rollback is confirmed too.
            Err(Fault::Again(cause)) => {
                if self.roll_back(session).await {
                    Err(CommitError::Repeat(cause))
                } else {
                    Err(CommitError::Unknown(cause))
                }
            }
            // Whatever else a commit answers, it is not proof that nothing has landed.
            Err(other) => Err(CommitError::Unknown(other.cause())),
        }
    }
}

/// Whether a shard's row may stand behind the end of its journal. One that stands where another is already will
/// collide with it.
fn continues(row: &JournalRow, end: Option<&(u64, String)>) -> bool {
    match end {
        Some((seq, _)) if *seq >= row.seq => true,
        Some((seq, writer)) => seq + 1 == row.seq && (row.event_type == CLAIM || **writer == *row.writer),
        None => row.seq == 1,
    }
}

/// One statement of a batch.
struct Step<'a> {
    sql: Arc<str>,
    rows: Rows<'a>,
}

enum Rows<'a> {
    Journal(Vec<&'a JournalRow>),
    Upsert(Vec<&'a StateWrite>),
    Delete(Vec<&'a StateWrite>),
}

impl<'a> Step<'a> {
    /// Binds the values; true when they go into a journal.
    fn bind(&self, values: &mut Vec<Value<'a>>) -> bool {
        match &self.rows {
            Rows::Journal(rows) => rows.iter().for_each(|row| journal_values(row, values)),
            Rows::Upsert(writes) => writes.iter().for_each(|write| upsert_values(write, values)),
            Rows::Delete(writes) => writes.iter().for_each(|write| delete_values(write, values)),
        }
        matches!(self.rows, Rows::Journal(_))
    }
}

/// Checks a batch before anything of it is sent, and splits it: journals first, each service's rows
/// together, then each table's upserts and deletes.
fn steps<'a>(batch: &'a Batch, statements: &Statements) -> Result<Vec<Step<'a>>, String> {
    let mut steps = Vec::new();
    let mut journals: Vec<(&'static str, Vec<&JournalRow>)> = Vec::new();
    for (service, row) in &batch.journal {
        check_journal_row(row)?;
        match journals.iter_mut().find(|(name, _)| name == service) {
            Some((_, rows)) => rows.push(row),
            None => journals.push((service, vec![row])),
        }
    }
    for (service, rows) in journals {
        for rows in split(&rows, row_bytes, ROWS_MAX)? {
            let sql = statements.journal_insert(service, rows.len()).map_err(Fault::cause)?;
            steps.push(Step { sql, rows: Rows::Journal(rows) });
        }
    }
    let mut tables: Vec<(Kind, StateTable, Vec<&StateWrite>, Vec<&StateWrite>)> = Vec::new();
    for write in &batch.states {
        check_state_write(write)?;
        let kind = write.table.kind;
        let at = match tables.iter().position(|(known, ..)| *known == kind) {
            Some(at) => at,
            None => {
                tables.push((kind, write.table, Vec::new(), Vec::new()));
                tables.len() - 1
            }
        };
        let (_, _, upserts, deletes) = &mut tables[at];
        if write.row.is_some() { upserts.push(write) } else { deletes.push(write) }
    }
    for (kind, table, upserts, deletes) in tables {
        for writes in split(&upserts, write_bytes, ROWS_MAX)? {
            let sql = statements.state_upsert(table, writes.len()).map_err(Fault::cause)?;
            steps.push(Step { sql, rows: Rows::Upsert(writes) });
        }
        for writes in split(&deletes, write_bytes, statements.delete_rows_max())? {
            let sql = statements.state_delete(kind, writes.len()).map_err(Fault::cause)?;
            steps.push(Step { sql, rows: Rows::Delete(writes) });
        }
    }
    Ok(steps)
}

/// Splits rows into groups of power-of-two sizes that keep to the limit of bytes.
fn split<'a, T>(rows: &[&'a T], bytes: impl Fn(&T) -> usize, rows_max: usize) -> Result<Vec<Vec<&'a T>>, String> {
    let mut groups = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut total = 0;
        let fitting = rest
            .iter()
            .take(rows_max)
            .take_while(|row| {
                total += bytes(row);
                total <= STATEMENT_BYTES_MAX
            })
            .count();
        if fitting == 0 {
            return Err(format!("a row is larger than {STATEMENT_BYTES_MAX} bytes"));
        }
        let (group, others) = rest.split_at(1 << fitting.ilog2());
        groups.push(group.to_vec());
        rest = others;
    }
    Ok(groups)
}

fn row_bytes(row: &JournalRow) -> usize {
    row.payload.len() + row.writer.len() + row.entity.len() + row.command_id.len() + 256
}

fn write_bytes(write: &StateWrite) -> usize {
    let Some(row) = &write.row else { return 512 };
    let columns = row.columns.iter().map(|value| match value {
        ColumnValue::Text(text) => text.len(),
        ColumnValue::Integer(_) | ColumnValue::Null => 8,
    });
    row.data.len() + columns.sum::<usize>() + 512
}

fn check_journal_row(row: &JournalRow) -> Result<(), String> {
    let texts = [&*row.writer, &row.entity, &row.command_id, &row.event_type, &row.traceparent];
    for (text, (name, bytes_max)) in texts.into_iter().zip(JOURNAL_TEXT_BYTES_MAX) {
        if text.len() > bytes_max {
            return Err(format!("a journal row's {name} has {} bytes, more than {bytes_max}", text.len()));
        }
    }
    check_numbers(row.shard, [row.seq, row.epoch, row.entity_version, row.previous_seq])
}

fn check_state_write(write: &StateWrite) -> Result<(), String> {
    let StateTable { kind, columns } = write.table;
    if write.part.len() > PART_BYTES_MAX {
        return Err(format!("part {:?} of {kind}/{} is longer than {PART_BYTES_MAX} bytes", write.part, write.entity));
    }
    let Some(row) = &write.row else { return check_numbers(write.shard, []) };
    if !row.columns.is_empty() && row.columns.len() != columns.len() {
        return Err(format!("{kind} declares {} columns, {} were given", columns.len(), row.columns.len()));
    }
    for (column, value) in columns.iter().zip(&row.columns) {
        let fits = match value {
            ColumnValue::Text(_) => column.kind == ColumnKind::Text,
            ColumnValue::Integer(_) => column.kind == ColumnKind::Integer,
            ColumnValue::Null => true,
        };
        if !fits {
            return Err(format!("column {} of {kind} is of another type than its value", column.name));
        }
    }
    check_numbers(write.shard, [row.version, row.seq])
}

/// Every server keeps them as signed numbers.
fn check_numbers<const N: usize>(shard: u32, numbers: [u64; N]) -> Result<(), String> {
    if i32::try_from(shard).is_err() {
        return Err(format!("shard {shard} is too large"));
    }
    match numbers.into_iter().find(|number| i64::try_from(*number).is_err()) {
        Some(number) => Err(format!("{number} is too large")),
        None => Ok(()),
    }
}
