//! Every metric of this crate: name, labels, help. Labels are types and places, never ids.
//!
//! - [`define`]: how any crate defines a metric, so that it is printed and described
//! - `node`: how a node and what it rests on are, looked at every few seconds

pub mod define;
pub(crate) mod node;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, exponential_buckets};

use self::define::{counters, gauges, histogram};
use crate::reference::Kind;
use crate::store::{CommitError, Store};

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::define);

/// Defines them all, so that they are printed before they first change.
pub fn define() {
    LazyLock::force(&METRICS);
    node::define();
}

struct Metrics {
    commits: IntCounterVec,
    commands: IntCounterVec,
    rows: IntCounterVec,
    commit_seconds: Histogram,
    batch_commands: Histogram,
    asks: IntCounterVec,
    loaded: IntGaugeVec,
    restarts: IntCounterVec,
    shards: IntGaugeVec,
    effects: IntCounterVec,
    link_requests: IntCounterVec,
    links: IntGaugeVec,
    links_ended: IntCounterVec,
    link_dropped: IntCounterVec,
    published: IntCounterVec,
    publish_failures: IntCounterVec,
    publish_lag: IntGaugeVec,
    consumed: IntCounterVec,
    dead_letters: IntCounterVec,
    event_gaps: IntCounterVec,
    events_stuck: IntGaugeVec,
    consumer_lag: IntGaugeVec,
    lists: IntCounterVec,
    list_fallbacks: IntCounterVec,
    replica_behind: IntGaugeVec,
    /// One of `link_requests`, which counts most often.
    link_answered: IntCounter,
}

impl Metrics {
    fn define() -> Self {
        let link_requests =
            counters("nakku_link_requests_total", "Requests to other nodes, by how they ended.", &["ended"]);
        let link_answered = link_requests.with_label_values(&["answered"]);
        Self {
            commits: counters("nakku_journal_commits_total", "Transactions by outcome.", &["outcome"]),
            commands: counters("nakku_journal_commands_total", "Decisions and waiting reads released.", &["database"]),
            rows: counters("nakku_journal_rows_total", "Journal rows committed.", &["database"]),
            commit_seconds: histogram(
                "nakku_journal_commit_seconds",
                "Time of one transaction.",
                exponential_buckets(0.000_25, 2.0, 15),
            ),
            batch_commands: histogram(
                "nakku_journal_batch_commands",
                "Decisions in one transaction.",
                exponential_buckets(1.0, 2.0, 10),
            ),
            asks: counters(
                "nakku_asks_total",
                "Commands executed on this node, by kind and outcome.",
                &["service", "entity", "outcome"],
            ),
            loaded: gauges("nakku_entities_loaded", "Entities in memory.", &["service"]),
            restarts: counters(
                "nakku_entity_restarts_total",
                "Entities that failed and were restarted.",
                &["service", "entity"],
            ),
            shards: gauges("nakku_shards_serving", "Shards that this node serves.", &["service"]),
            effects: counters(
                "nakku_effects_total",
                "Effects of entities by kind, step and outcome of the attempt.",
                &["kind", "step", "outcome"],
            ),
            link_requests,
            links: gauges("nakku_links", "Links to other nodes, by state.", &["state"]),
            links_ended: counters("nakku_links_ended_total", "Links that were lost, or closed on purpose.", &["how"]),
            link_dropped: counters(
                "nakku_link_messages_dropped_total",
                "Messages of links that could not be delivered: strays of a former link, answers and notices to a peer that takes none.",
                &["what"],
            ),
            published: counters(
                "nakku_events_published_total",
                "Events that the sink has taken, by service and type.",
                &["service", "type"],
            ),
            publish_failures: counters(
                "nakku_events_publish_failures_total",
                "Rounds of publishing that failed and are repeated.",
                &["service"],
            ),
            publish_lag: gauges(
                "nakku_events_lag_rows",
                "Committed journal rows of this node's shards not published yet.",
                &["service"],
            ),
            consumed: counters("nakku_events_consumed_total", "Events that intakes have taken.", &["group"]),
            dead_letters: counters("nakku_events_dead_lettered_total", "Events that were set aside.", &["group"]),
            event_gaps: counters(
                "nakku_events_gaps_total",
                "Batches of events that were left alone because an earlier event was missing; they come again after it.",
                &["group"],
            ),
            events_stuck: gauges(
                "nakku_events_stuck",
                "Source shards that have lacked an event for a minute while newer ones arrived.",
                &["group"],
            ),
            consumer_lag: gauges(
                "nakku_kafka_consumer_lag",
                "Messages of this node's partitions behind the committed offsets.",
                &["group"],
            ),
            lists: counters(
                "nakku_lists_total",
                "Lists by where they were read: primary or replica.",
                &["service", "from"],
            ),
            list_fallbacks: counters(
                "nakku_list_fallbacks_total",
                "Lists that were to be read from a replica and were read from the primary: the replica was away, stale, or behind what the list must contain.",
                &["service", "cause"],
            ),
            replica_behind: gauges(
                "nakku_replica_behind_ms",
                "By how many milliseconds a replica may be behind its primary; the largest number while that is unknown.",
                &["database"],
            ),
            link_answered,
        }
    }
}

