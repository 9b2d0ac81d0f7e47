//! What a running `nakku dev` leaves in its data folder for the client commands: `dev.json`, readable by its
//! owner only, and gone when the dev has ended in good order.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The content of `dev.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Local {
    /// Bearer token of the admin API.
    pub admin_token: String,
    /// All nodes; the first is the dev itself.
    pub nodes: Vec<LocalNode>,
}

/// One of its nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalNode {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Base URL of its API.
    pub api: String,
    /// Base URL of its admin API.
    pub admin: String,
    /// Where its links listen.
    pub links: String,
}

impl Local {
    /// Reads it, if there is one.
    pub fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file(data)).ok()?).ok()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        write_private(&file(data), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes it.
    pub fn remove(data: &Path) {
        // One that is gone already needs no removing, and one that stays is found to be dead by its reader.
        let _ = std::fs::remove_file(file(data));
    }
}

/// Writes a file that only its owner may read, so that a reader sees the old content or the new.
///
/// # Errors
/// When the folder does not take it.
pub fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    // One that was left by a process that ended in between must not lend its mode.
    if let Err(error) = std::fs::remove_file(&unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    open.write_all(content)?;
    open.sync_all()?;
    std::fs::rename(&unfinished, file)
}

fn file(data: &Path) -> PathBuf {
    data.join("dev.json")
}
