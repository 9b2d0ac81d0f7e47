//! The same as Server-Sent Events, one subscription a stream, for clients without WebSockets.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use utoipa::IntoParams;

use super::protocol::{Target, Told};
use super::subscription::{Gone, Listener};
use super::token::Shown;
use super::updates::{Connected, going};
use crate::auth::{Caller, bearer};
use crate::edge::Edge;
use crate::extract::Query;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem, ProblemBody};

/// The id of the last event that a client has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What the stream is about: one of these.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// An order's id.
    pub order: Option<String>,
    /// A rider's own deliveries: `true`.
    pub deliveries: Option<bool>,
    /// A store's id, for its staff.
    pub store: Option<String>,
}

/// Server-Sent Events of an order on its way, a rider's deliveries or a store's board. `event` is the kind of
/// message, `data` the message as on the WebSocket (see `docs/live.md`), `id` the cursor; a client that comes
/// back with `Last-Event-ID` misses nothing of its order. The stream ends with a `problem`, if at all.
#[utoipa::path(get, path = "/api/v1/live/events", tag = "live", security(("bearer" = [])),
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The last `id`")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "default", body = ProblemBody)))]
pub async fn events(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let StreamQuery { order, deliveries, store } = query;
    let cursor = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let (subscription, cursor) = Target { order, deliveries, store, cursor }.read()?;
    subscription.admit(&caller)?;
    let connected = edge.live.connect("events")?;
    let (queue, queued) = mpsc::channel(edge.live.settings().queue_max);
    let slow = Arc::new(AtomicBool::new(false));
    let listener = Queue { queue, slow: slow.clone() };
    let going = Box::pin(edge.live.going());
    let keep_alive = KeepAlive::new().interval(edge.live.settings().heartbeat);
    let refused = Box::pin(Shown::checked(caller.clone(), bearer(&headers)?.to_owned()).refused(edge.clone()));
    let task = tokio::spawn(subscription.serve(edge, caller.claims.sub, cursor, listener)).abort_handle();
    let told = Stream { queued, slow, going, refused, ended: false, task, _connected: connected };
    let events = stream::unfold(told, async |mut told| {
        let event = told.next().await?;
        Some((Ok::<_, Infallible>(event), told))
    });
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

struct Queue {
    queue: mpsc::Sender<Told>,
    slow: Arc<AtomicBool>,
}

impl Listener for Queue {
    async fn tell(&self, told: Told) -> Result<(), Gone> {
        self.queue.try_send(told).map_err(|error| {
            if matches!(error, mpsc::error::TrySendError::Full(_)) {
                self.slow.store(true, Ordering::Release);
            }
            Gone
        })
    }
}

struct Stream {
    queued: mpsc::Receiver<Told>,
    slow: Arc<AtomicBool>,
    going: Pin<Box<dyn Future<Output = ()> + Send>>,
    refused: Pin<Box<dyn Future<Output = Problem> + Send>>,
    ended: bool,
    task: AbortHandle,
    _connected: Connected,
}

impl Stream {
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let told = tokio::select! {
            biased;
            () = &mut self.going => Told::problem(going()),
            problem = &mut self.refused => Told::problem(problem),
            told = self.queued.recv() => match told {
                Some(told) => told,
                None if self.slow.load(Ordering::Acquire) => {
                    METRICS.live_slow.with_label_values(&["events"]).inc();
                    Told::problem(Problem::new(Code::Overloaded, "too slow: connect again"))
                }
                None => return None,
            }
        };
        METRICS.live_messages.with_label_values(&[told.kind]).inc();
        self.ended = told.last;
        let event = Event::default().event(told.kind).data(told.json);
        Some(match told.cursor {
            Some(cursor) => event.id(cursor),
            None => event,
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
