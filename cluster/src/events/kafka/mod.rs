//! Events over Kafka: what this node publishes goes there, and its consumers are fed from there.
//!
//! - `settings`: which brokers, how protected, and what topics are like
//! - `client`: what all clients of a broker have in common
//! - `topics`: names, creation, and how many partitions each has
//! - `sink`: publishes; an event counts as taken when every replica in sync has it
//! - `round`: messages that were handed to the client together, and what became of them
//! - `consumer`: one member of a consumer group; `partition`: what it has read of one partition and how that
//!   is handed to the intakes
//! - `gaps`: source shards that lack an event
//! - `health`: what is wrong at present, for the status

mod client;
mod consumer;
mod gaps;
mod health;
mod partition;
mod round;
mod settings;
mod sink;
mod topics;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::feed::Feeder;
use super::intake::DEAD_LETTER_TOPIC;
use super::sink::EventSink;
use crate::outage::Outage;
use crate::service::Service;
use health::Health;
use sink::KafkaSink;
use topics::Topics;

pub use settings::{KafkaSecurity, KafkaSettings, SaslMechanism, TOPIC_PREFIX};
pub use topics::TopicError;

/// How long a node waits for the brokers at its start before it goes on without them.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks for them then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long a node that stops waits for its consumers to leave their groups.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// Why Kafka can't be used as the settings say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// A setting does not fit this program or the others.
    #[error("{0}")]
    Setting(String),
    /// A client could not be made.
    #[error("kafka: {0}")]
    Client(String),
    /// The topics are not as they must be.
    #[error(transparent)]
    Topics(#[from] TopicError),
}

/// A node's connection with Kafka.
pub(crate) struct Kafka {
    settings: KafkaSettings,
    node: String,
    sink: Arc<KafkaSink>,
    topics: Arc<Topics>,
    health: Arc<Health>,
    /// Topics that were not there yet at the start.
    awaited: Vec<String>,
    /// Ends with the last member of a group.
    members: tokio::sync::Mutex<Option<mpsc::Receiver<Infallible>>>,
}

impl Kafka {
    /// Connects, and sees to the topics of the services of this node and of what it consumes. Brokers that are
    /// away are no error: events wait in the journal until they are there.
    ///
    /// # Errors
    /// When the settings or the topics don't fit; says what to do.
    pub(crate) async fn connect<'a>(
        settings: &KafkaSettings,
        node: &str,
        services: impl Iterator<Item = &'a Service>,
    ) -> Result<Self, KafkaError> {
        settings.check()?;
        let health = Arc::new(Health::default());
        let topics = Arc::new(Topics::new(settings, node)?);
        let sink = Arc::new(KafkaSink::new(settings, node, Arc::clone(&topics), Arc::clone(&health))?);
        let mut awaited = vec![settings.topic_named(DEAD_LETTER_TOPIC)];
        for service in services {
            let sources = service.consumers.iter().flat_map(|consumer| consumer.sources.iter().copied());
            awaited.extend(sources.chain([service.name]).map(|name| settings.topic(name)));
        }
        awaited.sort_unstable();
        awaited.dedup();
        match tokio::time::timeout(START_PATIENCE, topics.ensure(&awaited)).await {
            Ok(Ok(())) => awaited.clear(),
            Ok(Err(TopicError::Unreachable { .. })) | Err(_) => {
                tracing::warn!(brokers = settings.brokers.join(","), "kafka is away; events wait in the journal");
            }
            Ok(Err(error)) => return Err(error.into()),
        }
        let (settings, node, members) = (settings.clone(), node.to_owned(), tokio::sync::Mutex::default());
        Ok(Self { settings, node, sink, topics, health, awaited, members })
    }

    /// Where events are published.
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.sink) as Arc<dyn EventSink>
    }

    /// Starts the consumers of this node.
    ///
    /// # Errors
    /// When the settings don't fit.
    pub(crate) async fn consume(&self, feeders: Vec<Feeder>) -> Result<Vec<JoinHandle<()>>, KafkaError> {
        let mut tasks = Vec::new();
        if !self.awaited.is_empty() {
            let (topics, health) = (Arc::clone(&self.topics), Arc::clone(&self.health));
            tasks.push(tokio::spawn(ensure_later(topics, self.awaited.clone(), health)));
        }
        let (member, members) = mpsc::channel(1);
        for feeder in feeders {
            let consumer =
                consumer::join(&self.settings, &self.node, feeder, &self.sink, &self.health, member.clone())?;
            tasks.push(tokio::spawn(consumer.run()));
        }
        *self.members.lock().await = Some(members);
        Ok(tasks)
    }

    /// To be called when the tasks have been aborted: waits a moment for the consumers to leave their groups,
    /// so that others need not wait for their silence to be noticed.
    pub(crate) async fn left(&self) {
        if let Some(mut members) = self.members.lock().await.take() {
            // It yields nothing; it ends with the last member.
            let _ = tokio::time::timeout(LEAVE_PATIENCE, members.recv()).await;
        }
    }
}

async fn ensure_later(topics: Arc<Topics>, needed: Vec<String>, health: Arc<Health>) {
    let outage = Outage::default();
    while let Err(error) = topics.ensure(&needed).await {
        if let Some(told) = outage.failed() {
            tracing::error!(%error, lasted_ms = told.lasted_ms, "kafka can't be used yet");
        }
        health.trouble("topics", error.to_string());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    tracing::info!("kafka is there");
    health.fine("topics");
}
