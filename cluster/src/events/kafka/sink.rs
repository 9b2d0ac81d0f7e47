//! Publishes; an event counts as taken when every replica in sync has it.
//!
//! A round's events are handed to one idempotent producer in their order and all of them are waited for, so
//! that nothing of a round is under way when the next one begins. Should an event fail and a later one of the
//! same shard arrive, the publisher sends both again; consumers leave alone what lacks its predecessor.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use tokio::time::Instant;

use super::KafkaError;
use super::client;
use super::health::Health;
use super::round::{Deliveries, Round, Sent};
use super::settings::KafkaSettings;
use super::topics::Topics;
use crate::events::SealedEnvelope;
use crate::events::sink::{EventSink, SinkError};

/// After so long an event counts as not delivered. A broker that dies can hold writes up for 9 s before the
/// others go on without it.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(15);
/// The client tells of every message by then, and a little later of those of a producer that was replaced.
const ROUND_PATIENCE: Duration = Duration::from_secs(30);
/// Events that wait in this process for the brokers, of all services.
const QUEUE_MAX: &str = "50000";
/// And their bytes, in KiB.
const QUEUE_KIB_MAX: &str = "65536";
/// Pause when that much waits already.
const PAUSE_FULL: Duration = Duration::from_millis(5);
/// How long a question for the status may take.
const CHECK_PATIENCE: Duration = Duration::from_millis(700);

/// What the payload is.
const CONTENT_TYPE: &str = "application/cloudevents+json";

/// See the module.
pub(crate) struct KafkaSink {
    settings: KafkaSettings,
    config: ClientConfig,
    topics: Arc<Topics>,
    /// Replaced when it has failed for good.
    producer: Mutex<ThreadedProducer<Deliveries>>,
    health: Arc<Health>,
    location: String,
}

impl KafkaSink {
    pub(super) fn new(
        settings: &KafkaSettings,
        node: &str,
        topics: Arc<Topics>,
        health: Arc<Health>,
    ) -> Result<Self, KafkaError> {
        let mut config = client::config(settings, node);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            // A batch of one message costs the brokers as much as one of a hundred.
            .set("linger.ms", "5")
            .set("delivery.timeout.ms", DELIVERY_PATIENCE.as_millis().to_string())
            .set("queue.buffering.max.messages", QUEUE_MAX)
            .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX);
        let producer = ThreadedProducer::from_config_and_context(&config, Deliveries);
        let producer = Mutex::new(producer.map_err(|error| KafkaError::Client(error.to_string()))?);
        let location = settings.brokers.join(",");
        Ok(Self { settings: settings.clone(), config, topics, producer, health, location })
    }

    /// Delivers one message that is no event of a shard.
    pub(super) async fn deliver(
        &self,
        topic: &str,
        partition: u32,
        key: &str,
        payload: &[u8],
    ) -> Result<(), SinkError> {
        let partitions = self.topics.partitions(topic).await.map_err(|error| SinkError(error.to_string()))?;
        let (round, ended) = Round::new();
        enqueue(&self.producer(), topic, partition % partitions, key, payload, round.message(0))
            .await
            .map_err(|error| self.not_delivered(topic, &error))?;
        drop(round);
        match ended.within(ROUND_PATIENCE).await {
            Some(failed) => failed.first().map_or(Ok(()), |(_, error)| Err(self.not_delivered(topic, error))),
            None => Err(self.not_delivered(topic, &ClientError::Canceled)),
        }
    }

    fn not_delivered(&self, topic: &str, error: &ClientError) -> SinkError {
        if let Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition,
        ) = error.rdkafka_error_code()
        {
            self.topics.forget(topic);
        }
        SinkError(format!("{topic}: {error}"))
    }

    fn producer(&self) -> ThreadedProducer<Deliveries> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A producer that has failed for good takes nothing any more.
    fn replace_if_fatal(&self) {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((code, reason)) = producer.client().fatal_error() else { return };
        tracing::warn!(%code, reason, "kafka's producer failed for good; a new one takes its place");
        match ThreadedProducer::from_config_and_context(&self.config, Deliveries) {
            Ok(new) => {
                let failed = std::mem::replace(&mut *producer, new);
                // Its end waits for its thread.
                std::thread::spawn(move || drop(failed));
            }
            Err(error) => tracing::error!(%error, "kafka's producer can't be made"),
        }
    }

    /// The topic of each pair of service and topic that the events name, and how many partitions it has.
    async fn routes<'a>(&self, events: &'a [SealedEnvelope]) -> HashMap<Way<'a>, Route> {
        let mut routes = HashMap::new();
        for event in events {
            let way = way(event);
            if let Entry::Vacant(unknown) = routes.entry(way) {
                let topic = match way {
                    (_, Some(topic)) => self.settings.topic_named(topic),
                    (service, None) => self.settings.topic(service),
                };
                let partitions = self.topics.partitions(&topic).await.map_err(|error| SinkError(error.to_string()));
                unknown.insert(Route { topic, partitions });
            }
        }
        routes
    }
}

