//! One member of a consumer group: reads the topics of its sources and has the intakes consume them.
//!
//! Each partition is handed over by itself, one batch at a time, while the next gathers. A partition whose
//! intakes can't take anything is paused and tried again; the others go on, and the broker hears from this
//! member all the while. Offsets are committed behind what was consumed; what comes again is dropped by the
//! intakes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError as ClientError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::KafkaError;
use super::client;
use super::gaps::Gaps;
use super::health::Health;
use super::partition::{self, Again, Fed, Feeding, Partition, Place, Received, read};
use super::settings::KafkaSettings;
use super::sink::KafkaSink;
use crate::events::feed::Feeder;
use crate::metrics;
use crate::outage::Outage;

/// A member that is silent for so long has died, and others take its partitions.
const SESSION_MS: &str = "6000";
/// A member that reads nothing for so long is taken for dead as well; handing over is much faster.
const POLL_MS_MAX: &str = "300000";
/// A broker answers when it has so much, which is some fifty events,
const FETCH_BYTES: &str = "32768";
/// or after so long: answers with one event each would cost brokers and nodes the most.
const FETCH_WAIT_MS: &str = "25";
/// What the client reads ahead, in KiB.
const AHEAD_KIB: &str = "8192";
/// Bytes of messages that wait for their intakes before no more are read.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// So many messages are taken before anything else is looked at.
const AT_ONCE: usize = 64;
/// How often offsets are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How often the lag is looked at.
const STATISTICS_MS: &str = "5000";
/// An error of the client that does not come again for so long is over.
const STUMBLED: Duration = Duration::from_secs(15);
/// How long a question for the oldest offset may take.
const OFFSET_PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Member {
    feeding: Feeding,
    group: &'static str,
    /// How the status names it.
    whom: String,
    health: Arc<Health>,
    consumer: Arc<StreamConsumer<Events>>,
    /// Topics and the services that publish on them.
    topics: HashMap<Arc<str>, &'static str>,
    partitions: HashMap<Place, Partition>,
    /// Where each partition goes on after a restart.
    offsets: HashMap<Place, i64>,
    to_commit: bool,
    assignments: u64,
    gaps: Gaps,
    /// When the client last told of an error.
    stumbled: Option<Instant>,
    /// Of handing over.
    outage: Outage,
    feeds: FuturesUnordered<BoxFuture<'static, Fed>>,
    _leaving: Leaving,
}

