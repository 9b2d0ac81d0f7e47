//! Every metric of this crate: name, labels, help. Labels are types and places, never ids.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

use crate::reference::Kind;
use crate::store::{CommitError, Store};

/// All metrics of the process; the gateway adds its own and prints them.
pub static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

static COMMITS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_journal_commits_total", "Transactions by outcome.", &["outcome"]));
static COMMANDS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_journal_commands_total", "Decisions and waiting reads released.", &["database"]));
static ROWS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_journal_rows_total", "Journal rows committed.", &["database"]));
static COMMIT_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    histogram("nakku_journal_commit_seconds", "Time of one transaction.", exponential_buckets(0.000_25, 2.0, 15))
});
static BATCH_COMMANDS: LazyLock<Histogram> = LazyLock::new(|| {
    histogram("nakku_journal_batch_commands", "Decisions in one transaction.", exponential_buckets(1.0, 2.0, 10))
});
static ASKS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "nakku_asks_total",
        "Commands executed on this node, by kind and outcome.",
        &["service", "entity", "outcome"],
    )
});
static LOADED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("nakku_entities_loaded", "Entities in memory.", &["service"]));
static RESTARTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("nakku_entity_restarts_total", "Entities that failed and were restarted.", &["service", "entity"])
});
static SHARDS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("nakku_shards_serving", "Shards that this node serves.", &["service"]));
static EFFECTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "nakku_effects_total",
        "Effects of entities by kind, step and outcome of the attempt.",
        &["kind", "step", "outcome"],
    )
});
static LINK_REQUESTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_link_requests_total", "Requests to other nodes, by how they ended.", &["ended"]));
static LINK_ANSWERED: LazyLock<IntCounter> = LazyLock::new(|| LINK_REQUESTS.with_label_values(&["answered"]));
static LINKS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge("nakku_links", "Links to other nodes, by state.", &["state"]));
static LINKS_ENDED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_links_ended_total", "Links that were lost, or closed on purpose.", &["how"]));
static LINK_DROPPED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "nakku_link_messages_dropped_total",
        "Messages of links that could not be delivered: strays of a former link, answers and notices to a \
         peer that takes none.",
        &["what"],
    )
});

static PUBLISHED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_events_published_total", "Events that the sink has taken.", &["service"]));
static PUBLISH_FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("nakku_events_publish_failures_total", "Rounds of publishing that failed and are repeated.", &["service"])
});
static PUBLISH_LAG: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("nakku_events_lag_rows", "Committed journal rows of this node's shards not published yet.", &["service"])
});
static CONSUMED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_events_consumed_total", "Events that intakes have taken.", &["group"]));
static DEAD_LETTERS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counter("nakku_events_dead_lettered_total", "Events that were set aside.", &["group"]));

static EVENT_GAPS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "nakku_events_gaps_total",
        "Batches of events that were left alone because an earlier event was missing; they come again after it.",
        &["group"],
    )
});
static EVENTS_STUCK: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge(
        "nakku_events_stuck",
        "Source shards that have lacked an event for a minute while newer ones arrived.",
        &["group"],
    )
});
static CONSUMER_LAG: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge("nakku_kafka_consumer_lag", "Messages of this node's partitions behind the committed offsets.", &["group"])
});

pub(crate) fn committed(store: &Arc<dyn Store>, commands: usize, rows: usize, took: Duration) {
    COMMITS.with_label_values(&["committed"]).inc();
    COMMANDS.with_label_values(&[store.location()]).inc_by(commands as u64);
    ROWS.with_label_values(&[store.location()]).inc_by(rows as u64);
    COMMIT_SECONDS.observe(took.as_secs_f64());
    #[allow(clippy::cast_precision_loss, reason = "batches are small")]
    BATCH_COMMANDS.observe(commands as f64);
}

pub(crate) fn commit_failed(error: &CommitError) {
    let outcome = match error {
        CommitError::Collision => "collision",
        CommitError::Repeat(_) => "repeat",
        CommitError::Unknown(_) => "unknown",
        CommitError::NotBegun(_) => "not_begun",
        CommitError::Refused(_) => "refused",
    };
    COMMITS.with_label_values(&[outcome]).inc();
}

pub(crate) fn asked(kind: Kind, outcome: &str) {
    ASKS.with_label_values(&[kind.service, kind.entity, outcome]).inc();
}

pub(crate) fn loaded(service: &str, change: i64) {
    LOADED.with_label_values(&[service]).add(change);
}

pub(crate) fn loaded_count(service: &str) -> i64 {
    LOADED.with_label_values(&[service]).get()
}

pub(crate) fn restarted(kind: Kind) {
    RESTARTS.with_label_values(&[kind.service, kind.entity]).inc();
}

pub(crate) fn serving(service: &str, change: i64) {
    SHARDS.with_label_values(&[service]).add(change);
}

pub(crate) fn serving_count(service: &str) -> i64 {
    SHARDS.with_label_values(&[service]).get()
}

pub(crate) fn effect(kind: &str, step: &str, outcome: &str) {
    EFFECTS.with_label_values(&[kind, step, outcome]).inc();
}

pub(crate) fn published(service: &str, count: usize) {
    PUBLISHED.with_label_values(&[service]).inc_by(count as u64);
}

pub(crate) fn publish_failed(service: &str) {
    PUBLISH_FAILURES.with_label_values(&[service]).inc();
}

pub(crate) fn publish_lag(service: &str, rows: u64) {
    PUBLISH_LAG.with_label_values(&[service]).set(i64::try_from(rows).unwrap_or(i64::MAX));
}

pub(crate) fn publish_lag_rows(service: &str) -> u64 {
    u64::try_from(PUBLISH_LAG.with_label_values(&[service]).get()).unwrap_or(0)
}

pub(crate) fn consumed(group: &str, count: usize) {
    CONSUMED.with_label_values(&[group]).inc_by(count as u64);
}

pub(crate) fn dead_lettered(group: &str) {
    DEAD_LETTERS.with_label_values(&[group]).inc();
}

pub(crate) fn event_gap(group: &str) {
    EVENT_GAPS.with_label_values(&[group]).inc();
}

pub(crate) fn events_stuck(group: &str, shards: usize) {
    EVENTS_STUCK.with_label_values(&[group]).set(i64::try_from(shards).unwrap_or(i64::MAX));
}

pub(crate) fn consumer_lag(group: &str, messages: i64) {
    CONSUMER_LAG.with_label_values(&[group]).set(messages);
}

pub(crate) fn link_answered() {
    LINK_ANSWERED.inc();
}

pub(crate) fn link_failed(ended: &str) {
    LINK_REQUESTS.with_label_values(&[ended]).inc();
}

pub(crate) fn links_ready(count: usize) {
    LINKS.with_label_values(&["ready"]).set(i64::try_from(count).unwrap_or(i64::MAX));
}

pub(crate) fn link_ended(how: &str) {
    LINKS_ENDED.with_label_values(&[how]).inc();
}

pub(crate) fn link_dropped(what: &str) {
    LINK_DROPPED.with_label_values(&[what]).inc();
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let metric = IntCounterVec::new(Opts::new(name, help), labels).expect("metric names are constants");
    REGISTRY.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels).expect("metric names are constants");
    REGISTRY.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}

fn histogram(name: &str, help: &str, buckets: prometheus::Result<Vec<f64>>) -> Histogram {
    let buckets = buckets.expect("bucket bounds are constants");
    let metric =
        Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect("metric names are constants");
    REGISTRY.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}
