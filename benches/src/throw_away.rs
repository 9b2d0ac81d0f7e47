//! Servers for one run, started by the repository's script for servers.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::error::BenchError;

/// Where the script is, seen from the repository's root.
const SCRIPT: &str = "deploy/servers/run";

/// What was started. The script runs `cat` as its command: that ends, and the servers with it, when this process has
/// closed the pipe, which the kernel does for whatever reason the process ends.
#[derive(Debug)]
pub struct ThrowAway {
    /// Where the servers are, as the script tells the commands that it runs.
    pub url: String,
    /// What else was to be told.
    pub rest: String,
    _script: Child,
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// As the script calls it.
    pub server: &'static str,
    /// In words, for when it does not start.
    pub what: &'static str,
    /// The flag by which one's own is given instead.
    pub instead: &'static str,
    /// What to tell beside the URL, in the shell's words.
    pub tell: &'static str,
}

impl ThrowAway {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no such script, or it can't start that.
    pub async fn start(Wanted { server, what, instead, tell }: Wanted) -> Result<Self, BenchError> {
        let script = script().ok_or_else(|| {
            BenchError::failed(what, format!("found no {SCRIPT}; run this in the repository, or give {instead}"))
        })?;
        let variable = server.to_uppercase();
        let mut child = Command::new(script)
            .args(["with", server, "--", "sh", "-c"])
            .arg(format!("echo \"$NAKKU_TEST_{variable}_URL {tell}\"; exec cat >/dev/null"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or_else(|| BenchError::failed(what, "no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        match line.trim().split_once(' ') {
            Some((url, rest)) => Ok(Self { url: url.to_owned(), rest: rest.to_owned(), _script: child }),
            None => Err(BenchError::failed(what, format!("did not start; try: {SCRIPT} install"))),
        }
    }
}

/// Looked for above the working folder, the program and the sources.
fn script() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let starts = [std::env::current_dir().ok(), program, Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")))];
    let mut scripts = starts.iter().flatten().flat_map(|start| start.ancestors()).map(|folder| folder.join(SCRIPT));
    scripts.find(|script| script.exists())
}
