//! The SQL, the same for all servers but for the upsert's words and what precedes a table's name.
//!
//! Statements over many rows come in power-of-two row counts, so that few have to be prepared; each is
//! built once. Values are always bound; names are checked before they go into a text.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{JournalRow, StateTable, StateWrite};
use crate::entity::ColumnValue;
use crate::reference::Kind;

use super::session::{Fault, Value};

/// The most rows that one statement writes.
pub(super) const ROWS_MAX: usize = 256;
/// The most rows that one statement deletes on MySQL. Given more keys than a small table has rows, it reads the
/// whole table instead of looking the keys up, and then waits for rows that other transactions have locked.
const MYSQL_DELETE_ROWS_MAX: usize = 4;
/// The most journals that one statement looks up.
pub(super) const SHARDS_PER_LOOKUP_MAX: usize = 64;
/// The most shards that one statement filters by.
pub(super) const SHARDS_PER_FILTER_MAX: usize = 1024;

/// The order in which [`journal_values`] binds and `reads` reads.
const JOURNAL_COLUMNS: &str = "shard, seq, epoch, writer, entity, entity_version, previous_seq, command_id, type, \
                               payload, occurred_at, traceparent";
const JOURNAL_COLUMN_COUNT: usize = 12;
const STATE_COLUMN_COUNT: usize = 7;

/// What differs between the kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    MySql,
    Sqlite,
}

impl Dialect {
    /// The function that returns the highest of its arguments.
    pub(super) const fn highest(self) -> &'static str {
        match self {
            Self::MySql => "GREATEST",
            Self::Sqlite => "MAX",
        }
    }
}

/// A statement over many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    JournalInsert { service: &'static str },
    // A static column list is named by its address; two equal lists at two addresses only cost a text.
    StateUpsert { kind: Kind, columns: usize, column_count: usize },
    StateDelete { kind: Kind },
}

