//! Whose turn it is to write to a SQLite file.
//!
//! SQLite lets one connection write at a time, and whoever waits for it polls with ever longer pauses, so a
//! busy process would starve the others that share the file. Here writers queue instead: within a process
//! on a mutex, between processes on two locked files beside the database. Who waits holds the first of
//! them, the queue, while it blocks on the second, the turn; who has just written and wants to again must
//! pass the queue first, and so comes behind it. A process that dies loses its locks.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::session::Fault;

/// The queue of one file's writers.
pub(super) struct Turns {
    queue: PathBuf,
    turn: PathBuf,
    /// A thread that still waits for the other processes, when whoever sent it has given up.
    waiting: Arc<Mutex<Option<Waiting>>>,
}

type Waiting = JoinHandle<io::Result<File>>;

/// The right to write, until it is dropped.
pub(super) struct Turn {
    _file: File,
    _waiting: OwnedMutexGuard<Option<Waiting>>,
}

impl Turns {
    pub(super) fn new(database: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut path = database.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { queue: beside("-queue"), turn: beside("-turn"), waiting: Arc::default() }
    }

    /// Waits for the turn.
    pub(super) async fn take(&self, timeout: Duration) -> Result<Turn, Fault> {
        match tokio::time::timeout(timeout, self.wait()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(error)) => Err(Fault::Refused(format!("{}: {error}", self.turn.display()))),
            Err(_) => Err(Fault::Again("other writers are still busy".to_owned())),
        }
    }

    async fn wait(&self) -> io::Result<Turn> {
        let mut waiting = self.waiting.clone().lock_owned().await;
        if waiting.is_none() {
            if let Some(file) = take_at_once(&self.queue, &self.turn)? {
                return Ok(Turn { _file: file, _waiting: waiting });
            }
            let (queue, turn) = (self.queue.clone(), self.turn.clone());
            *waiting = Some(tokio::task::spawn_blocking(move || take_in_order(&queue, &turn)));
        }
        // Left in its place until it is done, so that giving up here loses no thread and no lock.
        let outcome = match waiting.as_mut() {
            Some(thread) => thread.await.map_err(io::Error::other),
            None => unreachable!("it has just been set"),
        };
        *waiting = None;
        Ok(Turn { _file: outcome??, _waiting: waiting })
    }
}

/// The turn, if neither it nor the queue is anybody's.
fn take_at_once(queue: &Path, turn: &Path) -> io::Result<Option<File>> {
    let queue = open(queue)?;
    if queue.try_lock().is_err() {
        return Ok(None);
    }
    let turn = open(turn)?;
    Ok(turn.try_lock().is_ok().then_some(turn))
}

fn take_in_order(queue: &Path, turn: &Path) -> io::Result<File> {
    let queue = open(queue)?;
    queue.lock()?;
    let turn = open(turn)?;
    turn.lock()?;
    Ok(turn)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}
