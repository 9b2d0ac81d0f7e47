//! Backups: a folder with everything that the databases of a cluster hold as of one moment, and the way back.
//!
//! The folder has a `manifest.json` and one compressed file for each table of each database. It is written under
//! another name, which it loses only when it is whole, so that half a backup is never taken for one. Only its owner may
//! read it: it holds what is known of people, and the hashes of their passwords.
//!
//! - [`manifest`]: what is in the folder, and of what kind
//! - [`rows`]: how rows are written to files
//! - [`save`]: `nakku backup`
//! - [`load`]: `nakku restore`

pub mod load;
pub mod manifest;
pub mod rows;
pub mod save;

use nakku_cluster::restore::RestoreError;
use nakku_cluster::store::StoreError;
use nakku_cluster::store::snapshot::SnapshotError;
use nakku_cluster::topology::TopologyError;

/// Why a backup was not made, or not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A server can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no common moment, or a row can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The settings are not those of the cluster.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// It can't be put back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// There is nothing to be saved.
    #[error("{location} holds no cluster; set databases as the nodes have them")]
    NoCluster {
        /// The cluster database.
        location: String,
    },
    /// The folder can't be used.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: String,
        /// Why not.
        cause: String,
    },
    /// The folder is not what was written.
    #[error("{path} is not as it was written: {reason}; take another backup")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer program has made it.
    #[error("the backup was made by nakku {version} with {what}, which nakku {own} does not know; restore it with {version} or later", own = env!("CARGO_PKG_VERSION"))]
    TooNew {
        /// That program's version.
        version: String,
        /// What this one lacks.
        what: String,
    },
}

impl BackupError {
    fn file(path: &std::path::Path, cause: impl std::fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), cause: cause.to_string() }
    }
}
