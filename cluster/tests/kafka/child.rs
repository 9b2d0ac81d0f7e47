//! A child process: one node that does what its parent says, one line of JSON per order.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use nakku_cluster::events::intake::{Command, Reply, key_of};
use nakku_cluster::events::kafka::{KafkaSecurity, KafkaSettings};
use nakku_cluster::events::{Intake, rebuild};
use nakku_cluster::membership::Roles;
use nakku_cluster::metrics::define::text;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::topology::shard_of;
use nakku_cluster::{Ask, Cluster, Key, Ref};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::settings;
use crate::tally::{self, Ask as Told, Sums, Tally, Total};

/// The environment variable that makes a child of a process.
pub const VARIABLE: &str = "NAKKU_TEST_KAFKA_NODE";
/// What answers begin with, since the test harness prints as well.
pub const ANSWER: &str = "answer ";
const SHARDS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(30);
/// Entities that are raised under load.
const CALLERS: usize = 16;

/// What a child is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    pub name: String,
    pub roles: Vec<String>,
    /// Of the database, shared by the nodes of a cluster.
    pub folder: PathBuf,
    /// Without any, events go from the journal straight to the consumers.
    pub brokers: Option<String>,
    pub topic_prefix: String,
    pub replication: u16,
    pub create_topics: bool,
    pub login: Option<Login>,
}

/// How to get in where brokers are protected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    pub username: String,
    pub password: String,
    pub authority: PathBuf,
}

/// What a child is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Raises each of so many entities so often.
    Raise { keys: usize, count: usize },
    /// Raises one by that much.
    RaiseBy { key: String, by: i64 },
    /// Raises so many entities over and over, until told to rest, each caller with a pause between.
    Load { keys: usize, pause_ms: u64 },
    /// Answers with how often it raised since the load began, and the slowest of it in milliseconds.
    Rest,
    /// Of so many entities: what the source knows and what the consumer knows.
    Compare { keys: usize },
    /// What the consumer knows of one entity.
    Seen { key: String },
    /// Dead letters of the intake that consumes an entity's shard: their reasons.
    Letters { key: String },
    /// Has all intakes begin anew.
    Rebuild,
    /// How far that is.
    Rebuilding,
    /// What the node says of Kafka, and how many rows it has not published.
    Status,
    /// Hands over and ends.
    Drain,
}

pub fn run() {
    let Ok(start) = std::env::var(VARIABLE) else { return };
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("NAKKU_TEST_LOG").unwrap_or("info,ractor=warn,ractor_cluster=error".into()))
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let start: Start = serde_json::from_str(&start).expect("what the parent wrote");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(serve(start));
    // What a test left behind must not hold the process.
    std::process::exit(0);
}

async fn serve(start: Start) {
    let roles = Roles::new(start.roles.clone());
    let settings = settings::settings(&start.name, roles, &start.folder, SHARDS);
    let settings = NodeSettings { kafka: start.brokers.as_deref().map(|brokers| kafka(&start, brokers)), ..settings };
    let node = match Node::start(settings, tally::services(), Vec::new()).await {
        Ok(node) => node,
        Err(error) => return answer(&json!({ "error": error.to_string() })),
    };
    answer(&json!("up"));
    let (orders, mut told) = tokio::sync::mpsc::unbounded_channel::<Order>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if orders.send(serde_json::from_str(&line).expect("an order")).is_err() {
                return;
            }
        }
    });
    let load = Arc::new(Load::default());
    while let Some(order) = told.recv().await {
        let drains = matches!(order, Order::Drain);
        answer(&follow(order, &node, &load).await);
        if drains {
            return;
        }
    }
}

fn kafka(start: &Start, brokers: &str) -> KafkaSettings {
    let plain = KafkaSettings {
        topic_prefix: start.topic_prefix.clone(),
        partitions: 3,
        replication: start.replication,
        create_topics: start.create_topics,
        ..KafkaSettings::new(brokers.split(',').map(Into::into).collect())
    };
    match start.login.clone() {
        None => plain,
        Some(Login { username, password, authority }) => {
            KafkaSettings { security: KafkaSecurity::SaslTls, username, password, authority: Some(authority), ..plain }
        }
    }
}

fn answer(value: &Value) {
    println!("{ANSWER}{value}");
}

#[derive(Default)]
struct Load {
    runs: AtomicBool,
    raised: AtomicI64,
    slowest_ms: AtomicI64,
}

