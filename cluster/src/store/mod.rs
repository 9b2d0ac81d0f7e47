//! The durable stores behind the journal: SQLite, MariaDB and MySQL 8 behind one trait.
//!
//! [`Store`] is one database server and holds the databases of any number of services; [`StoreWriter`] is
//! one session of it that commits batches. [`ClusterStore`] keeps what the cluster has agreed on.
//! [`SqlStore`] is all of them; [`open`] reads its address.
//!
//! - `sql` reads, `cluster_sql` keeps the agreements, [`writer`] commits batches;
//! - [`migrate`] brings databases up to date; [`schema`] tells authors of services what to write;
//! - `restoring` marks a cluster database that is being put back;
//! - [`snapshot`] reads all servers as of one moment, for backups, and puts rows back;
//! - `statements` holds the SQL, the same for all servers but for a few words;
//! - `replication` tells how far a replica is behind, and whether a server may be promoted;
//! - [`server`] keeps sessions for reads; [`session`] is one of either driver, [`sqlite`] or [`mysql`]; `turn` is
//!   the queue of those that write to one SQLite file.

mod cluster_sql;
pub mod migrate;
pub mod mysql;
#[cfg(test)]
mod plans;
mod replication;
mod restoring;
pub mod schema;
pub mod server;
pub mod session;
pub mod snapshot;
mod sql;
pub mod sqlite;
mod statements;
mod turn;
pub mod writer;

pub use replication::{LEAP, Standing};
pub use sql::{SqlStore, open};

use std::sync::Arc;

use async_trait::async_trait;

use crate::entity::{Column, ColumnValue};
use crate::query::Query;
use crate::reference::{Key, Kind, ShardId};
use crate::service::Migration;
use crate::time::Timestamp;