pub(crate) fn committed(store: &Arc<dyn Store>, commands: usize, rows: usize, took: Duration) {
    METRICS.commits.with_label_values(&["committed"]).inc();
    METRICS.commands.with_label_values(&[store.location()]).inc_by(commands as u64);
    METRICS.rows.with_label_values(&[store.location()]).inc_by(rows as u64);
    METRICS.commit_seconds.observe(took.as_secs_f64());
    #[allow(clippy::cast_precision_loss, reason = "batches are small")]
    METRICS.batch_commands.observe(commands as f64);
}

/// Transactions and journal rows that were committed so far.
pub(crate) fn committed_totals() -> (u64, u64) {
    let rows = METRICS.rows.collect();
    let rows = rows.iter().flat_map(|family| family.get_metric());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let rows = rows.map(|metric| metric.get_counter().get_value() as u64).sum();
    (METRICS.commits.with_label_values(&["committed"]).get(), rows)
}

pub(crate) fn commit_failed(error: &CommitError) {
    let outcome = match error {
        CommitError::Collision => "collision",
        CommitError::Gap { .. } => "gap",
        CommitError::Repeat(_) => "repeat",
        CommitError::Unknown(_) => "unknown",
        CommitError::NotBegun(_) => "not_begun",
        CommitError::Refused(_) => "refused",
    };
    METRICS.commits.with_label_values(&[outcome]).inc();
}

pub(crate) fn asked(kind: Kind, outcome: &str) {
    METRICS.asks.with_label_values(&[kind.service, kind.entity, outcome]).inc();
}

pub(crate) fn loaded(service: &str, count: i64) {
    METRICS.loaded.with_label_values(&[service]).set(count);
}

pub(crate) fn restarted(kind: Kind) {
    METRICS.restarts.with_label_values(&[kind.service, kind.entity]).inc();
}

pub(crate) fn restarted_count(kind: Kind) -> u64 {
    METRICS.restarts.with_label_values(&[kind.service, kind.entity]).get()
}

pub(crate) fn serving(service: &str, change: i64) {
    METRICS.shards.with_label_values(&[service]).add(change);
}

pub(crate) fn serving_count(service: &str) -> i64 {
    METRICS.shards.with_label_values(&[service]).get()
}

pub(crate) fn effect(kind: &str, step: &str, outcome: &str) {
    METRICS.effects.with_label_values(&[kind, step, outcome]).inc();
}

pub(crate) fn published(service: &str, event_type: &str, count: u64) {
    METRICS.published.with_label_values(&[service, event_type]).inc_by(count);
}

