//! Events from their commit over three Kafka brokers until their effect at a consumer is durable, next to
//! librdkafka's own producer with the same messages.
//!
//! One process has a node with both services: the journal's writer, the publisher, a member of the consumer group and
//! the intakes are those of every node. Each shard of the source has an emitter; each command has it emit several
//! events, so that it is the way of the events that is measured and not commands, which `journal` and `checkout`
//! measure. Intakes are asked again and again how many events they have consumed; what they answer is durable.
//!
//! Beside the whole way the first part of it is measured by itself: a backlog that is committed while the brokers can't
//! be reached, from their return until they have acknowledged all of it. Only that does what the baseline does.
//!
//! - `sample`: the two services
//! - `backlog`: from the journal to the brokers, alone
//! - `baseline`: librdkafka's producer

pub(crate) mod backlog;
mod baseline;
mod sample;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use nakku_cluster::events::Intake;
use nakku_cluster::events::intake::{Command, Reply, key_of};
use nakku_cluster::events::kafka::KafkaSettings;
use nakku_cluster::topology::{SHARD_COUNT_DEFAULT, shard_of};
use nakku_cluster::{Ask, Cluster, Key, Ref};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::sample::{Emit, Emitter, SINK, SOURCE, Seen, Sums};
use crate::arguments::{BenchArguments, Scenario};
use crate::brokers::Brokers;
use crate::database::Database;
use crate::error::BenchError;
use crate::machine::Watch;
use crate::node::{self, PATIENCE};
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::{Latencies, Series};

/// Orders each second while the lag is measured.
const ORDERS_PER_SECOND: u32 = 1_000;
/// What one with three lines publishes from the cart to the door, in all services, about: three changes of the cart and
/// its clearing, four of the order, three of the payment, the stock's, four of the delivery.
const EVENTS_PER_ORDER: u32 = 16;
/// How often orders are placed then.
const TICK: Duration = Duration::from_millis(10);
/// Orders that wait for their commit; with more none are placed.
const COMMITTING_MAX: usize = 2_000;
/// Events of a command while the rate is measured.
const EVENTS_PER_COMMAND: u32 = 64;
/// Events of a shard that are not yet consumed; with more it emits none.
const AHEAD_MAX: u64 = 2_048;
/// Between two questions to all intakes.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What analytics are to keep to.
const LAG_P99_MILLIS_MAX: f64 = 2_000.0;
/// So long after the last event the publisher has written how far it got; else the next node would publish some again.
const POSITIONS_WRITTEN: Duration = Duration::from_millis(2_500);
/// So often the baseline is run before anything is measured.
const BROKERS_WARM_UP: u32 = 3;
/// The least share of librdkafka's own rate.
const RATIO_MIN: f64 = 0.5;

