//! Without a broker: the consumers of this cluster are fed by the publisher itself.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use super::feed::{FeedError, Feeder};
use super::sink::{EventSink, SinkError};
use super::{ConsumerType, SealedEnvelope};

/// How many shards are fed at the same time.
const FEEDS_MAX: usize = 16;

/// See the module.
#[derive(Clone)]
pub(crate) struct LocalSink {
    feeders: Vec<Feeder>,
    replay: std::sync::Arc<dyn Replay>,
}

/// Feeds an intake that lacks earlier events from the journal of their shard.
#[async_trait]
pub(crate) trait Replay: Send + Sync + 'static {
    /// Feeds all public events of a shard of this node behind `after` and before `before`.
    async fn replay(
        &self,
        feeder: &Feeder,
        service: &str,
        shard: u32,
        after: u64,
        before: u64,
    ) -> Result<(), FeedError>;
}

impl LocalSink {
    pub(crate) fn new(feeders: Vec<Feeder>, replay: std::sync::Arc<dyn Replay>) -> Self {
        Self { feeders, replay }
    }

    async fn feed(&self, events: &[&SealedEnvelope]) -> Result<(), SinkError> {
        let Some(first) = events.first() else { return Ok(()) };
        let takes = |consumer: &ConsumerType| consumer.sources.contains(&&*first.service);
        for feeder in self.feeders.iter().filter(|feeder| takes(&feeder.consumer)) {
            let mut fed = feeder.feed(events, false).await;
            if let Err(FeedError::Gap { high_water, .. }) = fed {
                // A consumer that is new to this cluster, or that begins anew.
                let SealedEnvelope { service, shard, sequence, .. } = first;
                fed = self.replay.replay(feeder, service, *shard, high_water, *sequence).await;
                if fed.is_ok() {
                    fed = feeder.feed(events, true).await;
                }
            }
            fed.map_err(|error| SinkError(format!("{}: {error}", feeder.consumer.group)))?;
        }
        Ok(())
    }
}

#[async_trait]
impl EventSink for LocalSink {
    async fn publish(&self, events: &[SealedEnvelope]) -> Vec<Result<(), SinkError>> {
        let mut by_shard: BTreeMap<(&str, u32), Vec<usize>> = BTreeMap::new();
        // What goes to a topic of its own is not for those who read the service's.
        for (place, event) in events.iter().enumerate().filter(|(_, event)| event.topic.is_none()) {
            by_shard.entry((&event.service, event.shard)).or_default().push(place);
        }
        let feeds: Vec<_> = by_shard
            .into_values()
            .map(|places| async move {
                let events: Vec<&SealedEnvelope> = places.iter().map(|place| &events[*place]).collect();
                (places, self.feed(&events).await)
            })
            .collect();
        let mut results = vec![Ok(()); events.len()];
        let mut fed = stream::iter(feeds).buffer_unordered(FEEDS_MAX);
        while let Some((places, outcome)) = fed.next().await {
            for place in places {
                results[place].clone_from(&outcome);
            }
        }
        results
    }

    async fn check(&self) -> Result<(), SinkError> {
        Ok(())
    }

    fn location(&self) -> &str {
        "this cluster"
    }
}

impl std::fmt::Debug for LocalSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalSink")
    }
}