/// One database server.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Where it is, without secrets, for messages and logs.
    fn location(&self) -> &str;

    /// What is read from now on is read over new sessions: behind the address may be another server now.
    fn renew_sessions(&self) {}

    /// Asks for a trifle, to see whether the server answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Creates the service's database, journal and state tables where they are missing and brings them up
    /// to the newest migration. May run on several nodes at once.
    async fn migrate(&self, service: &str, migrations: &[Migration]) -> Result<(), StoreError>;

    /// Opens a session for commits.
    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError>;

    /// Head and parts of one entity, or nothing when it has never been written.
    async fn load(&self, table: &StateTable, shard: u32, key: &Key) -> Result<Option<StoredEntity>, StoreError>;

    /// The last journal row of each shard that has one.
    async fn last_rows(&self, service: &str, shards: &[u32]) -> Result<Vec<JournalRow>, StoreError>;

    /// Entities whose `wake_at` is at or before `until`, ordered by (wake_at, key), after the given position.
    async fn due(
        &self,
        table: &StateTable,
        shards: &[u32],
        until: Timestamp,
        after: Option<&Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError>;

    /// Heads by declared columns in the order of their keys. May be a moment old.
    async fn list(&self, table: &StateTable, query: &Query) -> Result<Vec<ListedRow>, StoreError>;

    /// Rows of a shard from a seq on, in order.
    async fn journal(
        &self,
        service: &str,
        shard: u32,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError>;

    /// Rows of one entity (`entity/key`) behind a seq, in order.
    async fn entity_journal(
        &self,
        service: &str,
        shard: u32,
        entity: &str,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError>;

    /// One row, if it is there.
    async fn journal_row(&self, service: &str, shard: u32, seq: u64) -> Result<Option<JournalRow>, StoreError> {
        let rows = self.journal(service, shard, seq, 1).await?;
        Ok(rows.into_iter().find(|row| row.seq == seq))
    }

    /// Deletes at most `limit` rows of a shard below `below_seq`, never a claim and never the last row.
    /// Returns how many went.
    async fn prune(&self, service: &str, shard: u32, below_seq: u64, limit: u32) -> Result<u64, StoreError>;

    /// How far the shards have been published; nothing for those of which nothing has been.
    async fn publications(&self, service: &str, shards: &[u32]) -> Result<Vec<Publication>, StoreError>;

    /// Records how far shards have been published. A position never falls.
    async fn record_publications(&self, service: &str, publications: &[Publication]) -> Result<(), StoreError>;

    /// The service database's incarnation: 1 when new, raised after a restore or a promotion.
    async fn incarnation(&self, service: &str) -> Result<u64, StoreError>;

    /// Raises it above itself and above `known`, by one, and returns the new one.
    async fn raise_incarnation(&self, service: &str, known: u64) -> Result<u64, StoreError>;
}

/// One session that commits.
#[async_trait]
pub trait StoreWriter: Send {
    /// Commits a batch in one transaction: journal rows first, then state rows, all or none. Over a new session each
    /// shard's rows must continue its journal, and unless they begin with a claim, behind a row of the same writer.
    ///
    /// After any error the transaction is rolled back or its session closed; the writer stays usable and
    /// reconnects by itself on the next call.
    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError>;
}

/// What the cluster has agreed on.
#[async_trait]
pub trait ClusterStore: Send + Sync + 'static {
    /// Where it is, without secrets, for messages and logs.
    fn location_of_cluster(&self) -> &str {
        "the cluster database"
    }

    /// Creates the cluster database's tables where they are missing.
    async fn migrate_cluster(&self) -> Result<(), StoreError>;

    /// Writes the topology when there is none yet; returns the one that is there.
    async fn found(&self, topology: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// A number that grows with every call for this name: the generation of a node's new life.
    async fn next_generation(&self, node: &str) -> Result<u64, StoreError>;

    /// The view (version and JSON; version 0 and nothing when there is none) and every lease.
    async fn read_cluster(&self) -> Result<ClusterRows, StoreError>;

    /// Replaces the view if its version is still `expected` (0: there is none); the new one is `expected + 1`.
    async fn swap_view(&self, expected: u64, view: &[u8]) -> Result<bool, StoreError>;

    /// Writes or renews a node's lease row: raises its beat and sets what it has acknowledged, never
    /// lowering either. False when a newer generation of the node has one.
    async fn renew_lease(&self, node: &str, generation: u64, acknowledged_version: u64) -> Result<bool, StoreError>;

    /// Removes the lease row of a node that is no longer in the view.
    async fn remove_lease(&self, node: &str, generation: u64) -> Result<(), StoreError>;

    /// Remembers the incarnation of a service's database on a server (by its name in the topology), unless a
    /// higher one is known; returns the highest known. It never falls; 0 asks without telling.
    async fn remember_incarnation(&self, service: &str, server: &str, incarnation: u64) -> Result<u64, StoreError>;
}

/// See [`ClusterStore::read_cluster`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterRows {
    /// 0 when there is no view yet.
    pub view_version: u64,
    /// JSON.
    pub view: Vec<u8>,
    /// All of them.
    pub leases: Vec<LeaseRow>,
}

/// One node's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// The node.
    pub node: String,
    /// Its life.
    pub generation: u64,
    /// The newest view whose losses it has stopped serving and flushed.
    pub acknowledged_version: u64,
    /// Raised by each renewal; observers time its standing still.
    pub beat: u64,
}

/// A state table and its declared columns.
#[derive(Clone, Copy, Debug)]
pub struct StateTable {
    /// Names database and table.
    pub kind: Kind,
    /// Beside the fixed ones (`shard, entity, part, version, seq, data, wake_at`).
    pub columns: &'static [Column],
}

/// A row of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Shard number.
    pub shard: u32,
    /// Contiguous within the shard, from 1.
    pub seq: u64,
    /// The view version under which the writer owns the shard.
    pub epoch: u64,
    /// `name@generation` of the node.
    pub writer: Arc<str>,
    /// `entity/key`; empty for claims and no-ops.
    pub entity: String,
    /// How many events the entity had had with this one; 0 for claims and no-ops.
    pub entity_version: u64,
    /// The entity's row before this one; 0 for its first.
    pub previous_seq: u64,
    /// What led to it.
    pub command_id: String,
    /// Event type, or [`CLAIM`], or [`NO_OP`].
    pub event_type: String,
    /// The event as JSON.
    pub payload: Vec<u8>,
    /// When it was decided.
    pub occurred_at: Timestamp,
    /// W3C traceparent, may be empty.
    pub traceparent: String,
}

