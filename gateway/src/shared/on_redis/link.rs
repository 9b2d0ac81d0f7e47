//! The connection to Redis with a deadline for each operation, and circuit breakers: after a few failures in a
//! row nothing is asked any more until a probe in the background has been answered, so that a server that is
//! away costs requests nothing.
//!
//! With a cluster each range of slots has a breaker of its own: a node that is away takes only its slots along.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use nakku_cluster::outage::Outage;
use redis::{Cmd, FromRedisValue, RedisError};

use super::connection::{Connection, Connector};
use super::script::Script;
use crate::metrics::METRICS;
use crate::shared::Away;
use crate::shared::settings::RedisSettings;

/// As many failures in a row open a circuit.
const FAILURES_MAX: u32 = 3;
/// Breakers of a cluster; each stands for 256 of its 16384 slots.
const CLUSTER_BREAKERS: u16 = 64;
/// Slots for each of them.
const SLOTS_PER_BREAKER: u16 = 16_384 / CLUSTER_BREAKERS;
/// Pause before the first probe; it doubles from one to the next.
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two probes.
const PROBE_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a probe may take: nobody waits for it.
const PROBE_DEADLINE: Duration = Duration::from_secs(1);
/// After so many probes without an answer a cluster's client is made anew, should it not have found back itself.
const PROBES_PER_CONNECTION: u32 = 4;

/// The connection to Redis.
pub struct Link {
    connector: Connector,
    deadline: Duration,
    prefix: String,
    connection: RwLock<Option<Connection>>,
    /// Held while a connection is made, so that probes make one at a time.
    connecting: tokio::sync::Mutex<()>,
    breakers: Vec<Breaker>,
    latency_us: AtomicU64,
    outage: Outage,
    /// For probes, which end with the link.
    this: Weak<Self>,
}

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whether everything that is kept on Redis can be reached.
    pub up: bool,
    /// Of the last operation that succeeded, in microseconds.
    pub latency_us: u64,
}

#[derive(Debug, Default)]
struct Breaker {
    open: AtomicBool,
    failures: AtomicU32,
}

impl Link {
    /// A link that connects in the background; waits for it for a moment.
    ///
    /// # Errors
    /// When a setting can't be right. A server that is away is no error.
    pub async fn start(settings: &RedisSettings) -> Result<Arc<Self>, String> {
        let connector = Connector::new(settings)?;
        let breakers = if connector.is_cluster() { CLUSTER_BREAKERS } else { 1 };
        let link = Arc::new_cyclic(|this| Self {
            connector,
            deadline: settings.deadline,
            prefix: settings.prefix.clone(),
            connection: RwLock::new(None),
            connecting: tokio::sync::Mutex::default(),
            breakers: (0..breakers).map(|_| Breaker::default()).collect(),
            latency_us: AtomicU64::new(0),
            outage: Outage::default(),
            this: this.clone(),
        });
        let first = link.connect().await;
        if let Err(error) = first {
            tracing::warn!(%error, "redis is away; going on without");
            link.open(0, link.prefix.clone());
        }
        link.report();
        Ok(link)
    }

    /// A key of this deployment.
    pub(super) fn key(&self, rest: fmt::Arguments<'_>) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// Asks Redis, within the deadline. `key` is one of the command's.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<T, Away> {
        self.within_deadline(operation, key, async |connection| connection.query(command).await).await
    }

    /// Has Redis run a script, within the deadline. All its keys are in one slot.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<T, Away> {
        let key = keys.first().copied().unwrap_or_default();
        self.within_deadline(operation, key, async |connection| {
            match connection.query(&script.by_hash(keys, arguments)).await {
                // Sent whole, it is known to that server from then on; loading it would need every server of a cluster.
                Err(error) if script.is_unknown(&error) => connection.query(&script.whole(keys, arguments)).await,
                answer => answer,
            }
        })
        .await
    }

    /// How the connection is.
    pub fn status(&self) -> LinkStatus {
        let closed = self.breakers.iter().all(|breaker| !breaker.open.load(Ordering::Acquire));
        let up = closed && self.connection().is_some();
        LinkStatus { up, latency_us: self.latency_us.load(Ordering::Relaxed) }
    }

