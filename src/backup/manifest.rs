//! What is in the folder, and of what kind.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use nakku_cluster::store::snapshot::Table;
use nakku_cluster::topology::Topology;
use serde::{Deserialize, Serialize};

use super::BackupError;

/// Its name in the folder.
pub const FILE: &str = "manifest.json";
/// The format of folder and files; raised when an older program could not read them.
pub const FORMAT: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that made it.
    pub nakku_version: String,
    /// The cluster's name.
    pub cluster: String,
    /// When, in UTC.
    pub taken_at: String,
    /// The longest that any writer waited for it, in milliseconds.
    pub writers_held_up_ms: u64,
    /// What the cluster was founded with.
    pub topology: Topology,
    /// The highest incarnation of each service's databases.
    pub incarnations: BTreeMap<String, u64>,
    /// The newest migrations of each database.
    pub schemas: BTreeMap<String, Schema>,
    /// Every file.
    pub files: Vec<TableFile>,
}

/// The newest migrations of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Of the tables that every service has.
    pub store: u32,
    /// Of its own.
    pub service: u32,
}

/// One table of one database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableFile {
    /// Its place in the folder.
    pub file: String,
    /// The service, or `cluster`.
    pub database: String,
    /// The server by its name in the topology.
    pub server: String,
    /// The table and its columns, in the order in which rows have them.
    pub table: Table,
    /// How many rows.
    pub rows: u64,
    /// Of the compressed file.
    pub bytes: u64,
    /// Of the compressed file.
    pub sha256: String,
}

impl Manifest {
    /// Reads that of a folder.
    ///
    /// # Errors
    /// When there is none, it is none, or it is of a newer format.
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let file = folder.join(FILE);
        let text = std::fs::read(&file).map_err(|error| {
            BackupError::file(&file, format!("{error}; name the folder of a backup, as nakku backup has made it"))
        })?;
        let format: Format = serde_json::from_slice(&text).map_err(|error| damaged(&file, error))?;
        if format.format > FORMAT {
            let what = format!("format {} of backups", format.format);
            return Err(BackupError::TooNew { version: format.nakku_version, what });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| damaged(&file, error))?;
        let leaves =
            |one: &&TableFile| Path::new(&one.file).components().any(|part| !matches!(part, Component::Normal(_)));
        match manifest.files.iter().find(leaves) {
            Some(outside) => Err(damaged(&file, format!("{} is not in the folder", outside.file))),
            None => Ok(manifest),
        }
    }

    /// Where a table's file is.
    pub fn path(folder: &Path, file: &TableFile) -> PathBuf {
        folder.join(&file.file)
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
    nakku_version: String,
}

fn damaged(file: &Path, reason: impl std::fmt::Display) -> BackupError {
    BackupError::Damaged { path: file.display().to_string(), reason: reason.to_string() }
}