/// Runs the scenario.
///
/// # Errors
/// When the database or the brokers fail, or an event comes twice or never.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let brokers = Brokers::open(arguments.kafka_brokers.as_deref()).await?;
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let kafka = KafkaSettings {
        topic_prefix: format!("nakku-bench-{nanos:x}."),
        replication: u16::try_from(brokers.addresses.len().min(3)).unwrap_or(3),
        ..KafkaSettings::new(brokers.addresses.clone())
    };
    let services = sample::services();
    let node = node::start_with_kafka("bench", &[SOURCE, SINK], &database.url, services, Some(kafka.clone())).await?;
    let way = Arc::new(Way::new(node.cluster()));
    let events_topic = kafka.topic(SOURCE);
    let baseline_topic = kafka.topic("baseline");
    baseline::create_topic(&kafka, &baseline_topic).await?;

    eprintln!("the first events");
    flow(&way, arguments.warmup.max(Duration::from_secs(1)), Duration::from_secs(1)).await?;
    let per_shard = (baseline::MESSAGES as u32).div_ceil(SHARD_COUNT_DEFAULT);
    join_all((0..SHARD_COUNT_DEFAULT).map(|shard| way.emit(shard, per_shard)))
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    way.is_through().await?;
    let messages = baseline::copy(&kafka, events_topic.clone()).await?;

    eprintln!("the brokers' first messages");
    // While their Java is still being compiled, each second is faster than the one before.
    for _ in 0..BROKERS_WARM_UP {
        baseline::measure(&kafka, &baseline_topic, &messages, arguments).await?;
    }

    let (mut through, mut raw) = (Series::default(), Series::default());
    let (mut orders, mut p50, mut p99) = (Series::default(), Series::default(), Series::default());
    for repeat in 0..arguments.repeats {
        eprintln!("repeat {} of {}", repeat + 1, arguments.repeats);
        raw.push(baseline::measure(&kafka, &baseline_topic, &messages, arguments).await?);
        through.push(flow(&way, arguments.warmup, arguments.duration).await?);
        let (per_second, lag) = steady(&way, arguments.warmup, arguments.duration).await?;
        orders.push(per_second);
        p50.push(lag.millis(0.5));
        p99.push(lag.millis(0.99));
    }

    tokio::time::sleep(POSITIONS_WRITTEN).await;
    node.drain().await.map_err(|error| BenchError::failed("the node", error))?;
    let (mut committed, mut published, mut raw_beside) = (Series::default(), Series::default(), Series::default());
    for repeat in 0..arguments.repeats {
        eprintln!("backlog {} of {}", repeat + 1, arguments.repeats);
        raw_beside.push(baseline::measure(&kafka, &baseline_topic, &messages, arguments).await?);
        let rates = backlog::measure(arguments, &database.url, &kafka).await?;
        committed.push(rates.committed);
        published.push(rates.published);
    }

    let (ratio, ratio_published) = (through.ratio(&raw), published.ratio(&raw_beside));
    let versions = database.versions().await?;
    let own: Vec<u32> = brokers.pids.iter().copied().chain(database.pid).collect();
    let machine = watch.finish(&own, versions);
    let sink_topic = kafka.topic(SINK);
    let dead_letters = kafka.topic("dead-letter");
    baseline::delete_topics(&kafka, &[&events_topic, &sink_topic, &baseline_topic, &dead_letters]).await?;
    database.clear().await?;
    let mut settings = Report::common_settings(arguments);
    settings.extend([
        ("brokers".into(), brokers.addresses.len().to_string()),
        (
            "topics".into(),
            format!(
                "{} partitions, {} replicas, min.insync.replicas {}; acks=all, idempotent, lz4",
                kafka.partitions,
                kafka.replication,
                kafka.in_sync_min()
            ),
        ),
        ("a message".into(), format!("{} bytes of CloudEvents JSON", baseline::mean_bytes(&messages))),
        ("source".into(), format!("{SHARD_COUNT_DEFAULT} shards, {EVENTS_PER_COMMAND} events a command")),
        ("backlog".into(), format!("{} events in each shard", backlog::PER_SHARD)),
        ("an order's equivalent".into(), format!("one command with {EVENTS_PER_ORDER} events")),
    ]);
    Ok(Report {
        scenario: Scenario::Events.name(),
        about: format!(
            "Events from their commit in the journal, by the publisher over Kafka, by a member of the consumer group to \
             the intakes, until their effect there is durable (rate: as many as go through, at most {AHEAD_MAX} a \
             shard under way; lag: at a steady {ORDERS_PER_SECOND} orders/s, from the answer to the command until an \
             intake says that it has its events, asked every {} ms). The rate includes both commits in the database. \
             Beside it librdkafka's producer alone, which sends messages read from the events' topic to one like it \
             until they are acknowledged; nobody consumes these. A backlog: events that were committed while the \
             brokers could not be reached, from their return on, when a quarter has been acknowledged, to the last; nobody \
             consumes these either. Its commits by themselves are the most that the whole way could be. Node, database, \
             brokers and load on the same processors.",
            LOOK_EVERY.as_millis()
        ),
        settings,
        figures: vec![
            Figure::new("from commit to a durable effect", "events/s", &through),
            Figure::new("librdkafka's own producer", "messages/s", &raw),
            Figure::new("ratio", "", &ratio),
            Figure::new("commits alone, of a backlog", "events/s", &committed),
            Figure::new("from a backlog in the journal to Kafka", "events/s", &published),
            Figure::new("librdkafka's own producer, beside it", "messages/s", &raw_beside),
            Figure::new("ratio of the backlog", "", &ratio_published),
            Figure::new("steady: orders committed", "orders/s", &orders),
            Figure::new("steady: lag p50", "ms", &p50),
            Figure::new("steady: lag p99", "ms", &p99),
        ],
        targets: vec![
            Target::new("ratio", &ratio, Bound::AtLeast(RATIO_MIN)),
            Target::new("ratio of the backlog", &ratio_published, Bound::AtLeast(RATIO_MIN)),
            Target::new(
                "steady: orders committed (orders/s)",
                &orders,
                Bound::AtLeast(0.99 * f64::from(ORDERS_PER_SECOND)),
            ),
            Target::new("steady: lag p99 (ms)", &p99, Bound::AtMost(LAG_P99_MILLIS_MAX)),
        ],
        machine,
    })
}

