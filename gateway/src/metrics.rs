//! All metrics of the edge: names, labels, help. Labels by type, never by id.

use std::sync::LazyLock;

use nakku_cluster::metrics as cluster;
use nakku_cluster::metrics::define::{Definition, counter, counters, definitions, gauge, gauges, histograms};
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// The edge's metrics.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::define);

/// See each field.
#[derive(Debug)]
pub struct Metrics {
    /// Requests answered, by route, method and status.
    pub requests: IntCounterVec,
    /// Time from a request's header to its answer, by route and method.
    pub request_seconds: HistogramVec,
    /// Requests in progress.
    pub requests_in_flight: IntGauge,
    /// Requests refused because too many were in progress.
    pub requests_refused: IntCounter,
    /// Problems answered, by code.
    pub problems: IntCounterVec,
    /// Time to hash or check one password.
    pub password_seconds: HistogramVec,
    /// Requests refused because they came too fast, by limit.
    pub rate_limited: IntCounterVec,
    /// Checks whether a token's session is open, by who said so.
    pub session_checks: IntCounterVec,
    /// Looks for cached pages, by what they are about and outcome.
    pub pages: IntCounterVec,
    /// Whether all of Redis can be reached.
    pub redis_up: IntGauge,
    /// Operations on Redis, by outcome.
    pub redis_operations: IntCounterVec,
    /// Time of operations on Redis that succeeded.
    pub redis_seconds: HistogramVec,
    /// Live connections that are open, by transport.
    pub live_connections: IntGaugeVec,
    /// Messages to live connections, by kind.
    pub live_messages: IntCounterVec,
    /// Live connections dropped because they were too slow, by transport.
    pub live_slow: IntCounterVec,
}

/// Upper bounds of the buckets of times, in seconds.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Metrics {
    fn define() -> Self {
        Self {
            requests: counters("nakku_gateway_requests_total", "Requests answered", &["route", "method", "status"]),
            request_seconds: histograms(
                "nakku_gateway_request_seconds",
                "Time from a request's header to its answer",
                &["route", "method"],
                SECONDS,
            ),
            requests_in_flight: gauge("nakku_gateway_requests_in_flight", "Requests in progress"),
            requests_refused: counter(
                "nakku_gateway_requests_refused_total",
                "Requests refused because too many were in progress",
            ),
            problems: counters("nakku_gateway_problems_total", "Problems answered, by code", &["code"]),
            password_seconds: histograms(
                "nakku_gateway_password_seconds",
                "Time to hash or check one password",
                &["operation"],
                SECONDS,
            ),
            rate_limited: counters(
                "nakku_gateway_rate_limited_total",
                "Requests refused because they came too fast",
                &["limit"],
            ),
            session_checks: counters(
                "nakku_gateway_session_checks_total",
                "Checks whether a token's session is open",
                &["source"],
            ),
            pages: counters("nakku_gateway_cached_pages_total", "Looks for cached pages", &["subject", "outcome"]),
            redis_up: gauge(
                "nakku_gateway_redis_up",
                "1 while all of Redis can be reached, 0 while some of it is away or none is set",
            ),
            redis_operations: counters(
                "nakku_gateway_redis_operations_total",
                "Operations on Redis",
                &["operation", "outcome"],
            ),
            redis_seconds: histograms(
                "nakku_gateway_redis_seconds",
                "Time of operations on Redis that succeeded",
                &["operation"],
                SECONDS,
            ),
            live_connections: gauges(
                "nakku_gateway_live_connections",
                "Live connections that are open",
                &["transport"],
            ),
            live_messages: counters("nakku_gateway_live_messages_total", "Messages to live connections", &["kind"]),
            live_slow: counters(
                "nakku_gateway_live_slow_total",
                "Live connections dropped because they were too slow",
                &["transport"],
            ),
        }
    }
}

/// Everything that the process counts, as Prometheus text (version 0.0.4).
pub fn text() -> String {
    define();
    cluster::define::text()
}

/// What all of them are.
pub fn all() -> Vec<Definition> {
    define();
    definitions()
}

fn define() {
    LazyLock::force(&METRICS);
    cluster::define();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_every_metric() {
        METRICS.requests.with_label_values(&["/health", "GET", "200"]).inc();
        METRICS.problems.with_label_values(&["not_found"]).inc();
        let text = text();
        for name in ["nakku_gateway_requests_total", "nakku_gateway_requests_in_flight", "nakku_journal_commit_seconds"]
        {
            assert!(text.contains(&format!("# HELP {name} ")), "{name} is missing in\n{text}");
        }
    }
}
