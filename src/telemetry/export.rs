//! Sends spans to an OpenTelemetry collector: OTLP 1.x over HTTP, as JSON, in batches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nakku_cluster::outage::Outage;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::span::EndedSpan;
use crate::settings::SettingsError;

/// Spans that may wait for the exporter.
pub const QUEUE_MAX: usize = 8_192;
/// Spans in one request.
pub const BATCH_MAX: usize = 512;
/// The longest that a span waits for others to go with.
pub const GATHER: Duration = Duration::from_secs(1);
/// The longest that the collector may take for a batch.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Spans that were not sent because the exporter or the collector was behind, since the start.
pub static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Starts the exporter; it ends when the queue's other end is gone.
///
/// # Errors
/// When the endpoint is no URL.
pub fn start(endpoint: &str, node: &str) -> Result<mpsc::Sender<EndedSpan>, SettingsError> {
    let unfit = |cause: &str| {
        SettingsError::Unfit(format!("telemetry.otlp_endpoint is {endpoint:?}: {cause}; set http://HOST:4318"))
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(unfit("that is no URL"));
    }
    let client = reqwest::Client::builder().timeout(SEND_TIMEOUT).build();
    let client = client.map_err(|error| unfit(&error.to_string()))?;
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let (sender, ended) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(export(client, url, node.to_owned(), ended));
    Ok(sender)
}

async fn export(client: reqwest::Client, url: String, node: String, mut ended: mpsc::Receiver<EndedSpan>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let outage = Outage::default();
    while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let gathered = tokio::time::timeout(GATHER, async {
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                if ended.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        });
        // Either is the moment to send: the batch is full, or its oldest span has waited long enough.
        let _ = gathered.await;
        let sent = client.post(&url).json(&document(&node, &batch)).send().await;
        let failure = match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(cause) = &failure {
            let dropped = DROPPED.fetch_add(batch.len() as u64, Ordering::Relaxed) + batch.len() as u64;
            if let Some(told) = outage.failed() {
                tracing::warn!(url, cause, dropped, lasted_ms = told.lasted_ms, "the collector does not take spans");
            }
        } else if let Some(told) = outage.works() {
            let dropped = DROPPED.load(Ordering::Relaxed);
            tracing::info!(url, dropped, lasted_ms = told.lasted_ms, "the collector takes spans again");
        }
        batch.clear();
    }
}

/// `ExportTraceServiceRequest` in the JSON encoding of OTLP.
pub fn document(node: &str, spans: &[EndedSpan]) -> Value {
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [
                attribute("service.name", "nakku"),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
                attribute("service.instance.id", node),
            ] },
            "scopeSpans": [{ "scope": { "name": "nakku" }, "spans": spans }],
        }],
    })
}

fn span(span: &EndedSpan) -> Value {
    /// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
    const KINDS: [u8; 2] = [1, 2];
    let attributes: Vec<Value> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    json!({
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "name": span.name,
        "kind": KINDS[usize::from(matches!(span.name, "request" | "link"))],
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.to_string(),
        "attributes": attributes,
    })
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}
