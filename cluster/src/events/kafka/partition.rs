//! What a consumer has read of one partition and not yet consumed, and how it is handed to the intakes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::DEAD_LETTER_TOPIC;
use super::settings::KafkaSettings;
use super::sink::KafkaSink;
use crate::events::SealedEnvelope;
use crate::events::feed::{FeedError, Feeder};
use crate::metrics;

/// How long events gather before they are handed to the intakes, so that one commit takes many.
const LINGER: Duration = Duration::from_millis(50);
/// As many need not gather any longer.
const GATHERED: usize = 256;
/// As many are handed over at a time.
const BATCH_MAX: usize = 1024;
/// Pause after a failure; doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long an intake that has consumed nothing yet waits for what precedes the first event that it sees.
const BEGIN_PATIENCE: Duration = Duration::from_secs(5);
/// How much of a message that is no event goes to the dead letters.
const PAYLOAD_BYTES_MAX: usize = 128 * 1024;

/// The oldest messages of a partition.
#[async_trait]
pub(super) trait Oldest: Send + Sync {
    /// Whether some have gone already.
    async fn are_gone(&self) -> Result<bool, String>;
    /// After a crash the partition is read from them on.
    async fn commit(&self) -> Result<(), String>;
}

/// A source's service and shard.
pub(super) type Source = (String, u32);
/// Topic and partition.
pub(super) type Place = (Arc<str>, i32);

/// One message.
#[derive(Debug)]
pub(super) struct Received {
    pub offset: i64,
    pub bytes: usize,
    pub what: Result<Arc<SealedEnvelope>, Unreadable>,
}

/// A message that is no event of the topic's service.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub reason: String,
    pub payload: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Partition {
    /// Tells this assignment from an earlier one.
    pub assignment: u64,
    /// In the order of their offsets.
    pub waiting: Vec<Received>,
    pub bytes: usize,
    /// Some of it is being handed over.
    pub feeding: bool,
    /// The broker is not asked for more.
    pub paused: bool,
    /// When to hand over.
    pub due: Instant,
    pause: Duration,
    /// An intake that has consumed nothing has waited for earlier events.
    waited: bool,
    /// Sources for which it was read from its oldest message on, because their intakes had consumed nothing.
    reread: HashSet<Source>,
}

/// What an attempt to hand over may do.
#[derive(Debug)]
pub(super) struct Allowed {
    /// An intake that has consumed nothing has waited for earlier events.
    waited: bool,
    reread: HashSet<Source>,
}

/// A high-water mark, and the event behind it that is lacked.
pub(super) type Missing = (u64, u64);

/// How handing over ended.
#[derive(Debug)]
pub(super) struct Fed {
    pub place: Place,
    pub assignment: u64,
    /// Where to go on after a restart.
    pub next_offset: i64,
    /// What is to be handed over again.
    pub left: Vec<Received>,
    /// Source shards, each with what was missing of it.
    pub sources: Vec<(Source, Option<Missing>)>,
    pub again: Option<Again>,
}

/// Why to hand over again.
#[derive(Debug)]
pub(super) enum Again {
    /// Something failed.
    Failed(String),
    /// Earlier events may yet come.
    Wait,
    /// Earlier events may be in the topic: an intake has consumed nothing, or has begun anew.
    Reread(Source),
}

impl Partition {
    pub(super) fn new(assignment: u64) -> Self {
        Self {
            assignment,
            waiting: Vec::new(),
            bytes: 0,
            feeding: false,
            paused: false,
            due: Instant::now(),
            pause: PAUSE_FIRST,
            waited: false,
            reread: HashSet::new(),
        }
    }

    pub(super) fn push(&mut self, message: Received) {
        if self.waiting.is_empty() {
            self.due = self.due.max(Instant::now() + LINGER);
        }
        self.bytes += message.bytes;
        self.waiting.push(message);
        if self.waiting.len() == GATHERED && !self.paused && !self.waited {
            self.due = Instant::now();
        }
    }

    /// When something is to be handed over, if so.
    pub(super) fn next_due(&self) -> Option<Instant> {
        (!self.feeding && !self.waiting.is_empty()).then_some(self.due)
    }

    /// Takes the first of what waits.
    pub(super) fn begin(&mut self) -> (Vec<Received>, Allowed) {
        self.feeding = true;
        let later = self.waiting.split_off(self.waiting.len().min(BATCH_MAX));
        let first = std::mem::replace(&mut self.waiting, later);
        self.bytes = self.waiting.iter().map(|message| message.bytes).sum();
        (first, Allowed { waited: std::mem::take(&mut self.waited), reread: self.reread.clone() })
    }

    /// Forgets what waits: the partition is read from its oldest message on.
    pub(super) fn reread(&mut self, source: Source) {
        self.waiting.clear();
        self.bytes = 0;
        self.reread.insert(source);
    }

    /// An intake has consumed all that came of its source.
    pub(super) fn closed(&mut self, source: &Source) {
        self.reread.remove(source);
    }

