//! What identifies a request: its id, its trace (W3C Trace Context) and its deadline. All three go with it
//! into the cluster.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nakku_cluster::trace::Step;
use nakku_cluster::{Ask, Timestamp, Traceparent};
use tokio::time::Instant;
use tracing::Instrument;

use crate::admission::RETRY_AFTER;
use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem};

/// Names a request, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context, in both directions.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// How much longer than its request a command of the edge is remembered: repetitions within the cluster end
/// with the request's deadline, but clocks of nodes differ.
const ONCE_MARGIN: Duration = Duration::from_secs(30);
/// How much longer than its deadline a request may take before it is cut: its handler answers by itself,
/// and says more.
const DEADLINE_MARGIN: Duration = Duration::from_millis(500);

/// One ask may take the time that its request has left divided by this.
const ASK_SHARE: u32 = 2;

/// What identifies a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Taken over from the client, or drawn.
    pub request_id: String,
    /// Of this request's own span.
    pub trace: Traceparent,
    /// When it must be answered.
    pub deadline: Instant,
    /// How long one ask may take at most.
    pub ask_timeout: Duration,
}

impl RequestContext {
    /// Time until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// For a read, or a command that is idempotent by business key. It may take its share of the time that is left,
    /// so that whatever does not answer leaves time for what comes after it, be it only to say so.
    pub fn ask(&self) -> Ask {
        Ask::within(share(self.remaining(), self.ask_timeout)).traced(Some(self.trace))
    }

    /// For any other command: carried out at most once, however often the cluster has to send it.
    pub fn ask_once(&self) -> Ask {
        let expires_at = Timestamp::now().plus(self.remaining() + ONCE_MARGIN);
        self.ask().once(format!("{:032x}", rand::random::<u128>()), expires_at)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Self>().cloned();
        context.ok_or_else(|| Problem::new(Code::Internal, "the route is not identified"))
    }
}

/// Gives a request its identity, span, deadline and measures, and its answer the headers.
pub async fn identify(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let request_id = request_id(request.headers());
    let given = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(Traceparent::parse);
    let trace = given.map_or_else(Traceparent::start, Traceparent::child);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let deadline = begun + edge.settings.request_timeout;
    let span = tracing::info_span!(
        "request",
        %method,
        route,
        request_id,
        trace_id = %trace.trace_hex(),
        span_id = %trace.span_hex(),
        parent_span_id = given.map(|given| tracing::field::display(given.span_hex())),
        // Said only where it is not so: a trace that the client does not keep, nor do we.
        sampled = (!trace.is_sampled()).then_some(false),
    );
    request.extensions_mut().insert(RequestContext {
        request_id: request_id.clone(),
        trace,
        deadline,
        ask_timeout: edge.settings.ask_timeout,
    });
    // For whoever asks for the path of this request; a client that goes away ends it too.
    let step = Step::request(trace, given, || format!("{} {route}", method_label(&method)));
    let answer = tokio::time::timeout_at(deadline + DEADLINE_MARGIN, next.run(request).instrument(span.clone())).await;
    let mut response = answer.unwrap_or_else(|_| {
        let problem = Problem::new(Code::TimedOut, "the request took longer than it may");
        problem.retry_after(RETRY_AFTER).into_response()
    });
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        response.headers_mut().insert(TRACEPARENT, value);
    }
    let status = response.status().as_u16();
    step.note("status", status);
    drop(step);
    let elapsed = begun.elapsed();
    let method = method_label(&method);
    METRICS.request_seconds.with_label_values(&[route.as_str(), method]).observe(elapsed.as_secs_f64());
    METRICS.requests.with_label_values(&[route.as_str(), method, &status.to_string()]).inc();
    span.in_scope(|| tracing::debug!(status, elapsed_us = elapsed.as_micros() as u64, "request answered"));
    response
}

/// How long an ask may take when so much is left.
fn share(remaining: Duration, ask_timeout: Duration) -> Duration {
    (remaining / ASK_SHARE).min(ask_timeout)
}

/// A client may invent methods, so only those that routes have become labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

/// The client's id when it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
    };
    given.filter(harmless).map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_that_nobody_answers_leave_time_to_say_so() {
        let (request_timeout, ask_timeout) = (Duration::from_secs(10), Duration::from_secs(5));
        let mut remaining = request_timeout;
        for _ in 0..4 {
            let taken = share(remaining, ask_timeout);
            assert!(taken <= ask_timeout && taken > Duration::from_millis(500), "{taken:?} of {remaining:?}");
            remaining -= taken;
        }
        assert!(remaining >= Duration::from_millis(500), "{remaining:?}");
        assert_eq!(share(Duration::from_secs(60), ask_timeout), ask_timeout);
    }

    #[test]
    fn harmful_request_ids_are_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("order-7_a.b:c"));
        assert_eq!(request_id(&headers), "order-7_a.b:c");
        for harmful in ["", "a b", "a\"b", &"x".repeat(129)] {
            headers.insert(REQUEST_ID, HeaderValue::from_str(harmful).unwrap());
            assert_ne!(request_id(&headers), harmful);
        }
    }
}
