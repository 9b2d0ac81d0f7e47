//! Spans end in the collector under the trace that they were begun with, and lines in the log name it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use super::export;
use super::json::JsonLines;
use super::span::{self, EndedSpan, SpanLayer};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn noted(work: impl FnOnce()) -> Vec<EndedSpan> {
    let (sender, mut ended) = mpsc::channel(16);
    tracing::subscriber::with_default(
        tracing_subscriber::registry().with(SpanLayer::new(sender).with_filter(span::wanted())),
        work,
    );
    std::iter::from_fn(|| ended.try_recv().ok()).collect()
}

#[test]
fn a_span_keeps_its_identity_and_hands_it_down() {
    let spans = noted(|| {
        let request = tracing::info_span!("request", trace_id = TRACE, span_id = "00f067aa0ba902b7", route = "/orders");
        request.in_scope(|| tracing::info_span!("commit", rows = 3).in_scope(|| {}));
    });
    let [commit, request] = spans.as_slice() else { panic!("two spans, not {spans:?}") };
    assert_eq!((request.trace_id.as_str(), request.span_id.as_str()), (TRACE, "00f067aa0ba902b7"));
    assert_eq!(request.attributes, [("route", "/orders".to_owned())]);
    assert_eq!((commit.trace_id.as_str(), commit.parent_span_id.as_str()), (TRACE, "00f067aa0ba902b7"));
    assert_ne!(commit.span_id, request.span_id);
    assert!(request.start_ns <= commit.start_ns && commit.end_ns <= request.end_ns);
}

#[test]
fn a_span_continues_what_another_node_began() {
    let spans = noted(|| drop(tracing::info_span!("decide", traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01"))));
    assert_eq!((spans[0].trace_id.as_str(), spans[0].parent_span_id.as_str()), (TRACE, "00f067aa0ba902b7"));
    assert_eq!(spans[0].span_id.len(), 16);
}

#[test]
fn what_belongs_to_no_trace_is_not_sent() {
    let spans = noted(|| {
        drop(tracing::info_span!("prune"));
        drop(tracing::debug_span!("detail", trace_id = TRACE));
        drop(tracing::info_span!("broken", traceparent = "00-zz-1-01"));
        drop(tracing::info_span!(target: "library", "theirs", trace_id = TRACE));
        let unsampled = tracing::info_span!("request", trace_id = TRACE, sampled = false);
        unsampled.in_scope(|| drop(tracing::info_span!("below")));
    });
    assert!(spans.is_empty(), "{spans:?}");
}

#[test]
fn a_step_of_a_request_names_its_parent() {
    let spans = noted(|| {
        drop(tracing::debug_span!(
            target: nakku_cluster::trace::TARGET,
            parent: None,
            "decide",
            trace_id = TRACE,
            span_id = "00f067aa0ba902b7",
            parent_span_id = "00f067aa0ba902b8",
        ));
    });
    let [decide] = spans.as_slice() else { panic!("one span, not {spans:?}") };
    assert_eq!((decide.trace_id.as_str(), decide.parent_span_id.as_str()), (TRACE, "00f067aa0ba902b8"));
}

#[tokio::test]
async fn the_collector_gets_a_batch() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let queue = export::start(&format!("http://{address}/"), "node-1").expect("it is a URL");
    async {
        drop(tracing::info_span!("request", trace_id = TRACE, span_id = "00f067aa0ba902b7"));
    }
    .with_subscriber(tracing_subscriber::registry().with(SpanLayer::new(queue).with_filter(span::wanted())))
    .await;
    let received =
        tokio::time::timeout(export::GATHER * 10, receive(listener)).await.expect("a batch within ten seconds");
    let (head, body) = received;
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans[0]["traceId"], TRACE);
    assert_eq!(spans[0]["spanId"], "00f067aa0ba902b7");
    assert!(spans[0]["endTimeUnixNano"].is_string(), "64-bit numbers are texts in OTLP's JSON");
}

/// What lines log, as the layer of a node writes it.
fn logged(work: impl FnOnce()) -> Vec<Value> {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no test panics in it").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let written = Shared::default();
    let writer = written.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
    let lines = lines.json().event_format(JsonLines).with_filter(tracing::level_filters::LevelFilter::INFO);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
    let bytes = written.0.lock().expect("no test panics in it").clone();
    let text = String::from_utf8(bytes).expect("lines are UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is one JSON document")).collect()
}

#[test]
fn json_lines_name_the_trace_that_they_belong_to() {
    let lines = logged(|| {
        let request = tracing::info_span!(
            "request",
            trace_id = TRACE,
            span_id = "00f067aa0ba902b7",
            request_id = "r-1",
            route = "/"
        );
        request.in_scope(|| {
            tracing::warn!(attempts = 3, "within a request");
            tracing::info_span!("export", route = "/rows").in_scope(|| tracing::info!("deeper"));
        });
        tracing::error!(trace_id = TRACE, message_id = 7, "outside of one, which knows its trace");
        tracing::info!("of no trace");
    });
    let [within, deeper, told, none] = lines.as_slice() else { panic!("four lines, not {lines:?}") };
    assert_eq!((&within["message"], &within["level"]), (&json!("within a request"), &json!("WARN")));
    assert_eq!(
        (&within["trace_id"], &within["request_id"], &within["attempts"]),
        (&json!(TRACE), &json!("r-1"), &json!(3))
    );
    assert_eq!((&deeper["trace_id"], &deeper["route"]), (&json!(TRACE), &json!("/rows")));
    assert_eq!((&told["trace_id"], &told["message_id"]), (&json!(TRACE), &json!(7)));
    assert!(none.get("trace_id").is_none() && none["timestamp"].is_string() && none["target"].is_string(), "{none}");
}

#[test]
fn fields_do_not_hide_what_every_line_has() {
    let lines = logged(|| tracing::info!(target: "nakku::audit", level = "mine", timestamp = 1, "said"));
    let [line] = lines.as_slice() else { panic!("one line, not {lines:?}") };
    assert_eq!((&line["level"], &line["target"]), (&json!("INFO"), &json!("nakku::audit")));
    assert_eq!((&line["field.level"], &line["field.timestamp"]), (&json!("mine"), &json!(1)));
}

/// One request: its head and its JSON body.
async fn receive(listener: TcpListener) -> (String, Value) {
    let (mut stream, _) = listener.accept().await.expect("the exporter connects");
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.expect("the exporter sends");
        bytes.extend(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(json) = serde_json::from_str(body)
        {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).await.expect("the exporter reads");
            return (head.to_owned(), json);
        }
        assert!(count > 0, "the exporter closed before its request was whole");
    }
}
