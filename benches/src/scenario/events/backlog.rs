//! A backlog that is committed while Kafka can't be reached, and how fast it is published once it can: the way from the
//! journal to Kafka's acknowledgement alone, next to a producer that has nothing else to do either.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use nakku_cluster::events::kafka::KafkaSettings;
use nakku_cluster::metrics::define;
use nakku_cluster::topology::SHARD_COUNT_DEFAULT;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::sample::{self, SOURCE};
use super::{EVENTS_PER_COMMAND, POSITIONS_WRITTEN, Way};
use crate::arguments::BenchArguments;
use crate::error::BenchError;
use crate::node;
use crate::peer::{self, Peer};

/// Events of each shard's backlog.
pub const PER_SHARD: u32 = 16_384;
/// One part in so many of it is published before anything is measured, as anything else is warmed up.
const WARM_UP: u64 = 4;
/// The longest that publishing may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// And that with the making of the backlog.
const WHOLE_PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at how much has been published.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The brokers, and which topics there.
#[derive(Debug, Serialize, Deserialize)]
pub struct To {
    brokers: Vec<String>,
    topic_prefix: String,
    replication: u16,
}

/// How fast a backlog came and went, in events per second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Rates {
    /// Its commits, with nothing else to do.
    pub committed: f64,
    /// Its publishing.
    pub published: f64,
}

/// Has a node commit a backlog and publish it from its journal.
///
/// # Errors
/// When the node does not start, or the backlog is not published in time.
pub async fn measure(
    arguments: &BenchArguments,
    database_url: &str,
    kafka: &KafkaSettings,
) -> Result<Rates, BenchError> {
    let KafkaSettings { brokers, topic_prefix, replication, .. } = kafka.clone();
    let to = serde_json::to_string(&To { brokers, topic_prefix, replication })?;
    let mut node = Peer::start(&arguments.executable, &["events-backlog", database_url, &to])?;
    let rates = node.hear(WHOLE_PATIENCE).await?;
    // It goes on with the next one where this one has ended.
    tokio::time::sleep(POSITIONS_WRITTEN).await;
    node.stop().await;
    Ok(rates)
}

/// Peer: commits a backlog, publishes it and says how fast each was.
///
/// # Errors
/// As [`measure`].
pub async fn publish(database_url: &str, to: To) -> Result<(), BenchError> {
    let To { brokers, topic_prefix, replication } = to;
    let kafka = KafkaSettings { topic_prefix, replication, ..KafkaSettings::new(brokers) };
    let gate = Gate::new().await?;
    let behind = KafkaSettings { brokers: vec![gate.address.to_string()], ..kafka.clone() };
    let node = node::start_with_kafka("backlog", &[SOURCE], database_url, sample::services(), Some(behind)).await?;
    let way = Way::new(node.cluster());
    let began = Instant::now();
    for _ in 0..PER_SHARD / EVENTS_PER_COMMAND {
        let emitted = join_all((0..SHARD_COUNT_DEFAULT).map(|shard| way.emit(shard, EVENTS_PER_COMMAND))).await;
        emitted.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let committed = f64::from(SHARD_COUNT_DEFAULT * PER_SHARD) / began.elapsed().as_secs_f64();
    let before = published();
    let all = before + u64::from(SHARD_COUNT_DEFAULT * PER_SHARD);
    let _open = gate.open(&kafka.brokers).await?;
    let first = until(before + (all - before) / WARM_UP).await?;
    let began = Instant::now();
    let last = until(all).await?;
    let published = (last - first) as f64 / began.elapsed().as_secs_f64();
    peer::say(&Rates { committed, published })?;
    peer::until_released().await;
    node.drain().await.map_err(|error| BenchError::failed("the node of the backlog", error))
}

/// Waits until so many events have been published by this process; returns how many have.
async fn until(wanted: u64) -> Result<u64, BenchError> {
    let began = Instant::now();
    loop {
        match published() {
            now if now >= wanted => return Ok(now),
            now if began.elapsed() > PATIENCE => {
                let late = format!("{now} events of {wanted} after {} s", PATIENCE.as_secs());
                return Err(BenchError::failed("publishing the backlog", late));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// How many events of the source the brokers have acknowledged to this process.
fn published() -> u64 {
    let of_source = format!("service=\"{SOURCE}\"");
    let text = define::text();
    let lines =
        text.lines().filter(|line| line.starts_with("nakku_events_published_total{") && line.contains(&of_source));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// An address at which brokers can be reached once it is open. What they tell of themselves leads to their own.
struct Gate {
    address: SocketAddr,
}

/// Closes it again when it is dropped.
struct Opened(AbortHandle);

impl Gate {
    async fn new() -> Result<Self, BenchError> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { address: listener.local_addr()? })
    }

    async fn open(self, brokers: &[String]) -> Result<Opened, BenchError> {
        let listener = TcpListener::bind(self.address).await?;
        let broker = brokers.first().cloned().ok_or_else(|| BenchError::failed("brokers", "there are none"))?;
        let passing = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let broker = broker.clone();
                connections.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(broker).await {
                        // Either side may close; librdkafka comes again.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Ok(Opened(passing.abort_handle()))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.abort();
    }
}
