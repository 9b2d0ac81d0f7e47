//! The Kafka brokers: those that were given, or three throw-away ones.

use std::path::Path;

use crate::error::BenchError;
use crate::throw_away::{ThrowAway, Wanted};

/// Brokers for one run.
#[derive(Debug)]
pub struct Brokers {
    /// `HOST:PORT` of each.
    pub addresses: Vec<String>,
    /// Their processes, where they were started by the repository's script.
    pub pids: Vec<u32>,
    /// They end with it.
    _servers: Option<ThrowAway>,
}

impl Brokers {
    /// The given ones (`HOST:PORT,HOST:PORT,…`), those that the script for servers has started around this program,
    /// or some of its own.
    ///
    /// # Errors
    /// When none can be started.
    pub async fn open(given: Option<&str>) -> Result<Self, BenchError> {
        if let Some(given) = given {
            return Ok(Self { addresses: addresses(given), pids: Vec::new(), _servers: None });
        }
        if let (Ok(url), Ok(folder)) = (std::env::var("NAKKU_TEST_KAFKA_URL"), std::env::var("NAKKU_TEST_KAFKA_DIR")) {
            return Ok(Self { addresses: addresses(&url), pids: pids(Path::new(&folder)), _servers: None });
        }
        let servers = ThrowAway::start(Wanted {
            server: "kafka",
            what: "throw-away Kafka brokers",
            instead: "--kafka BROKERS",
            tell: "$NAKKU_TEST_KAFKA_DIR",
        });
        let servers = servers.await?;
        Ok(Self { addresses: addresses(&servers.url), pids: pids(Path::new(&servers.rest)), _servers: Some(servers) })
    }
}

fn addresses(given: &str) -> Vec<String> {
    given.split(',').map(str::trim).filter(|one| !one.is_empty()).map(ToOwned::to_owned).collect()
}

fn pids(folder: &Path) -> Vec<u32> {
    let read = |number: u32| std::fs::read_to_string(folder.join(format!("node-{number}/pid"))).ok();
    (1..).map_while(read).filter_map(|pid| pid.trim().parse().ok()).collect()
}
