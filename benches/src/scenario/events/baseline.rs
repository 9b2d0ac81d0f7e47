//! librdkafka's own producer, with messages that were read from the topic of the events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nakku_cluster::events::kafka::KafkaSettings;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::arguments::BenchArguments;
use crate::error::BenchError;
use crate::node::PATIENCE;

/// So many are read and sent again and again.
pub const MESSAGES: usize = 20_000;
/// Pause when librdkafka's queue is full.
const PAUSE_FULL: Duration = Duration::from_millis(1);

/// A message as it lies in the topic.
#[derive(Debug)]
pub struct Copied {
    partition: i32,
    key: Vec<u8>,
    payload: Vec<u8>,
}

/// Reads messages from a topic.
///
/// # Errors
/// When there are too few, or the brokers don't answer.
pub async fn copy(settings: &KafkaSettings, topic: String) -> Result<Arc<Vec<Copied>>, BenchError> {
    let mut config = config(settings);
    config.set("group.id", format!("{}copy", settings.topic_prefix)).set("auto.offset.reset", "earliest");
    let read = move || {
        let consumer: BaseConsumer = config.create()?;
        consumer.subscribe(&[&topic])?;
        let (mut copied, until) = (Vec::with_capacity(MESSAGES), Instant::now() + PATIENCE);
        while copied.len() < MESSAGES && Instant::now() < until {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message?;
            let (key, payload) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            copied.push(Copied { partition: message.partition(), key: key.to_vec(), payload: payload.to_vec() });
        }
        Ok::<_, KafkaError>(copied)
    };
    let what = "reading the events' topic";
    let copied = blocking(what, read).await?;
    match copied.len() {
        MESSAGES => Ok(Arc::new(copied)),
        found => Err(BenchError::failed(what, format!("{found} of {MESSAGES} messages came"))),
    }
}

/// The mean size of a message's payload, in bytes.
pub fn mean_bytes(messages: &[Copied]) -> usize {
    messages.iter().map(|message| message.payload.len()).sum::<usize>() / messages.len().max(1)
}

/// Makes a topic like those of events.
///
/// # Errors
/// When the brokers refuse.
pub async fn create_topic(settings: &KafkaSettings, topic: &str) -> Result<(), BenchError> {
    let what = "creating a topic";
    let admin: AdminClient<DefaultClientContext> =
        config(settings).create().map_err(|error| BenchError::failed(what, error))?;
    let (retention, in_sync) = (settings.retention.as_millis().to_string(), settings.in_sync_min().to_string());
    let new = NewTopic::new(topic, settings.partitions.into(), TopicReplication::Fixed(settings.replication.into()))
        .set("retention.ms", &retention)
        .set("min.insync.replicas", &in_sync);
    let created = admin.create_topics(&[new], &AdminOptions::new()).await;
    for outcome in created.map_err(|error| BenchError::failed(what, error))? {
        outcome.map_err(|(name, code)| BenchError::failed(what, format!("{name}: {code}")))?;
    }
    Ok(())
}

/// Removes topics; those of brokers that were given are not to stay.
///
/// # Errors
/// When the brokers don't answer.
pub async fn delete_topics(settings: &KafkaSettings, topics: &[&str]) -> Result<(), BenchError> {
    let what = "deleting topics";
    let admin: AdminClient<DefaultClientContext> =
        config(settings).create().map_err(|error| BenchError::failed(what, error))?;
    admin.delete_topics(topics, &AdminOptions::new()).await.map_err(|error| BenchError::failed(what, error))?;
    Ok(())
}

/// Messages per second that the brokers acknowledge.
///
/// # Errors
/// When one is not delivered.
pub async fn measure(
    settings: &KafkaSettings,
    topic: &str,
    messages: &Arc<Vec<Copied>>,
    arguments: &BenchArguments,
) -> Result<f64, BenchError> {
    let mut config = config(settings);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.kbytes", "262144");
    let delivered = Arc::new(Delivered::default());
    let stop = Arc::new(AtomicBool::new(false));
    let sending = {
        let (delivered, stop) = (Arc::clone(&delivered), Arc::clone(&stop));
        let (topic, messages) = (topic.to_owned(), Arc::clone(messages));
        blocking("librdkafka's producer", move || send(&config, &topic, &messages, Counting(delivered), &stop))
    };
    let rate = async {
        tokio::time::sleep(arguments.warmup).await;
        let (began, before) = (Instant::now(), delivered.count.load(Ordering::Relaxed));
        tokio::time::sleep(arguments.duration).await;
        let rate = (delivered.count.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        rate
    };
    let (sent, rate) = tokio::join!(sending, rate);
    sent?;
    match delivered.failed.load(Ordering::Relaxed) {
        0 => Ok(rate),
        failed => Err(BenchError::failed("librdkafka's producer", format!("{failed} messages were not delivered"))),
    }
}

fn send(
    config: &ClientConfig,
    topic: &str,
    messages: &[Copied],
    counting: Counting,
    stop: &AtomicBool,
) -> Result<(), KafkaError> {
    let producer: ThreadedProducer<Counting> = config.create_with_context(counting)?;
    for Copied { partition, key, payload } in messages.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let header = Header { key: "content-type", value: Some("application/cloudevents+json") };
        let mut record = BaseRecord::to(topic)
            .partition(*partition)
            .key(key)
            .payload(payload)
            .headers(OwnedHeaders::new_with_capacity(1).insert(header));
        while let Err((error, again)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            record = again;
            std::thread::sleep(PAUSE_FULL);
        }
    }
    producer.flush(PATIENCE)
}

fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", settings.brokers.join(","));
    config
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, BenchError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| BenchError::failed(what, error))?;
    done.map_err(|error| BenchError::failed(what, error))
}

#[derive(Debug, Default)]
struct Delivered {
    count: AtomicU64,
    failed: AtomicU64,
}

struct Counting(Arc<Delivered>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.0.count } else { &self.0.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