/// How far a shard has been published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Shard number.
    pub shard: u32,
    /// Everything up to this row.
    pub seq: u64,
    /// The last row up to there that was a public event; 0 when there was none.
    pub published: u64,
}

/// The type of the row by which a node takes a shard.
pub const CLAIM: &str = "claim";
/// The type of the row by which a node proves that a shard is still its own.
pub const NO_OP: &str = "no-op";

/// One transaction.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Journal rows with their service; a shard's rows are in the order of their seq.
    pub journal: Vec<(&'static str, JournalRow)>,
    /// Each (table, shard, entity, part) at most once.
    pub states: Vec<StateWrite>,
}

/// The new content of one state row.
#[derive(Clone, Debug)]
pub struct StateWrite {
    /// Where.
    pub table: StateTable,
    /// Shard number.
    pub shard: u32,
    /// The entity.
    pub entity: Key,
    /// Empty for the head, else `set/key`.
    pub part: String,
    /// What to write, or nothing to delete the row.
    pub row: Option<StateRow>,
}

/// See [`StateWrite::row`].
#[derive(Clone, Debug)]
pub struct StateRow {
    /// The entity's version; meaningful in the head's row.
    pub version: u64,
    /// The entity's last journal row; meaningful in the head's row.
    pub seq: u64,
    /// JSON.
    pub data: Vec<u8>,
    /// When the entity must be awake; head only.
    pub wake_at: Option<Timestamp>,
    /// Values of the table's columns; empty (all null) in rows of parts.
    pub columns: Vec<ColumnValue>,
}

/// An entity as it was last committed.
#[derive(Clone, Debug, Default)]
pub struct StoredEntity {
    /// How many events it has had.
    pub version: u64,
    /// Its last journal row.
    pub seq: u64,
    /// The head as JSON.
    pub head: Vec<u8>,
    /// Part name (`set/key`) and JSON.
    pub parts: Vec<(String, Vec<u8>)>,
}

/// An entity that must be awake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Shard number.
    pub shard: u32,
    /// Since when.
    pub wake_at: Timestamp,
    /// The entity.
    pub key: Key,
}

/// See [`Store::list`].
#[derive(Clone, Debug)]
pub struct ListedRow {
    /// The entity.
    pub key: Key,
    /// Its version.
    pub version: u64,
    /// The head as JSON.
    pub head: Vec<u8>,
}

/// Why a read or a piece of housekeeping failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The server can't be reached or is busy; try again.
    #[error("{location} is unavailable: {cause}")]
    Unavailable {
        /// Which server.
        location: String,
        /// What it said.
        cause: String,
    },
    /// The server refused for a reason that trying again won't cure (rights, schema, full disk).
    #[error("{location} refused: {cause}")]
    Refused {
        /// Which server.
        location: String,
        /// What it said.
        cause: String,
    },
}

/// How a commit ended other than well.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// One of the batch's (shard, seq) exists already. Nothing of the batch is there.
    #[error("a journal row of the batch exists already")]
    Collision,
    /// The journals of these shards do not reach up to the batch, or end with somebody else's row: the server is
    /// another one than before and lacks rows that were durable. Nothing of the batch is there.
    #[error("rows in front of the batch are missing in {} shards: the database went back in time", shards.len())]
    Gap {
        /// Service and number.
        shards: Vec<ShardId>,
    },
    /// Deadlock, lock wait or a busy file; nothing of the batch is there. Send the same batch again.
    #[error("the transaction must be repeated: {0}")]
    Repeat(String),
    /// The session was lost; the batch may be there, may never be, or may still arrive.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// It could not be begun. Nothing of the batch is there.
    #[error("not begun: {0}")]
    NotBegun(StoreError),
    /// The server refused it for a reason that repeating won't cure; nothing of the batch is there.
    #[error("refused: {0}")]
    Refused(String),
}