/// The way from the emitters to the intakes, one of each for each shard.
struct Way {
    cluster: Cluster,
    shards: Vec<OfShard>,
}

struct OfShard {
    emitter: Ref<Emitter>,
    intake: Ref<Intake<Sums>>,
    emitted: AtomicU64,
    consumed: AtomicU64,
    /// What has been committed and not yet consumed: how many events there were with it, and when.
    committed: Mutex<VecDeque<(u64, Instant)>>,
}

impl Way {
    fn new(cluster: Cluster) -> Self {
        let mut emitters: Vec<Option<Key>> = vec![None; SHARD_COUNT_DEFAULT as usize];
        let mut number = 0;
        while emitters.iter().any(Option::is_none) {
            let key = Key::new(format!("emitter{number}")).expect("letters and digits");
            let shard = shard_of(&key, SHARD_COUNT_DEFAULT);
            emitters[shard as usize].get_or_insert(key);
            number += 1;
        }
        let shards = (0u32..).zip(emitters.into_iter().flatten()).map(|(shard, key)| OfShard {
            emitter: Ref::new(key),
            intake: Ref::new(key_of(SOURCE, shard)),
            emitted: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            committed: Mutex::default(),
        });
        Self { cluster, shards: shards.collect() }
    }

    /// Has a shard's emitter emit; returns once that is durable, with how many events there are now.
    async fn emit(&self, shard: u32, events: u32) -> Result<u64, BenchError> {
        let of_shard = &self.shards[shard as usize];
        let answered = self.cluster.ask(&of_shard.emitter, &Emit { events }, Ask::within(PATIENCE)).await;
        let count = answered.map_err(|error| BenchError::failed("emitting", error))?.reply.count;
        of_shard.emitted.fetch_max(count, Ordering::Relaxed);
        Ok(count)
    }

    /// Asks every intake how many events it has consumed, durably; returns how many all have.
    async fn look(&self) -> Result<u64, BenchError> {
        let counts = join_all(self.shards.iter().map(|shard| self.look_at(shard))).await;
        counts.into_iter().sum()
    }

    async fn look_at(&self, shard: &OfShard) -> Result<u64, BenchError> {
        let what = "asking an intake";
        let asked = self.cluster.ask(&shard.intake, &Command::Own(Seen {}), Ask::within(PATIENCE)).await;
        let reply = asked.map_err(|error| BenchError::failed(what, error))?.reply;
        let Reply::Own(sum) = reply else { return Err(BenchError::failed(what, format!("{reply:?}"))) };
        if sum.wrong > 0 {
            return Err(BenchError::failed(what, format!("{} events came twice or out of turn", sum.wrong)));
        }
        shard.consumed.store(sum.count, Ordering::Relaxed);
        Ok(sum.count)
    }