/// The texts for one server.
#[derive(Debug)]
pub(super) struct Statements {
    dialect: Dialect,
    built: RwLock<HashMap<(Shape, usize), Arc<str>>>,
}

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, built: RwLock::default() }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The most rows that one statement deletes.
    pub(super) fn delete_rows_max(&self) -> usize {
        match self.dialect {
            Dialect::MySql => MYSQL_DELETE_ROWS_MAX,
            Dialect::Sqlite => ROWS_MAX,
        }
    }

    /// What precedes a table's name: the service's own database, or its part of the one file.
    pub(super) fn prefix(&self, service: &str) -> Result<String, Fault> {
        let service = identifier(service)?;
        Ok(match self.dialect {
            Dialect::MySql => format!("`nakku_{service}`."),
            Dialect::Sqlite => format!("nakku_{service}__"),
        })
    }

    /// Inserts journal rows.
    pub(super) fn journal_insert(&self, service: &'static str, rows: usize) -> Result<Arc<str>, Fault> {
        self.built(Shape::JournalInsert { service }, rows, || {
            let values = repeated(&tuple(JOURNAL_COLUMN_COUNT), ", ", rows);
            Ok(format!("INSERT INTO {}journal ({JOURNAL_COLUMNS}) VALUES {values}", self.prefix(service)?))
        })
    }

    /// Writes state rows over what is there.
    pub(super) fn state_upsert(&self, table: StateTable, rows: usize) -> Result<Arc<str>, Fault> {
        let StateTable { kind, columns } = table;
        let shape = Shape::StateUpsert { kind, columns: columns.as_ptr().addr(), column_count: columns.len() };
        self.built(shape, rows, || {
            let mut written = vec!["version".to_owned(), "seq".into(), "data".into(), "wake_at".into()];
            for column in columns {
                written.push(format!("`{}`", identifier(column.name)?));
            }
            let names = written.join(", ");
            let values = repeated(&tuple(STATE_COLUMN_COUNT + columns.len()), ", ", rows);
            let (clash, new) = match self.dialect {
                Dialect::MySql => (
                    "ON DUPLICATE KEY UPDATE",
                    written.iter().map(|name| format!("{name} = VALUES({name})")).collect::<Vec<_>>(),
                ),
                Dialect::Sqlite => (
                    "ON CONFLICT (shard, entity, part) DO UPDATE SET",
                    written.iter().map(|name| format!("{name} = excluded.{name}")).collect(),
                ),
            };
            let table = self.state_table(kind)?;
            Ok(format!("INSERT INTO {table} (shard, entity, part, {names}) VALUES {values} {clash} {}", new.join(", ")))
        })
    }

    /// Deletes state rows by their keys.
    pub(super) fn state_delete(&self, kind: Kind, rows: usize) -> Result<Arc<str>, Fault> {
        self.built(Shape::StateDelete { kind }, rows, || {
            let keys = repeated("(shard = ? AND entity = ? AND part = ?)", " OR ", rows);
            Ok(format!("DELETE FROM {} WHERE {keys}", self.state_table(kind)?))
        })
    }

    /// Head and parts of an entity: part, version, seq, data.
    pub(super) fn load(&self, kind: Kind) -> Result<Arc<str>, Fault> {
        let table = self.state_table(kind)?;
        Ok(format!("SELECT part, version, seq, data FROM {table} WHERE shard = ? AND entity = ?").into())
    }

    /// The last row of each of so many shards.
    pub(super) fn last_rows(&self, service: &str, shards: usize) -> Result<Arc<str>, Fault> {
        let prefix = self.prefix(service)?;
        let last = |number| {
            format!(
                "SELECT * FROM (SELECT {JOURNAL_COLUMNS} FROM {prefix}journal WHERE shard = ? \
                 ORDER BY seq DESC LIMIT 1) AS last_{number}"
            )
        };
        Ok((0..shards).map(last).collect::<Vec<_>>().join(" UNION ALL ").into())
    }

    /// Where the journals of so many shards end: shard, seq, writer.
    pub(super) fn ends(&self, service: &str, shards: usize) -> Result<Arc<str>, Fault> {
        let prefix = self.prefix(service)?;
        let last = |number| {
            format!(
                "SELECT * FROM (SELECT shard, seq, writer FROM {prefix}journal WHERE shard = ? \
                 ORDER BY seq DESC LIMIT 1) AS last_{number}"
            )
        };
        Ok((0..shards).map(last).collect::<Vec<_>>().join(" UNION ALL ").into())
    }

    /// Rows of a shard from a seq on.
    pub(super) fn journal(&self, service: &str) -> Result<Arc<str>, Fault> {
        let prefix = self.prefix(service)?;
        Ok(format!("SELECT {JOURNAL_COLUMNS} FROM {prefix}journal WHERE shard = ? AND seq >= ? ORDER BY seq LIMIT ?")
            .into())
    }

    /// Rows of an entity behind a seq.
    pub(super) fn entity_journal(&self, service: &str) -> Result<Arc<str>, Fault> {
        let prefix = self.prefix(service)?;
        Ok(format!(
            "SELECT {JOURNAL_COLUMNS} FROM {prefix}journal WHERE shard = ? AND entity = ? AND seq > ? \
             ORDER BY seq LIMIT ?"
        )
        .into())
    }

    /// How far so many shards have been published: shard, seq, published.
    pub(super) fn publications(&self, service: &str, shards: usize) -> Result<Arc<str>, Fault> {
        let prefix = self.prefix(service)?;
        let filter = repeated("?", ", ", shards);
        Ok(format!("SELECT shard, seq, published FROM {prefix}publication WHERE shard IN ({filter})").into())
    }

    /// Raises the positions of so many shards; a lower one changes nothing.
    pub(super) fn record_publications(&self, service: &str, rows: usize) -> Result<Arc<str>, Fault> {
        let prefix = self.prefix(service)?;
        let values = repeated(&tuple(3), ", ", rows);
        // MySQL assigns from left to right: the seq is compared before it is set.
        let clash = match self.dialect {
            Dialect::MySql => {
                "ON DUPLICATE KEY UPDATE published = IF(VALUES(seq) > seq, VALUES(published), published), \
                 seq = GREATEST(seq, VALUES(seq))"
            }
            Dialect::Sqlite => {
                "ON CONFLICT (shard) DO UPDATE SET published = excluded.published, seq = excluded.seq \
                 WHERE excluded.seq > seq"
            }
        };
        Ok(format!("INSERT INTO {prefix}publication (shard, seq, published) VALUES {values} {clash}").into())
    }

    /// Due entities of so many shards: shard, entity, wake_at. Bound: until, part, shards, and when `after`:
    /// wake_at, wake_at, entity; then the limit.
    pub(super) fn due(&self, kind: Kind, shards: usize, after: bool) -> Result<Arc<str>, Fault> {
        let table = self.state_table(kind)?;
        let filter = repeated("?", ", ", shards);
        // The first bound alone narrows the index; the second steps over what the last page has shown.
        let position = if after { " AND wake_at >= ? AND (wake_at > ? OR entity > ?)" } else { "" };
        // The sum keeps the planner from the primary key, by which it would read all of the shards' rows.
        Ok(format!(
            "SELECT shard, entity, wake_at FROM {table} WHERE wake_at <= ? AND part = ? AND shard + 0 IN ({filter})\
             {position} ORDER BY wake_at, entity LIMIT ?"
        )
        .into())
    }

    /// Heads by columns: entity, version, data. Bound: part, the columns' values, when `after` the entity,
    /// then the limit.
    pub(super) fn list(
        &self,
        table: &StateTable,
        equals: &[(&'static str, ColumnValue)],
        after: bool,
    ) -> Result<Arc<str>, Fault> {
        let mut conditions = String::new();
        for (name, value) in equals {
            if !table.columns.iter().any(|column| column.name == *name) {
                return Err(Fault::Refused(format!("{} declares no column {name:?}", table.kind)));
            }
            let name = identifier(name)?;
            conditions.push_str(&match value {
                ColumnValue::Null => format!(" AND `{name}` IS NULL"),
                ColumnValue::Text(_) | ColumnValue::Integer(_) => format!(" AND `{name}` = ?"),
            });
        }
        let position = if after { " AND entity > ?" } else { "" };
        let table = self.state_table(table.kind)?;
        Ok(format!(
            "SELECT entity, version, data FROM {table} WHERE part = ?{conditions}{position} ORDER BY entity LIMIT ?"
        )
        .into())
    }

    /// A text over a table of a service's database, `{prefix}` standing for what precedes its name.
    pub(super) fn with_prefix(&self, service: &str, template: &str) -> Result<Arc<str>, Fault> {
        Ok(template.replace("{prefix}", &self.prefix(service)?).into())
    }

    fn state_table(&self, kind: Kind) -> Result<String, Fault> {
        Ok(format!("{}{}_state", self.prefix(kind.service)?, identifier(kind.entity)?))
    }

    fn built(
        &self,
        shape: Shape,
        rows: usize,
        build: impl FnOnce() -> Result<String, Fault>,
    ) -> Result<Arc<str>, Fault> {
        if let Some(text) = self.built.read().unwrap_or_else(PoisonError::into_inner).get(&(shape, rows)) {
            return Ok(text.clone());
        }
        let text: Arc<str> = build()?.into();
        self.built.write().unwrap_or_else(PoisonError::into_inner).insert((shape, rows), text.clone());
        Ok(text)
    }
}

/// The values of a journal row, in the order of its columns.
pub(super) fn journal_values<'a>(row: &'a JournalRow, values: &mut Vec<Value<'a>>) {
    values.extend([
        Value::Integer(i64::from(row.shard)),
        Value::unsigned(row.seq),
        Value::unsigned(row.epoch),
        Value::text(&row.writer),
        Value::text(&row.entity),
        Value::unsigned(row.entity_version),
        Value::unsigned(row.previous_seq),
        Value::text(&row.command_id),
        Value::text(&row.event_type),
        Value::Bytes(&row.payload),
        Value::Integer(row.occurred_at.0),
        Value::text(&row.traceparent),
    ]);
}