/// Makes a member of a group, not yet running.
pub(super) fn join(
    settings: &KafkaSettings,
    node: &str,
    feeder: Feeder,
    sink: &Arc<KafkaSink>,
    health: &Arc<Health>,
    member: mpsc::Sender<Infallible>,
) -> Result<Member, KafkaError> {
    let group = feeder.consumer.group;
    let refused = |error: ClientError| KafkaError::Client(error.to_string());
    let mut config = client::config(settings, node);
    config
        .set("group.id", settings.group(group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", SESSION_MS)
        .set("heartbeat.interval.ms", "2000")
        .set("max.poll.interval.ms", POLL_MS_MAX)
        .set("queued.max.messages.kbytes", AHEAD_KIB)
        .set("fetch.min.bytes", FETCH_BYTES)
        .set("fetch.wait.max.ms", FETCH_WAIT_MS)
        .set("statistics.interval.ms", STATISTICS_MS);
    let events = Events { group, ..Events::default() };
    let consumer = StreamConsumer::from_config_and_context(&config, events).map_err(refused)?;
    let sources = feeder.consumer.sources.iter();
    let topics: HashMap<Arc<str>, &'static str> =
        sources.map(|service| (settings.topic(service).into(), *service)).collect();
    let names: Vec<&str> = topics.keys().map(AsRef::as_ref).collect();
    consumer.subscribe(&names).map_err(refused)?;
    let consumer = Arc::new(consumer);
    Ok(Member {
        feeding: Feeding { feeder, sink: Arc::clone(sink), settings: Arc::new(settings.clone()) },
        group,
        whom: format!("group {}", settings.group(group)),
        health: Arc::clone(health),
        topics,
        partitions: HashMap::new(),
        offsets: HashMap::new(),
        to_commit: false,
        assignments: 0,
        gaps: Gaps::new(group),
        stumbled: None,
        outage: Outage::default(),
        feeds: FuturesUnordered::new(),
        _leaving: Leaving(Some((Arc::clone(&consumer), member))),
        consumer,
    })
}

impl Member {
    /// Runs until it is aborted.
    pub(super) async fn run(mut self) {
        let consumer = Arc::clone(&self.consumer);
        let mut messages = consumer.stream();
        let mut commit = tokio::time::interval(COMMIT_EVERY);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.follow_assignments();
            let due = self.feed_what_is_due();
            tokio::select! {
                message = messages.next(), if self.has_room() => match message {
                    Some(first) => {
                        self.came(first);
                        // Those that are there already need no look at anything else.
                        for _ in 1..AT_ONCE {
                            let Some(Some(next)) = messages.next().now_or_never() else { break };
                            self.came(next);
                        }
                    }
                    None => return,
                },
                Some(fed) = self.feeds.next(), if !self.feeds.is_empty() => self.fed(fed),
                () = sleep_until(due) => {}
                _ = commit.tick() => {
                    self.commit();
                    self.tell();
                }
            }
        }
    }

    fn came(&mut self, message: KafkaResult<BorrowedMessage<'_>>) {
        match message {
            Ok(message) => {
                // Between two messages the partitions may have changed.
                self.follow_assignments();
                self.received(&message);
            }
            Err(error) => self.stumbled(&error),
        }
    }

    fn received(&mut self, message: &impl Message) {
        let Some((topic, service)) = self.topics.get_key_value(message.topic()) else { return };
        let place = (Arc::clone(topic), message.partition());
        let what = read(service, message.payload());
        self.stumbled = None;
        let bytes = message.payload().map_or(0, <[u8]>::len);
        let assignment = self.assignments;
        let partition = self.partitions.entry(place).or_insert_with(|| Partition::new(assignment));
        partition.push(Received { offset: message.offset(), bytes, what });
    }

    fn stumbled(&mut self, error: &ClientError) {
        // The client tries again by itself; the status says so while it lasts.
        self.stumbled = Some(Instant::now());
        tracing::debug!(group = self.group, %error, "kafka");
        self.health.trouble(&self.whom, error.to_string());
    }

    /// Lets go of what others read now, and reads what is new here from where it was committed.
    fn follow_assignments(&mut self) {
        let context = self.consumer.context();
        if !context.changed.load(Ordering::Acquire) || !context.changed.swap(false, Ordering::AcqRel) {
            return;
        }
        let changes = std::mem::take(&mut *context.changes.lock().unwrap_or_else(PoisonError::into_inner));
        for change in changes {
            self.assignments += 1;
            match change {
                Change::Revoked(places) => {
                    for place in places {
                        self.partitions.remove(&place);
                        self.offsets.remove(&place);
                    }
                }
                Change::Assigned(places) => {
                    tracing::info!(group = self.group, partitions = places.len(), "partitions to consume");
                    // It may have been paused in a former time here.
                    self.ask_for(&places, true);
                }
            }
        }
    }

    /// Hands over what is due; answers when to look again.
    fn feed_what_is_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        for (place, partition) in &mut self.partitions {
            match partition.next_due() {
                Some(due) if due <= now => {
                    let (messages, allowed) = partition.begin();
                    let (feeding, place, assignment) = (self.feeding.clone(), place.clone(), partition.assignment);
                    let oldest = Oldest { consumer: Arc::clone(&self.consumer), place: place.clone() };
                    let feed = async move { feeding.feed(place, assignment, messages, &allowed, &oldest).await };
                    self.feeds.push(Box::pin(feed));
                }
                Some(due) => next = Some(next.map_or(due, |next: Instant| next.min(due))),
                None => {}
            }
        }
        next
    }

    fn fed(&mut self, fed: Fed) {
        let Fed { place, assignment, next_offset, left, sources, mut again } = fed;
        for ((service, shard), lacks) in &sources {
            match lacks {
                None => self.gaps.closed(service, *shard),
                Some((high_water, lacks)) => self.gaps.found(service, *shard, *high_water, *lacks),
            }
        }
        // The partition may have gone to another member meanwhile, and even have come back.
        let Some(partition) = self.partitions.get_mut(&place).filter(|one| one.assignment == assignment) else {
            return;
        };
        let whole = sources.iter().filter(|(_, lacks)| lacks.is_none());
        whole.for_each(|(source, _)| partition.closed(source));
        if let Some(Again::Reread(source)) = &again {
            let (topic, number) = &place;
            // What has been read ahead is dropped by the client.
            match self.consumer.seek(topic, *number, Offset::Beginning, Duration::ZERO) {
                Ok(()) => {
                    let (service, shard) = source;
                    tracing::info!(
                        group = self.group,
                        %topic,
                        partition = number,
                        service,
                        shard,
                        "read from the start"
                    );
                }
                Err(error) => again = Some(Again::Failed(error.to_string())),
            }
        }
        partition.end(left, again.as_ref());
        let pause = matches!(again, Some(Again::Failed(_)));
        let changed = std::mem::replace(&mut partition.paused, pause) != pause;
        match again {
            Some(Again::Failed(error)) => {
                if let Some(told) = self.outage.failed() {
                    let (group, (topic, partition)) = (self.group, &place);
                    tracing::warn!(group, %topic, partition, error, lasted_ms = told.lasted_ms, "events wait in kafka");
                }
                self.health.trouble(&self.whom, error);
            }
            Some(Again::Wait) => {}
            Some(Again::Reread(source)) => {
                partition.reread(source);
                self.offsets.insert(place.clone(), 0);
                self.to_commit = true;
            }
            None => {
                self.offsets.insert(place.clone(), next_offset);
                self.to_commit = true;
                if changed
                    && self.partitions.values().all(|partition| !partition.paused)
                    && let Some(told) = self.outage.works()
                {
                    tracing::info!(
                        group = self.group,
                        failures = told.failures,
                        lasted_ms = told.lasted_ms,
                        "events are consumed again"
                    );
                }
            }
        }
        if changed {
            self.ask_for(&[place], !pause);
        }
    }

    /// Tells the status what lasts.
    fn tell(&mut self) {
        if self.partitions.values().any(|partition| partition.paused) {
            return;
        }
        match (self.gaps.told(), self.stumbled) {
            (Some(told), _) => self.health.trouble(&self.whom, told),
            (None, Some(at)) if at.elapsed() < STUMBLED => {}
            (None, _) => {
                self.stumbled = None;
                self.health.fine(&self.whom);
            }
        }
    }

    /// Whether to ask the broker for more of some partitions.
    fn ask_for(&self, places: &[Place], more: bool) {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition(topic, *partition);
        }
        let asked = if more { self.consumer.resume(&list) } else { self.consumer.pause(&list) };
        if let Err(error) = asked {
            tracing::debug!(group = self.group, %error, "kafka");
        }
    }

    /// What waits in partitions that are not paused is bounded, by not reading on.
    fn has_room(&self) -> bool {
        let running = self.partitions.values().filter(|partition| !partition.paused);
        running.map(|partition| partition.bytes).sum::<usize>() < WAITING_BYTES_MAX
    }

    fn commit(&mut self) {
        let failed = self.consumer.context().commit_failed.swap(false, Ordering::AcqRel);
        if self.offsets.is_empty() || !(self.to_commit || failed) {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(self.offsets.len());
        for ((topic, partition), offset) in &self.offsets {
            if let Err(error) = list.add_partition_offset(topic, *partition, Offset::Offset(*offset)) {
                tracing::error!(%error, offset, "no offset");
            }
        }
        match self.consumer.commit(&list, CommitMode::Async) {
            Ok(()) => self.to_commit = false,
            Err(error) => tracing::debug!(group = self.group, %error, "offsets are committed later"),
        }
    }
}

