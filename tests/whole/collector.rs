//! An OpenTelemetry collector that keeps what it gets: OTLP over HTTP, as JSON.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a free port until the test ends.
pub struct Collector {
    pub endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

/// A span as a node has sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    pub name: String,
    /// Whose it is.
    pub node: String,
    /// The attribute `kind`; empty without.
    pub kind: String,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let kept = Arc::clone(&spans);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&kept)));
            }
        });
        Self { endpoint, spans }
    }

    /// What there is of one trace so far.
    pub fn of(&self, trace: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace == trace).cloned().collect()
    }
}

/// Requests of one connection, until the node closes it.
async fn take(stream: TcpStream, spans: Arc<Mutex<Vec<Span>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        if length == 0 {
            return Ok(());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let document: Value = serde_json::from_slice(&body).expect("the exporter sends JSON");
        spans.lock().unwrap_or_else(PoisonError::into_inner).extend(read(&document));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}").await?;
    }
}

fn read(document: &Value) -> Vec<Span> {
    let resource = &document["resourceSpans"][0];
    let node = attribute(&resource["resource"], "service.instance.id");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let spans = resource["scopeSpans"][0]["spans"].as_array().expect("spans");
    let spans = spans.iter().map(|span| Span {
        trace: text(&span["traceId"]),
        id: text(&span["spanId"]),
        parent: text(&span["parentSpanId"]),
        name: text(&span["name"]),
        node: node.clone(),
        kind: attribute(span, "kind"),
    });
    spans.collect()
}

fn attribute(of: &Value, name: &str) -> String {
    let all = of["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|attribute| attribute["key"] == name);
    found.and_then(|attribute| attribute["value"]["stringValue"].as_str()).unwrap_or_default().to_owned()
}
