//! How a node is, and what it rests on: gauges that `node::gauges` sets every few seconds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prometheus::{Counter, GaugeVec, IntGauge, IntGaugeVec};

use super::define::{gauge, gauges, seconds_counter, seconds_gauges};
use crate::status::Dependency;

static NODE: LazyLock<NodeMetrics> = LazyLock::new(NodeMetrics::define);

pub(super) fn define() {
    LazyLock::force(&NODE);
}

struct NodeMetrics {
    build: IntGaugeVec,
    ready: IntGauge,
    in_flight: IntGauge,
    in_flight_max: IntGauge,
    dependency_up: IntGaugeVec,
    dependency_seconds: GaugeVec,
    view_version: IntGauge,
    members: IntGaugeVec,
    cluster_shards: IntGaugeVec,
    shards_halted: IntGaugeVec,
    quarantined: IntGaugeVec,
    resident_bytes: IntGauge,
    cpu_seconds: Counter,
}

impl NodeMetrics {
    fn define() -> Self {
        Self {
            build: gauges("nakku_build_info", "1, by the version of the program.", &["version"]),
            ready: gauge("nakku_node_ready", "1 while the node is ready, 0 while it joins or drains."),
            in_flight: gauge("nakku_node_commands_in_flight", "Commands to entities that this node works on."),
            in_flight_max: gauge(
                "nakku_node_commands_in_flight_max",
                "So many may be in flight before further ones are refused (entities.in_flight_max).",
            ),
            dependency_up: gauges(
                "nakku_dependency_up",
                "1 while a server that the node rests on answers, 0 while it does not.",
                &["dependency"],
            ),
            dependency_seconds: seconds_gauges(
                "nakku_dependency_seconds",
                "Time of the last look at a server that the node rests on.",
                &["dependency"],
            ),
            view_version: gauge("nakku_cluster_view_version", "The newest view of the cluster that the node knows."),
            members: gauges(
                "nakku_cluster_members",
                "Members of the cluster as the node sees it, by state.",
                &["state"],
            ),
            cluster_shards: gauges(
                "nakku_cluster_shards",
                "Shards that a service has in the whole cluster; every node says the same.",
                &["service"],
            ),
            shards_halted: gauges(
                "nakku_shards_halted",
                "Shards of this node that stay closed until an operator has looked: their database went back in time.",
                &["service"],
            ),
            quarantined: gauges(
                "nakku_entities_quarantined",
                "Entities of this node that kept failing and were set aside.",
                &["service"],
            ),
            resident_bytes: gauge("nakku_process_resident_bytes", "Memory of the process."),
            cpu_seconds: seconds_counter("nakku_process_cpu_seconds_total", "Processor time of the process."),
        }
    }
}

pub(crate) fn version(version: &str) {
    NODE.build.with_label_values(&[version]).set(1);
}

pub(crate) fn ready(ready: bool) {
    NODE.ready.set(ready.into());
}

pub(crate) fn in_flight(now: u64, max: u64) {
    NODE.in_flight.set(whole(now));
    NODE.in_flight_max.set(whole(max));
}

pub(crate) fn dependency(dependency: &Dependency) {
    let name = [dependency.name.as_str()];
    NODE.dependency_up.with_label_values(&name).set(dependency.up.into());
    #[allow(clippy::cast_precision_loss, reason = "a time to look at")]
    NODE.dependency_seconds.with_label_values(&name).set(dependency.latency_us as f64 / 1e6);
}

/// Members by state; states that nobody is in any more fall to 0.
pub(crate) fn cluster(view_version: u64, members: &BTreeMap<&str, u64>) {
    NODE.view_version.set(whole(view_version));
    for state in ["joining", "up", "draining"] {
        NODE.members.with_label_values(&[state]).set(whole(members.get(state).copied().unwrap_or(0)));
    }
}

pub(crate) fn cluster_shards(service: &str, shards: u64) {
    NODE.cluster_shards.with_label_values(&[service]).set(whole(shards));
}

pub(crate) fn shards_halted(service: &str, shards: u64) {
    NODE.shards_halted.with_label_values(&[service]).set(whole(shards));
}

pub(crate) fn quarantined(service: &str, entities: u64) {
    NODE.quarantined.with_label_values(&[service]).set(whole(entities));
}

/// `cpu_seconds` since the start of the process.
pub(crate) fn process(resident_bytes: u64, cpu_seconds: f64) {
    NODE.resident_bytes.set(whole(resident_bytes));
    NODE.cpu_seconds.inc_by((cpu_seconds - NODE.cpu_seconds.get()).max(0.0));
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