/// Of one partition; what it does blocks.
struct Oldest {
    consumer: Arc<StreamConsumer<Events>>,
    place: Place,
}

#[async_trait]
impl partition::Oldest for Oldest {
    async fn are_gone(&self) -> Result<bool, String> {
        let (consumer, (topic, partition)) = (Arc::clone(&self.consumer), self.place.clone());
        let asked = tokio::task::spawn_blocking(move || consumer.fetch_watermarks(&topic, partition, OFFSET_PATIENCE));
        match asked.await {
            Ok(Ok((low, _))) => Ok(low > 0),
            Ok(Err(error)) => Err(error.to_string()),
            Err(ended) => Err(ended.to_string()),
        }
    }

    async fn commit(&self) -> Result<(), String> {
        let (consumer, (topic, partition)) = (Arc::clone(&self.consumer), self.place.clone());
        let committed = tokio::task::spawn_blocking(move || {
            let mut list = TopicPartitionList::with_capacity(1);
            // One that is gone already means the oldest there is.
            list.add_partition_offset(&topic, partition, Offset::Offset(0))?;
            consumer.commit(&list, CommitMode::Sync)
        });
        committed.await.map_err(|ended| ended.to_string())?.map_err(|error| error.to_string())
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Leaves the group when it is dropped, without holding up whoever drops it.
struct Leaving(Option<(Arc<StreamConsumer<Events>>, mpsc::Sender<Infallible>)>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some((consumer, member)) = self.0.take() {
            std::thread::spawn(move || {
                // Of those that share it this is the last, but for a question that is still under way.
                drop(consumer);
                drop(member);
            });
        }
    }
}

/// What librdkafka tells a member.
#[derive(Debug, Default)]
struct Events {
    group: &'static str,
    changed: AtomicBool,
    changes: Mutex<Vec<Change>>,
    commit_failed: AtomicBool,
}

#[derive(Debug)]
enum Change {
    Assigned(Vec<Place>),
    Revoked(Vec<Place>),
}

impl Events {
    fn change(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        self.changed.store(true, Ordering::Release);
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::debug!(group = self.group, %error, reason, "kafka");
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        metrics::consumer_lag(self.group, partitions.map(|partition| partition.consumer_lag.max(0)).sum());
    }
}

impl ConsumerContext for Events {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.change(Change::Revoked(places(list)));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.change(Change::Assigned(places(list))),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(group = self.group, %error, "partitions were not given out"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(group = self.group, %error, "offsets are committed later");
            self.commit_failed.store(true, Ordering::Release);
        }
    }
}

fn places(list: &TopicPartitionList) -> Vec<Place> {
    list.elements().iter().map(|element| (element.topic().into(), element.partition())).collect()
}
