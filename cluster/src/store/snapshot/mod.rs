//! What the databases of a cluster hold as of one moment, read row by row while nodes go on writing, and rows put
//! back into empty tables: what a backup and its restore need of a server.
//!
//! The databases may lie on any number of servers, and between two of them there are only promises: an order on one
//! rests on a reservation on another. So the moment must be the same everywhere. [`take`] holds all writers up at a
//! barrier, for as long as it takes to begin a transaction with a consistent snapshot on every server, and lets them
//! go on; what it gives back is read at leisure.
//!
//! - `barrier`: the one moment
//! - `read`: tables and their rows, streamed
//! - `fill`: rows back into tables, and tables emptied

mod barrier;
mod fill;
mod read;

pub use barrier::{Moment, Wanted, take};
pub use fill::{Contents, Filler, clear, layouts};
pub use read::{SchemaVersions, Snapshot};

use std::io;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::session::Fault;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Any number.
    Integer(i64),
    /// Texts too are bytes.
    Bytes(Vec<u8>),
}

/// What a column holds, beside nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Numbers.
    Integer,
    /// Bytes.
    Bytes,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: CellKind,
}

/// One table, without the prefix of its database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// In their order.
    pub columns: Vec<TableColumn>,
}

impl Table {
    /// Where a column stands.
    pub fn index(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|one| one.name == column)
    }
}

/// Why there is no snapshot, or a row could not be read or put back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A server can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The account may not hold writers up, or not read.
    #[error(
        "{location}: {cause}; a backup reads every table and holds writers up for a moment, for which an administrator \
         of that server grants: GRANT SELECT, LOCK TABLES ON `nakku\\_%`.* TO the user of the address"
    )]
    Privilege {
        /// Which server.
        location: String,
        /// What it said.
        cause: String,
    },
    /// Writers could not be held up everywhere at once.
    #[error("{location} could not hold its writers up for the moment of the backup: {cause}; try again")]
    Barrier {
        /// Which server.
        location: String,
        /// What it said.
        cause: String,
    },
    /// A column that no migration of this program makes.
    #[error("column {column} of {table} at {location} is of type {found}, which this version does not know")]
    Column {
        /// Which server.
        location: String,
        /// The table with its database.
        table: String,
        /// The column.
        column: String,
        /// Its type there.
        found: String,
    },
    /// Whoever takes the rows could not.
    #[error("{0}")]
    Sink(#[from] io::Error),
}

/// Errors of a server are told apart by what its user may do about them.
fn fault_at(location: &str, fault: Fault) -> SnapshotError {
    let location = location.to_owned();
    match fault {
        Fault::Refused(cause) if cause.contains("denied") => SnapshotError::Privilege { location, cause },
        Fault::Duplicate(cause) | Fault::Exists(cause) | Fault::Refused(cause) => {
            SnapshotError::Store(StoreError::Refused { location, cause })
        }
        Fault::Lost(cause) | Fault::Unavailable(cause) | Fault::Again(cause) => {
            SnapshotError::Store(StoreError::Unavailable { location, cause })
        }
    }
}