/// Counts of a service that is published from here begin at 0, so that the first failure shows as an increase.
pub(crate) fn publishes(service: &str) {
    METRICS.publish_failures.with_label_values(&[service]);
}

/// The same of a group that is fed from here.
pub(crate) fn consumes(group: &str) {
    METRICS.consumed.with_label_values(&[group]);
    METRICS.dead_letters.with_label_values(&[group]);
    METRICS.event_gaps.with_label_values(&[group]);
}

/// And of a kind of entities that lives here.
pub(crate) fn hosts(kind: Kind) {
    METRICS.restarts.with_label_values(&[kind.service, kind.entity]);
}

pub(crate) fn publish_failed(service: &str) {
    METRICS.publish_failures.with_label_values(&[service]).inc();
}

pub(crate) fn publish_lag(service: &str, rows: u64) {
    METRICS.publish_lag.with_label_values(&[service]).set(i64::try_from(rows).unwrap_or(i64::MAX));
}

pub(crate) fn publish_lag_rows(service: &str) -> u64 {
    u64::try_from(METRICS.publish_lag.with_label_values(&[service]).get()).unwrap_or(0)
}

/// What is counted of a consumer group.
pub(crate) struct ConsumerCounts {
    pub consumed: u64,
    pub dead_lettered: u64,
    pub gaps: u64,
    pub stuck: u64,
    /// At the broker.
    pub lag: u64,
}

pub(crate) fn consumer_counts(group: &str) -> ConsumerCounts {
    let counter = |of: &IntCounterVec| of.with_label_values(&[group]).get();
    let gauge = |of: &IntGaugeVec| u64::try_from(of.with_label_values(&[group]).get()).unwrap_or(0);
    ConsumerCounts {
        consumed: counter(&METRICS.consumed),
        dead_lettered: counter(&METRICS.dead_letters),
        gaps: counter(&METRICS.event_gaps),
        stuck: gauge(&METRICS.events_stuck),
        lag: gauge(&METRICS.consumer_lag),
    }
}

pub(crate) fn consumed(group: &str, count: usize) {
    METRICS.consumed.with_label_values(&[group]).inc_by(count as u64);
}

pub(crate) fn dead_lettered(group: &str) {
    METRICS.dead_letters.with_label_values(&[group]).inc();
}

pub(crate) fn event_gap(group: &str) {
    METRICS.event_gaps.with_label_values(&[group]).inc();
}

pub(crate) fn events_stuck(group: &str, shards: usize) {
    METRICS.events_stuck.with_label_values(&[group]).set(i64::try_from(shards).unwrap_or(i64::MAX));
}

pub(crate) fn consumer_lag(group: &str, messages: i64) {
    METRICS.consumer_lag.with_label_values(&[group]).set(messages);
}

pub(crate) fn listed(service: &str, from: &str) {
    METRICS.lists.with_label_values(&[service, from]).inc();
}

pub(crate) fn list_fell_back(service: &str, cause: &str) {
    METRICS.list_fallbacks.with_label_values(&[service, cause]).inc();
}

pub(crate) fn replica_behind(database: &str, behind: Duration) {
    let behind_ms = i64::try_from(behind.as_millis()).unwrap_or(i64::MAX);
    METRICS.replica_behind.with_label_values(&[database]).set(behind_ms);
}

pub(crate) fn link_answered() {
    METRICS.link_answered.inc();
}

pub(crate) fn link_failed(ended: &str) {
    METRICS.link_requests.with_label_values(&[ended]).inc();
}

pub(crate) fn links_ready(count: usize) {
    METRICS.links.with_label_values(&["ready"]).set(i64::try_from(count).unwrap_or(i64::MAX));
}

pub(crate) fn link_ended(how: &str) {
    METRICS.links_ended.with_label_values(&[how]).inc();
}

pub(crate) fn link_dropped(what: &str) {
    METRICS.link_dropped.with_label_values(&[what]).inc();
}
