//! Views again and again, and commands as they are answered, as Server-Sent Events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use nakku_cluster::inspect::{Everywhere, Question, Report, TopBy};
use nakku_cluster::{Cluster, Key};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::views::{Narrowed, OfNode, View};
use crate::extract::Query;
use crate::problem::{Code, Problem, ProblemBody};

/// How often a view is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often the nodes are asked for commands.
const TAIL_EVERY: Duration = Duration::from_millis(500);
/// Commands of one node in one go: so bounded is the rate.
const TAIL_LIMIT: u32 = 200;
/// For how long commands are told unless asked otherwise.
const TAIL_S: u64 = 60;
/// And at most.
const TAIL_S_MAX: u64 = 600;
/// Events that wait for a reader; one that is too slow delays what comes after, and is told what it missed.
const QUEUE: usize = 64;
/// Streams that a node has at the same time: each may hold a view, or commands of all nodes, for a reader who is slow.
const STREAMS_MAX: usize = 24;
/// Between a stream that is refused and the next try.
const RETRY_AFTER: Duration = Duration::from_secs(5);

static STREAMS: Semaphore = Semaphore::const_new(STREAMS_MAX);

/// Which commands, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tailed {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    key: Option<Key>,
    #[serde(default)]
    trace: Option<String>,
    #[serde(default)]
    seconds: Option<u64>,
}

/// A view again and again, every 2 seconds, as Server-Sent Events: each event `view` has as data what the view itself
/// would answer.
#[utoipa::path(get, path = "/admin/v1/watch", tag = "streams",
    params(("view" = String, Query, description = "nodes, shards, moves, types, top, tree or points; its own parameters go with it"),
        ("service" = Option<String>, Query, description = "As of the view"), ("kind" = Option<String>, Query, description = "As of the view"),
        ("by" = Option<TopBy>, Query, description = "As of the view"), ("limit" = Option<u32>, Query, description = "As of the view"), ("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn watch(
    State(cluster): State<Cluster>,
    Query(narrowed): Query<Narrowed>,
) -> Result<Response, Problem> {
    let view = View::named(narrowed.view.as_deref())?;
    let permit = permit(&STREAMS)?;
    let (queue, queued) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        // Whoever has not taken the last one is not looked for.
        while let Ok(place) = queue.reserve().await {
            let shown = view.look(&cluster, &narrowed).await;
            place.send(Event::default().event("view").data(shown.to_string()));
            tokio::time::sleep(WATCH_EVERY).await;
        }
    });
    Ok(events(queued, task.abort_handle(), permit))
}

/// Commands as they are answered, as Server-Sent Events: `command` with a command and its node, `missed` with a node and
/// how many of its commands came too fast, `silent` with a node that does not answer and why, and `end` when the time is
/// over.
#[utoipa::path(get, path = "/admin/v1/tail", tag = "streams",
    params(("kind" = Option<String>, Query, description = "Only this kind"), ("key" = Option<String>, Query, description = "Only this entity"),
        ("trace" = Option<String>, Query, description = "Only this trace, 32 hexadecimal digits"),
        ("seconds" = Option<u64>, Query, description = "For so long, 1 to 600; 60 unless given")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn tail(State(cluster): State<Cluster>, Query(tailed): Query<Tailed>) -> Result<Response, Problem> {
    let seconds = tailed.seconds.unwrap_or(TAIL_S);
    if seconds == 0 || seconds > TAIL_S_MAX {
        let detail = format!("commands are told for 1 to {TAIL_S_MAX} seconds");
        return Err(Problem::new(Code::InvalidValue, detail).field("seconds"));
    }
    let permit = permit(&STREAMS)?;
    let (queue, queued) = mpsc::channel(QUEUE);
    let task = tokio::spawn(async move {
        let until = Instant::now() + Duration::from_secs(seconds);
        // Whoever reads has gone when this fails.
        if follow(&cluster, &tailed, &queue, until).await.is_ok() {
            let _ = queue.send(Event::default().event("end").data("{}")).await;
        }
    });
    Ok(events(queued, task.abort_handle(), permit))
}

async fn follow(
    cluster: &Cluster,
    tailed: &Tailed,
    queue: &mpsc::Sender<Event>,
    until: Instant,
) -> Result<(), mpsc::error::SendError<Event>> {
    // How far each node has been read; a node that is new begins at its end.
    let mut known: HashMap<String, u64> = HashMap::new();
    let mut silent: HashMap<String, String> = HashMap::new();
    while Instant::now() < until {
        let Tailed { kind, key, trace, .. } = tailed.clone();
        let after = |node: &str| known.get(node).copied().unwrap_or(0);
        let question = |node: &str| Question::Tail {
            after: after(node),
            kind: kind.clone(),
            key: key.clone(),
            trace: trace.clone(),
            limit: TAIL_LIMIT,
        };
        let Everywhere { answers, silent: now_silent } = cluster.inspect_each(question).await;
        for (node, report) in answers {
            let Report::Tail(report) = report else { continue };
            let is_new = known.insert(node.clone(), report.last).is_none();
            if report.missed > 0 && !is_new {
                let missed = json!({ "node": node, "count": report.missed });
                queue.send(Event::default().event("missed").data(missed.to_string())).await?;
            }
            for command in report.commands {
                let told = serde_json::to_string(&OfNode::new(&node, command)).unwrap_or_default();
                queue.send(Event::default().event("command").data(told)).await?;
            }
        }
        for (node, reason) in &now_silent {
            if silent.get(node) != Some(reason) {
                let told = json!({ "node": node, "reason": reason });
                queue.send(Event::default().event("silent").data(told.to_string())).await?;
            }
        }
        silent = now_silent.into_iter().collect();
        tokio::time::sleep(TAIL_EVERY).await;
    }
    Ok(())
}

/// The task ends with the stream.
struct Told {
    queued: mpsc::Receiver<Event>,
    task: AbortHandle,
    _permit: SemaphorePermit<'static>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// # Errors
/// When there are as many streams as may be.
fn permit(streams: &'static Semaphore) -> Result<SemaphorePermit<'static>, Problem> {
    streams.try_acquire().map_err(|_| {
        let detail = format!("this node has {STREAMS_MAX} streams; close one, or ask another node");
        Problem::new(Code::Overloaded, detail).retry_after(RETRY_AFTER)
    })
}

fn events(queued: mpsc::Receiver<Event>, task: AbortHandle, permit: SemaphorePermit<'static>) -> Response {
    let events = stream::unfold(Told { queued, task, _permit: permit }, async |mut told| {
        let event = told.queued.recv().await?;
        Some((Ok::<_, Infallible>(event), told))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_only_so_many_streams_until_one_ends() {
        static OWN: Semaphore = Semaphore::const_new(1);
        let (_queue, queued) = mpsc::channel(1);
        let task = tokio::spawn(std::future::pending::<()>());
        let stream = events(queued, task.abort_handle(), permit(&OWN).expect("the first"));
        assert_eq!(permit(&OWN).expect_err("one is enough").into_response().status(), 503);
        drop(stream);
        assert!(permit(&OWN).is_ok());
        assert!(task.await.expect_err("it ends with its stream").is_cancelled());
    }
}
