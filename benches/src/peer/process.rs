//! A process beside this one that runs a task of this program.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::error::BenchError;

/// See the module. Dropped, it is killed.
#[derive(Debug)]
pub struct Peer {
    task: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts a task.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(executable: &Path, task: &[&str]) -> Result<Self, BenchError> {
        let mut child = Command::new(executable)
            .args(["bench", super::NAME])
            .args(task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let name = task.first().copied().unwrap_or_default().to_owned();
        let output = child.stdout.take().ok_or_else(|| BenchError::failed(&name, "no output"))?;
        Ok(Self { task: name, child, lines: BufReader::new(output).lines() })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// The next thing that it says.
    ///
    /// # Errors
    /// When it ends or says nothing in time.
    pub async fn hear<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<T, BenchError> {
        match tokio::time::timeout(patience, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(serde_json::from_str(&line)?),
            Ok(Ok(None)) => Err(BenchError::failed(&self.task, "it ended; see above")),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(BenchError::failed(&self.task, format!("silent for {} s", patience.as_secs()))),
        }
    }

    /// Kills it by SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn kill(&mut self) -> Result<(), BenchError> {
        Ok(self.child.kill().await?)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            // It is killed when dropped.
            tracing::debug!(task = self.task, "peer did not end by itself");
        }
    }
}
