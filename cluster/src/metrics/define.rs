//! How a metric is defined: once, by name, help and labels. Whatever is defined is printed by [`text`] and described by
//! [`definitions`].

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Counter, Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use serde::Serialize;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);
static DEFINITIONS: Mutex<Vec<Definition>> = Mutex::new(Vec::new());

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// By what it is told apart.
    pub labels: Vec<&'static str>,
    /// What it says.
    pub help: &'static str,
}

/// All that have been defined so far, by name.
pub fn definitions() -> Vec<Definition> {
    let mut all = DEFINITIONS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    all.sort();
    all
}

/// All that have been defined so far with their values, as Prometheus text (version 0.0.4).
pub fn text() -> String {
    let mut bytes = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&REGISTRY.gather(), &mut bytes) {
        tracing::warn!(%error, "metrics can't be encoded");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A counter without labels.
pub fn counter(name: &'static str, help: &'static str) -> IntCounter {
    defined("counter", name, help, &[], IntCounter::new(name, help))
}

/// Counters by labels.
pub fn counters(name: &'static str, help: &'static str, labels: &[&'static str]) -> IntCounterVec {
    defined("counter", name, help, labels, IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge without labels.
pub fn gauge(name: &'static str, help: &'static str) -> IntGauge {
    defined("gauge", name, help, &[], IntGauge::new(name, help))
}

/// Gauges by labels.
pub fn gauges(name: &'static str, help: &'static str, labels: &[&'static str]) -> IntGaugeVec {
    defined("gauge", name, help, labels, IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A counter of seconds without labels.
pub fn seconds_counter(name: &'static str, help: &'static str) -> Counter {
    defined("counter", name, help, &[], Counter::new(name, help))
}

/// Gauges of seconds by labels.
pub fn seconds_gauges(name: &'static str, help: &'static str, labels: &[&'static str]) -> GaugeVec {
    defined("gauge", name, help, labels, GaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram with the upper bounds of its buckets.
pub fn histogram(name: &'static str, help: &'static str, buckets: prometheus::Result<Vec<f64>>) -> Histogram {
    let metric = buckets.and_then(|buckets| Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)));
    defined("histogram", name, help, &[], metric)
}

/// Histograms by labels, with the upper bounds of their buckets.
pub fn histograms(name: &'static str, help: &'static str, labels: &[&'static str], buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    defined("histogram", name, help, labels, HistogramVec::new(options, labels))
}

fn defined<M: Collector + Clone + 'static>(
    kind: &'static str,
    name: &'static str,
    help: &'static str,
    labels: &[&'static str],
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.expect("names, labels and bounds are constants and valid");
    REGISTRY.register(Box::new(metric.clone())).expect("each name is defined once");
    let definition = Definition { name, kind, labels: labels.to_vec(), help };
    DEFINITIONS.lock().unwrap_or_else(PoisonError::into_inner).push(definition);
    metric
}
