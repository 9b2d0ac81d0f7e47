//! Source shards that lack an event.
//!
//! A publisher sends everything behind a failure again, so an event that lacks its predecessor is left alone:
//! it comes again, after what it lacks. Should it not, then the topic has lost something, and somebody must
//! know.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics;

/// So long a shard may stand still while newer events of it arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of one consumer.
#[derive(Debug)]
pub(super) struct Gaps {
    group: &'static str,
    by_source: HashMap<(String, u32), Gap>,
}

#[derive(Debug)]
struct Gap {
    since: Instant,
    high_water: u64,
    lacks: u64,
    told: bool,
}

impl Gaps {
    pub(super) fn new(group: &'static str) -> Self {
        Self { group, by_source: HashMap::new() }
    }

    /// Events were consumed without one missing.
    pub(super) fn closed(&mut self, service: &str, shard: u32) {
        if !self.by_source.is_empty() && self.by_source.remove(&(service.to_owned(), shard)).is_some() {
            self.count();
        }
    }

    /// Events were left alone: the intake is at `high_water` and lacks the event `lacks`.
    pub(super) fn found(&mut self, service: &str, shard: u32, high_water: u64, lacks: u64) {
        metrics::event_gap(self.group);
        let now = Instant::now();
        let new = || Gap { since: now, high_water, lacks, told: false };
        let gap = self.by_source.entry((service.to_owned(), shard)).or_insert_with(new);
        if gap.high_water != high_water {
            *gap = new();
        }
        gap.lacks = lacks;
        if !gap.told && gap.since.elapsed() >= PATIENCE {
            gap.told = true;
            tracing::error!(
                group = self.group,
                service,
                shard,
                high_water,
                lacks,
                "an event of this shard is missing from its topic and what follows is not consumed"
            );
            self.count();
        }
    }

    /// What stands still, in one line.
    pub(super) fn told(&self) -> Option<String> {
        let told = self.by_source.iter().filter(|(_, gap)| gap.told);
        let lines: Vec<String> = told
            .map(|((service, shard), gap)| {
                format!("{service}/{shard} has been consumed up to {} and lacks {}", gap.high_water, gap.lacks)
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    fn count(&self) {
        metrics::events_stuck(self.group, self.by_source.values().filter(|gap| gap.told).count());
    }
}