    /// Waits until everything that was emitted has been consumed.
    async fn is_through(&self) -> Result<(), BenchError> {
        let emitted: u64 = self.shards.iter().map(|shard| shard.emitted.load(Ordering::Relaxed)).sum();
        let began = Instant::now();
        loop {
            let consumed = self.look().await?;
            if consumed >= emitted {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let late = format!("{consumed} of {emitted} were consumed after {} s", PATIENCE.as_secs());
                return Err(BenchError::failed("the events", late));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl OfShard {
    fn committed(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Instant)>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events per second, with as many as go through.
async fn flow(way: &Arc<Way>, warmup: Duration, duration: Duration) -> Result<f64, BenchError> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut emitting = JoinSet::new();
    for shard in 0..SHARD_COUNT_DEFAULT {
        let (way, stop) = (Arc::clone(way), Arc::clone(&stop));
        emitting.spawn(async move {
            let mut emitted = way.shards[shard as usize].emitted.load(Ordering::Relaxed);
            while !stop.load(Ordering::Relaxed) {
                if emitted.saturating_sub(way.shards[shard as usize].consumed.load(Ordering::Relaxed)) < AHEAD_MAX {
                    emitted = way.emit(shard, EVENTS_PER_COMMAND).await?;
                } else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Ok::<_, BenchError>(())
        });
    }
    let rate = async {
        let looked = |span: Duration| async move {
            let began = Instant::now();
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let (consumed, elapsed) = (way.look().await?, began.elapsed());
                if elapsed >= span {
                    return Ok::<_, BenchError>((consumed, Instant::now()));
                }
            }
        };
        let (before, began) = looked(warmup).await?;
        let (after, ended) = looked(duration).await?;
        Ok::<_, BenchError>((after - before) as f64 / (ended - began).as_secs_f64())
    };
    let rate = rate.await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = emitting.join_next().await {
        ended.map_err(|error| BenchError::failed("emitting", error))??;
    }
    way.is_through().await?;
    rate
}

/// Orders per second that were committed, and their events' lag, at a steady rate.
async fn steady(way: &Arc<Way>, warmup: Duration, duration: Duration) -> Result<(f64, Latencies), BenchError> {
    way.shards.iter().for_each(|shard| shard.committed().clear());
    let committing = Arc::new(Semaphore::new(COMMITTING_MAX));
    let failed: Arc<Mutex<Option<BenchError>>> = Arc::default();
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let ends = warmup + duration;
    let placing = async {
        let mut tick = tokio::time::interval(TICK);
        let mut placed = 0u32;
        while began.elapsed() < ends {
            tick.tick().await;
            let due = (began.elapsed().as_secs_f64() * f64::from(ORDERS_PER_SECOND)) as u32;
            for order in placed..due {
                let Ok(permit) = Arc::clone(&committing).try_acquire_owned() else { continue };
                let (way, failed, done) = (Arc::clone(way), Arc::clone(&failed), Arc::clone(&done));
                tokio::spawn(async move {
                    let shard = order % SHARD_COUNT_DEFAULT;
                    match way.emit(shard, EVENTS_PER_ORDER).await {
                        Ok(count) => {
                            let at = Instant::now();
                            way.shards[shard as usize].committed().push_back((count, at));
                            done.fetch_add(u64::from(at - began >= warmup), Ordering::Relaxed);
                        }
                        Err(error) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                    drop(permit);
                });
            }
            placed = due;
        }
        done.load(Ordering::Relaxed) as f64 / (began.elapsed() - warmup).as_secs_f64()
    };
    let looking = async {
        let mut latencies = Latencies::new();
        loop {
            let elapsed = began.elapsed();
            join_all(way.shards.iter().map(|shard| way.look_at(shard)))
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?;
            let now = Instant::now();
            for shard in &way.shards {
                let (consumed, mut committed) = (shard.consumed.load(Ordering::Relaxed), shard.committed());
                while let Some((_, at)) = committed.pop_front_if(|(count, _)| *count <= consumed) {
                    if at - began >= warmup && at - began < ends {
                        latencies.record(now - at);
                    }
                }
            }
            let through = || way.shards.iter().all(|shard| shard.committed().is_empty());
            if elapsed > ends && committing.available_permits() == COMMITTING_MAX && through() {
                return Ok::<_, BenchError>(latencies);
            }
            if elapsed > ends + PATIENCE {
                return Err(BenchError::failed("the events", "were not all consumed in time"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let (per_second, latencies) = tokio::join!(placing, looking);
    if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    Ok((per_second, latencies?))
}