async fn follow(order: Order, node: &Node, load: &Arc<Load>) -> Value {
    let cluster = node.cluster();
    match order {
        Order::Raise { keys, count } => {
            for by in 1..=count {
                join_all((0..keys).map(|number| raise(&cluster, key(number), by as i64))).await;
            }
            json!(null)
        }
        Order::RaiseBy { key, by } => {
            raise(&cluster, Key::new(key).expect("a key"), by).await;
            json!(null)
        }
        Order::Load { keys, pause_ms } => {
            load.runs.store(true, Ordering::SeqCst);
            load.raised.store(0, Ordering::SeqCst);
            load.slowest_ms.store(0, Ordering::SeqCst);
            for caller in 0..CALLERS {
                let (cluster, load) = (cluster.clone(), Arc::clone(load));
                tokio::spawn(async move {
                    let mut number = caller;
                    while load.runs.load(Ordering::SeqCst) {
                        let target: Ref<Tally> = Ref::new(key(number % keys));
                        let began = Instant::now();
                        let raised = cluster.ask(&target, &Told::Raise(1), Ask::within(PATIENCE)).await;
                        load.raised.fetch_add(i64::from(raised.is_ok()), Ordering::SeqCst);
                        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
                        load.slowest_ms.fetch_max(took_ms, Ordering::SeqCst);
                        number += CALLERS;
                        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    }
                });
            }
            json!(null)
        }
        Order::Rest => {
            load.runs.store(false, Ordering::SeqCst);
            let (raised, slowest_ms) = (load.raised.load(Ordering::SeqCst), load.slowest_ms.load(Ordering::SeqCst));
            json!({ "raised": raised, "slowest_ms": slowest_ms })
        }
        Order::Compare { keys } => {
            let pairs = (0..keys).map(async |number| {
                let target: Ref<Tally> = Ref::new(key(number));
                let told = cluster.ask(&target, &Told::Read, Ask::within(PATIENCE)).await;
                let told = told.map(|answered| answered.reply).map_err(|error| error.to_string());
                (told, seen(&cluster, key(number)).await)
            });
            json!(join_all(pairs).await)
        }
        Order::Seen { key } => json!(seen(&cluster, Key::new(key).expect("a key")).await),
        Order::Letters { key } => {
            let command = Command::DeadLetters { after: 0, limit: 100 };
            let target = intake(&Key::new(key).expect("a key"));
            match cluster.ask(&target, &command, Ask::within(PATIENCE)).await.expect("letters").reply {
                Reply::DeadLetters(letters) => {
                    json!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>())
                }
                other => panic!("{other:?}"),
            }
        }
        Order::Rebuild => json!(rebuild::begin::<Sums>(&cluster).await.expect("all begin anew")),
        Order::Rebuilding => json!(rebuild::progress::<Sums>(&cluster).await.expect("heads")),
        Order::Status => {
            let status = cluster.status().await;
            let kafka = status.dependencies.iter().find(|one| one.name == "kafka").expect("kafka is a dependency");
            let text = text();
            let lines = text.lines().filter(|line| line.starts_with("nakku_events_lag_rows{"));
            let metric: f64 = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            let unpublished: u64 = status.services.iter().map(|service| service.unpublished_here).sum();
            json!({ "up": kafka.up, "error": kafka.error, "unpublished": unpublished, "metric": metric })
        }
        Order::Drain => json!(node.drain().await.map_err(|error| error.to_string())),
    }
}

/// Many shards get one of the first few.
pub fn key(number: usize) -> Key {
    Key::new(format!("t{number}")).expect("a key")
}

fn intake(key: &Key) -> Ref<Intake<Sums>> {
    Ref::new(key_of("source", shard_of(key, SHARDS)))
}

async fn raise(cluster: &Cluster, key: Key, by: i64) {
    cluster.ask(&Ref::<Tally>::new(key), &Told::Raise(by), Ask::within(PATIENCE)).await.expect("raised");
}

async fn seen(cluster: &Cluster, key: Key) -> Result<Total, String> {
    let command = Command::Own(key.to_string());
    match cluster.ask(&intake(&key), &command, Ask::within(PATIENCE)).await {
        Ok(answered) => match answered.reply {
            Reply::Own(total) => Ok(total),
            other => Err(format!("{other:?}")),
        },
        Err(error) => Err(error.to_string()),
    }
}