async fn enqueue(
    producer: &ThreadedProducer<Deliveries>,
    topic: &str,
    partition: u32,
    key: &str,
    payload: &[u8],
    message: Box<Sent>,
) -> Result<(), ClientError> {
    let header = Header { key: "content-type", value: Some(CONTENT_TYPE) };
    let mut record = BaseRecord::with_opaque_to(topic, message)
        .partition(i32::try_from(partition).unwrap_or(0))
        .key(key)
        .payload(payload)
        .headers(OwnedHeaders::new_with_capacity(1).insert(header));
    let until = Instant::now() + DELIVERY_PATIENCE;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) if Instant::now() < until => {
                record = again;
                tokio::time::sleep(PAUSE_FULL).await;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Service, and topic where it is another than the service's.
type Way<'a> = (&'a str, Option<&'a str>);

fn way(event: &SealedEnvelope) -> Way<'_> {
    (&event.service, event.topic.as_deref())
}

struct Route {
    topic: String,
    partitions: Result<u32, SinkError>,
}

#[async_trait]
impl EventSink for KafkaSink {
    async fn publish(&self, events: &[SealedEnvelope]) -> Vec<Result<(), SinkError>> {
        let routes = self.routes(events).await;
        let mut failed: HashSet<u32> = HashSet::new();
        let mut results = Vec::with_capacity(events.len());
        let producer = self.producer();
        let (round, ended) = Round::new();
        // One for all: the client makes its own copy.
        let mut payload = Vec::new();
        for (number, event) in events.iter().enumerate() {
            let Route { topic, partitions } = &routes[&way(event)];
            // What follows an event that was not even sent would only have to be sent again.
            let sent = match partitions {
                Err(error) => Err(error.clone()),
                Ok(_) if failed.contains(&event.shard) => Err(SinkError("an event before it was not sent".into())),
                Ok(partitions) => {
                    payload.clear();
                    match serde_json::to_writer(&mut payload, event) {
                        Err(error) => Err(SinkError(error.to_string())),
                        Ok(()) => {
                            let (partition, message) = (event.shard % partitions, round.message(number));
                            enqueue(&producer, topic, partition, &event.subject, &payload, message)
                                .await
                                .map_err(|error| self.not_delivered(topic, &error))
                        }
                    }
                }
            };
            if sent.is_err() {
                failed.insert(event.shard);
            }
            results.push(sent);
        }
        drop(round);
        match ended.within(ROUND_PATIENCE).await {
            Some(failed) => {
                for (number, error) in failed {
                    let topic = &routes[&way(&events[number])].topic;
                    results[number] = Err(self.not_delivered(topic, &error));
                }
            }
            // The client lost sight of some, nobody knows which.
            None => results.fill(Err(SinkError(ClientError::Canceled.to_string()))),
        }
        let service = events.first().map_or("", |event| &event.service);
        let whom = format!("publishing of {service}");
        match results.iter().find_map(|result| result.as_ref().err()) {
            None => self.health.fine(&whom),
            Some(error) => {
                self.health.trouble(&whom, error.0.clone());
                self.replace_if_fatal();
            }
        }
        results
    }

    async fn check(&self) -> Result<(), SinkError> {
        self.topics.reachable(CHECK_PATIENCE).await.map_err(|error| SinkError(error.to_string()))?;
        self.health.troubles().map_or(Ok(()), |troubles| Err(SinkError(troubles)))
    }

    fn location(&self) -> &str {
        &self.location
    }
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KafkaSink").field(&self.location).finish()
    }
}