/// The values of an upserted state row; nothing for one that is deleted.
pub(super) fn upsert_values<'a>(write: &'a StateWrite, values: &mut Vec<Value<'a>>) {
    let Some(row) = &write.row else { return };
    delete_values(write, values);
    values.extend([
        Value::unsigned(row.version),
        Value::unsigned(row.seq),
        Value::Bytes(&row.data),
        row.wake_at.map_or(Value::Null, |time| Value::Integer(time.0)),
    ]);
    if row.columns.is_empty() {
        values.extend(write.table.columns.iter().map(|_| Value::Null));
    } else {
        values.extend(row.columns.iter().map(column_value));
    }
}

/// The key of a state row.
pub(super) fn delete_values<'a>(write: &'a StateWrite, values: &mut Vec<Value<'a>>) {
    values.extend([
        Value::Integer(i64::from(write.shard)),
        Value::text(write.entity.as_str()),
        Value::text(&write.part),
    ]);
}

/// A column's value.
pub(super) fn column_value(value: &ColumnValue) -> Value<'_> {
    match value {
        ColumnValue::Text(text) => Value::text(text),
        ColumnValue::Integer(number) => Value::Integer(*number),
        ColumnValue::Null => Value::Null,
    }
}

/// Lets only lower-case names into a text.
pub(super) fn identifier(name: &str) -> Result<&str, Fault> {
    let clean = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if clean && begins && name.len() <= 48 {
        Ok(name)
    } else {
        Err(Fault::Refused(format!("{name:?} is no name of a service, entity or column")))
    }
}

fn tuple(count: usize) -> String {
    format!("({})", repeated("?", ", ", count))
}

fn repeated(piece: &str, between: &str, count: usize) -> String {
    vec![piece; count].join(between)
}
