//! The Kafka brokers: those that were given, or three throw-away ones.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::database::{SCRIPT, script};
use crate::error::BenchError;

/// Brokers for one run.
#[derive(Debug)]
pub struct Brokers {
    /// `HOST:PORT` of each.
    pub addresses: Vec<String>,
    /// Their processes, where they were started by the repository's script.
    pub pids: Vec<u32>,
    /// Holds the pipe whose end stops them, however this process ends.
    _script: Option<Child>,
}

impl Brokers {
    /// The given ones (`HOST:PORT,HOST:PORT,…`), those that the script for servers has started around this program,
    /// or some of its own.
    ///
    /// # Errors
    /// When none can be started.
    pub async fn open(given: Option<&str>) -> Result<Self, BenchError> {
        if let Some(given) = given {
            return Ok(Self { addresses: addresses(given), pids: Vec::new(), _script: None });
        }
        if let (Ok(url), Ok(folder)) = (std::env::var("NAKKU_TEST_KAFKA_URL"), std::env::var("NAKKU_TEST_KAFKA_DIR")) {
            return Ok(Self { addresses: addresses(&url), pids: pids(Path::new(&folder)), _script: None });
        }
        let what = "throw-away Kafka brokers";
        let script = script().ok_or_else(|| {
            BenchError::failed(what, format!("found no {SCRIPT}; run this in the repository, or give --kafka BROKERS"))
        })?;
        let mut child = Command::new(script)
            .args(["with", "kafka", "--", "sh", "-c"])
            .arg("echo \"$NAKKU_TEST_KAFKA_URL $NAKKU_TEST_KAFKA_DIR\"; exec cat >/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or_else(|| BenchError::failed(what, "no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        let Some((url, folder)) = line.trim().split_once(' ') else {
            return Err(BenchError::failed(what, format!("did not start; try: {SCRIPT} install")));
        };
        Ok(Self { addresses: addresses(url), pids: pids(Path::new(folder)), _script: Some(child) })
    }
}

fn addresses(given: &str) -> Vec<String> {
    given.split(',').map(str::trim).filter(|one| !one.is_empty()).map(ToOwned::to_owned).collect()
}

fn pids(folder: &Path) -> Vec<u32> {
    let read = |number: u32| std::fs::read_to_string(folder.join(format!("node-{number}/pid"))).ok();
    (1..).map_while(read).filter_map(|pid| pid.trim().parse().ok()).collect()
}
