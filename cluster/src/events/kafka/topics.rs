//! Names, creation, and how many partitions each topic has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::types::RDKafkaErrorCode;

use super::KafkaError;
use super::client::{self, Quiet};
use super::settings::KafkaSettings;

/// How long one question to the brokers may take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How long a topic that was created may take to be seen.
const SEEN_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a topic can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No broker answers.
    #[error("kafka at {brokers} can't be reached: {cause}")]
    Unreachable {
        /// Where.
        brokers: String,
        /// What the client says.
        cause: String,
    },
    /// They don't exist and must not be created.
    #[error(
        "kafka has no topic {topics} and kafka.create_topics is false; for each of them run `kafka-topics --create \
         --topic NAME {like}`"
    )]
    Missing {
        /// Their names.
        topics: String,
        /// What they must be like.
        like: String,
    },
    /// The brokers would not create them.
    #[error(
        "kafka refuses to create {topics}: {cause}; allow it, change kafka.partitions or kafka.replication, or for \
         each of them run `kafka-topics --create --topic NAME {like}`"
    )]
    Refused {
        /// Their names.
        topics: String,
        /// What the broker said.
        cause: String,
        /// What they were to be like.
        like: String,
    },
}

/// See the module.
pub(super) struct Topics {
    settings: KafkaSettings,
    admin: Arc<AdminClient<Quiet>>,
    /// Partitions of the topics that have been seen.
    known: Mutex<HashMap<String, u32>>,
    /// Held while the brokers are asked, so that they are asked once.
    asking: tokio::sync::Mutex<()>,
}

impl Topics {
    pub(super) fn new(settings: &KafkaSettings, node: &str) -> Result<Self, KafkaError> {
        let config = client::config(settings, node);
        let admin = AdminClient::from_config_and_context(&config, Quiet);
        let admin = Arc::new(admin.map_err(|error| KafkaError::Client(error.to_string()))?);
        let (known, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { settings: settings.clone(), admin, known, asking })
    }

    /// Creates what is missing, if that is allowed.
    pub(super) async fn ensure(&self, topics: &[String]) -> Result<(), TopicError> {
        let _asking = self.asking.lock().await;
        let mut missing = Vec::new();
        for topic in topics {
            if self.look(topic).await?.is_none() {
                missing.push(topic.as_str());
            }
        }
        if missing.is_empty() { Ok(()) } else { self.create(&missing).await }
    }

    /// How many partitions a topic has; it is created when it is missing and that is allowed.
    pub(super) async fn partitions(&self, topic: &str) -> Result<u32, TopicError> {
        let known = || self.lock().get(topic).copied();
        if let Some(partitions) = known() {
            return Ok(partitions);
        }
        let _asking = self.asking.lock().await;
        if let Some(partitions) = known() {
            return Ok(partitions);
        }
        if let Some(partitions) = self.look(topic).await? {
            return Ok(partitions);
        }
        self.create(&[topic]).await?;
        known().ok_or_else(|| self.refused(&[topic], "it is not seen".into()))
    }

    /// Look at the topic again before it is used next.
    pub(super) fn forget(&self, topic: &str) {
        self.lock().remove(topic);
    }

    /// Whether any broker answers.
    pub(super) async fn reachable(&self, patience: Duration) -> Result<(), TopicError> {
        // Of a topic that need not exist: the answer is small.
        let topic = self.settings.topic_named(super::DEAD_LETTER_TOPIC);
        self.ask(topic, patience).await.map(|_| ())
    }

    /// Partitions of a topic as the brokers have it; nothing when they have not.
    async fn look(&self, topic: &str) -> Result<Option<u32>, TopicError> {
        let partitions = self.ask(topic.to_owned(), REQUEST_PATIENCE).await?;
        if let Some(partitions) = partitions {
            self.lock().insert(topic.to_owned(), partitions);
        }
        Ok(partitions)
    }

    async fn ask(&self, topic: String, patience: Duration) -> Result<Option<u32>, TopicError> {
        let admin = Arc::clone(&self.admin);
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = admin.inner().fetch_metadata(Some(&topic), patience)?;
            let topic = metadata.topics().iter().find(|one| one.name() == topic);
            match topic.map(|topic| (topic.error().map(RDKafkaErrorCode::from), topic.partitions().len())) {
                None | Some((Some(RDKafkaErrorCode::UnknownTopicOrPartition), _) | (None, 0)) => Ok(None),
                Some((None, partitions)) => Ok(u32::try_from(partitions).ok()),
                Some((Some(code), _)) => Err(rdkafka::error::KafkaError::MetadataFetch(code)),
            }
        });
        let cause = match asked.await {
            Ok(Ok(partitions)) => return Ok(partitions),
            Ok(Err(error)) => error.to_string(),
            Err(ended) => ended.to_string(),
        };
        Err(TopicError::Unreachable { brokers: self.settings.brokers.join(","), cause })
    }

    async fn create(&self, topics: &[&str]) -> Result<(), TopicError> {
        if !self.settings.create_topics {
            return Err(TopicError::Missing { topics: topics.join(", "), like: self.like() });
        }
        let retention_ms = self.settings.retention.as_millis().to_string();
        let in_sync = self.settings.in_sync_min().to_string();
        let new = |name| {
            let replication = TopicReplication::Fixed(self.settings.replication.into());
            NewTopic::new(name, self.settings.partitions.into(), replication)
                .set("retention.ms", &retention_ms)
                .set("min.insync.replicas", &in_sync)
        };
        let new: Vec<NewTopic<'_>> = topics.iter().map(|name| new(name)).collect();
        let options = AdminOptions::new().operation_timeout(Some(REQUEST_PATIENCE));
        let created = self.admin.create_topics(&new, &options).await;
        let created = created.map_err(|error| self.refused(topics, error.to_string()))?;
        for outcome in created {
            match outcome {
                Ok(name) => tracing::info!(topic = name, like = self.like(), "topic created"),
                // By another node at the same moment.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(self.refused(&[name.as_str()], code.to_string())),
            }
        }
        let began = Instant::now();
        for topic in topics {
            while self.look(topic).await?.is_none() {
                if began.elapsed() > SEEN_PATIENCE {
                    return Err(self.refused(&[topic], "it was created and is not seen".into()));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    fn refused(&self, topics: &[&str], cause: String) -> TopicError {
        TopicError::Refused { topics: topics.join(", "), cause, like: self.like() }
    }

    /// What a topic must be like, as options of Kafka's own tool.
    fn like(&self) -> String {
        let KafkaSettings { partitions, replication, retention, .. } = &self.settings;
        format!(
            "--partitions {partitions} --replication-factor {replication} --config retention.ms={} --config \
             min.insync.replicas={}",
            retention.as_millis(),
            self.settings.in_sync_min()
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