    async fn within_deadline<T>(
        &self,
        operation: &'static str,
        key: &str,
        ask: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, Away> {
        let count = |outcome: &str| METRICS.redis_operations.with_label_values(&[operation, outcome]).inc();
        let index = self.breaker_of(key);
        let breaker = &self.breakers[index];
        let connection = self.connection().filter(|_| !breaker.open.load(Ordering::Acquire));
        let Some(mut connection) = connection else {
            count("away");
            return Err(Away);
        };
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.deadline, ask(&mut connection)).await;
        let failure = match answer {
            Ok(Ok(answer)) => {
                let elapsed = begun.elapsed();
                breaker.failures.store(0, Ordering::Relaxed);
                self.latency_us.store(elapsed.as_micros() as u64, Ordering::Relaxed);
                METRICS.redis_seconds.with_label_values(&[operation]).observe(elapsed.as_secs_f64());
                count("done");
                return Ok(answer);
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        count(if failure.is_some() { "failed" } else { "timed_out" });
        let failures = breaker.failures.fetch_add(1, Ordering::Relaxed) + 1;
        // A connection to one server does not come back by itself once it is gone.
        let gone = !self.connector.is_cluster() && failure.as_ref().is_some_and(RedisError::is_io_error);
        match &failure {
            Some(error) => tracing::debug!(operation, %error, "redis failed"),
            None => tracing::debug!(operation, "redis did not answer in time"),
        }
        if gone || failures >= FAILURES_MAX {
            self.open(index, key.to_owned());
        }
        Err(Away)
    }

    /// Opens a circuit and has a task look when it can be closed again, by asking for a key.
    fn open(&self, index: usize, key: String) {
        if self.breakers[index].open.swap(true, Ordering::AcqRel) {
            return;
        }
        if !self.connector.is_cluster() {
            self.set_connection(None);
        }
        self.tell_away(index);
        self.report();
        let this = self.this.clone();
        tokio::spawn(async move {
            let mut probes = 0;
            loop {
                let pause = PROBE_PAUSE_MIN.saturating_mul(1 << probes.min(16)).min(PROBE_PAUSE_MAX);
                // Gateways that lost the server at the same moment do not all come back at once.
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.8..1.2))).await;
                probes += 1;
                let Some(link) = this.upgrade() else { return };
                if link.probe(&key, probes).await {
                    link.breakers[index].failures.store(0, Ordering::Relaxed);
                    link.breakers[index].open.store(false, Ordering::Release);
                    link.tell_back(index);
                    link.report();
                    return;
                }
                link.tell_away(index);
            }
        });
    }

    fn tell_away(&self, circuit: usize) {
        if let Some(told) = self.outage.failed() {
            tracing::warn!(circuit, lasted_ms = told.lasted_ms, "redis does not answer; going on without");
        }
    }

    fn tell_back(&self, circuit: usize) {
        let all_closed = self.breakers.iter().all(|breaker| !breaker.open.load(Ordering::Acquire));
        if all_closed && let Some(told) = self.outage.works() {
            tracing::info!(circuit, lasted_ms = told.lasted_ms, "redis answers again");
        }
    }

    /// Whether Redis answers for a key.
    async fn probe(&self, key: &str, probes: u32) -> bool {
        if self.connection().is_none() || probes.is_multiple_of(PROBES_PER_CONNECTION) {
            // Another probe may be at it: one at a time.
            let Ok(_alone) = self.connecting.try_lock() else { return false };
            if let Err(error) = self.connect().await {
                tracing::debug!(%error, "redis is still away");
                return false;
            }
        }
        let Some(mut connection) = self.connection() else { return false };
        let mut exists = redis::cmd("EXISTS");
        exists.arg(key);
        matches!(tokio::time::timeout(PROBE_DEADLINE, connection.query::<u64>(&exists)).await, Ok(Ok(_)))
    }

    async fn connect(&self) -> Result<(), RedisError> {
        let connection = self.connector.connect().await?;
        self.set_connection(Some(connection));
        Ok(())
    }

    fn connection(&self) -> Option<Connection> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_connection(&self, connection: Option<Connection>) {
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    fn breaker_of(&self, key: &str) -> usize {
        if self.connector.is_cluster() { usize::from(slot(key) / SLOTS_PER_BREAKER) } else { 0 }
    }

    fn report(&self) {
        METRICS.redis_up.set(i64::from(self.status().up));
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// A key's slot in a cluster: the CRC-16 (XMODEM) of the key, or of what stands in its first pair of braces.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("foo{hash_tag}"), slot("bar{hash_tag}"));
        assert_eq!(slot("foo{hash_tag}"), 2515);
        assert_ne!(slot("{}a"), slot("{}b"), "an empty tag is none");
        assert_eq!(slot("a{b}{c}"), slot("b"));
    }
}
