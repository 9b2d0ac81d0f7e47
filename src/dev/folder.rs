//! The data folder of a local dev, which one process holds at a time.

use std::fs::{File, TryLockError};
use std::io::{Seek, Write};
use std::path::Path;

use crate::cli::outcome::Wrong;

/// Holds the folder until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Held {
    _lock: File,
}

/// Makes the folder where it is missing, and takes it.
///
/// # Errors
/// When another dev holds it, or it can't be made.
pub fn hold(data: &Path) -> Result<Held, Wrong> {
    let shown = data.display();
    let told = |error: std::io::Error| {
        Wrong::Failed(format!("can't use the data folder {shown}: {error}; name another by --data DIR"))
    };
    std::fs::create_dir_all(data).map_err(told)?;
    let name = data.join("dev.lock");
    let mut lock = File::options().read(true).write(true).create(true).truncate(false).open(&name).map_err(told)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&name).unwrap_or_default();
            return Err(Wrong::Failed(format!(
                "another nakku dev (process {}) runs on {shown}; stop it, or name another folder by --data DIR",
                holder.trim()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(told(error)),
    }
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(told)?;
    writeln!(lock, "{}", std::process::id()).map_err(told)?;
    Ok(Held { _lock: lock })
}