    /// Takes back what is left, in front of what has come meanwhile.
    pub(super) fn end(&mut self, left: Vec<Received>, again: Option<&Again>) {
        self.feeding = false;
        self.bytes += left.iter().map(|message| message.bytes).sum::<usize>();
        let newer = std::mem::replace(&mut self.waiting, left);
        self.waiting.extend(newer);
        match again {
            None | Some(Again::Reread(_)) => {
                self.pause = PAUSE_FIRST;
                self.due = Instant::now();
            }
            Some(Again::Wait) => {
                self.waited = true;
                self.due = Instant::now() + BEGIN_PATIENCE;
            }
            Some(Again::Failed(_)) => {
                self.due = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// What handing over needs.
#[derive(Clone)]
pub(super) struct Feeding {
    pub feeder: Feeder,
    pub sink: Arc<KafkaSink>,
    pub settings: Arc<KafkaSettings>,
}

impl Feeding {
    /// Hands messages of a partition to the intakes, each source shard in the order of its sequences.
    pub(super) async fn feed(
        &self,
        place: Place,
        assignment: u64,
        messages: Vec<Received>,
        allowed: &Allowed,
        oldest: &dyn Oldest,
    ) -> Fed {
        let next_offset = messages.last().map_or(0, |message| message.offset + 1);
        let mut fed = Fed { place, assignment, next_offset, left: Vec::new(), sources: Vec::new(), again: None };
        for message in &messages {
            if let Err(unreadable) = &message.what
                && let Err(error) = self.set_aside(&fed.place, message.offset, unreadable).await
            {
                fed.again = Some(Again::Failed(error));
                fed.left = messages;
                return fed;
            }
        }
        let mut by_source: BTreeMap<Source, Vec<Arc<SealedEnvelope>>> = BTreeMap::new();
        for message in &messages {
            if let Ok(event) = &message.what {
                by_source.entry((event.service.to_string(), event.shard)).or_default().push(Arc::clone(event));
            }
        }
        let feeds = by_source.into_iter().map(|(source, mut events)| async move {
            // After a failure a publisher begins again: the same events come twice, and some too early.
            events.sort_by_key(|event| (event.incarnation(), event.sequence));
            events.dedup_by_key(|event| (event.incarnation(), event.sequence));
            let outcome = self.feed_source(&source, &events, allowed, oldest).await;
            (source, outcome)
        });
        for (source, outcome) in join_all(feeds).await {
            match (outcome, &fed.again) {
                (Ok(lacks), _) => fed.sources.push((source, lacks)),
                (Err(_), Some(Again::Failed(_))) | (Err(Again::Wait), Some(_)) => {}
                (Err(again), _) => fed.again = Some(again),
            }
        }
        if fed.again.is_some() {
            // What was consumed is dropped by its intake when it comes again.
            fed.left = messages;
            fed.left.retain(|message| message.what.is_ok());
        }
        fed
    }

    /// Answers with high-water mark and the event that was missing, if so: what lacks it is left alone.
    async fn feed_source(
        &self,
        source: &Source,
        events: &[Arc<SealedEnvelope>],
        allowed: &Allowed,
        oldest: &dyn Oldest,
    ) -> Result<Option<Missing>, Again> {
        let mut fed = self.feeder.feed(events, false).await;
        if let Err(FeedError::Gap { high_water: 0, .. }) = fed {
            if !allowed.reread.contains(source) {
                oldest.commit().await.map_err(Again::Failed)?;
                return Err(Again::Reread(source.clone()));
            }
            if oldest.are_gone().await.map_err(Again::Failed)? {
                if !allowed.waited {
                    return Err(Again::Wait);
                }
                // It begins with what there is.
                fed = self.feeder.feed(&events[..1], true).await;
                if fed.is_ok() {
                    fed = self.feeder.feed(events, false).await;
                }
            }
        }
        match fed {
            Ok(()) => Ok(None),
            Err(FeedError::Gap { high_water, lacks, .. }) => Ok(Some((high_water, lacks))),
            Err(error) => Err(Again::Failed(error.to_string())),
        }
    }

    /// Sends what is no event to the dead letters, with cause and origin.
    async fn set_aside(&self, (topic, partition): &Place, offset: i64, message: &Unreadable) -> Result<(), String> {
        let group = self.feeder.consumer.group;
        let reason = &message.reason;
        tracing::warn!(group, %topic, partition, offset, reason, "a message is no event and is set aside");
        let letter = unreadable_event(group, topic, *partition, offset, message);
        let payload = serde_json::to_vec(&letter).map_err(|error| error.to_string())?;
        let dead_letters = self.settings.topic_named(DEAD_LETTER_TOPIC);
        let to = u32::try_from(*partition).unwrap_or(0);
        self.sink.deliver(&dead_letters, to, topic, &payload).await.map_err(|error| error.0)?;
        metrics::dead_lettered(group);
        Ok(())
    }
}

fn unreadable_event(group: &str, topic: &str, partition: i32, offset: i64, message: &Unreadable) -> Value {
    let payload = &message.payload[..message.payload.len().min(PAYLOAD_BYTES_MAX)];
    json!({
        "specversion": "1.0",
        "id": format!("{group}-{topic}-{partition}-{offset}"),
        "source": format!("/nakku/kafka/{topic}/{partition}"),
        "type": "nakku.unreadable",
        "subject": topic,
        "datacontenttype": "application/json",
        "dataschema": "urn:nakku:event:nakku.unreadable:1",
        "data": {
            "group": group,
            "reason": message.reason,
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "payload": String::from_utf8_lossy(payload),
        },
    })
}

/// Reads a message of a topic that holds the events of one service.
pub(super) fn read(service: &str, payload: Option<&[u8]>) -> Result<Arc<SealedEnvelope>, Unreadable> {
    let payload = payload.unwrap_or_default();
    let unreadable = |reason: String| Unreadable { reason, payload: payload.to_vec() };
    let event: SealedEnvelope = serde_json::from_slice(payload).map_err(|error| unreadable(error.to_string()))?;
    // Here rather than at the intake, where it would hold up what is behind it.
    event.data.is_readable().map_err(|error| unreadable(format!("data: {error}")))?;
    if event.service != service {
        return Err(unreadable(format!("an event of {:?} on the topic of {service}", event.service)));
    }
    Ok(Arc::new(event))
}
