//! `/admin/v1/dead-letters`: events that consumers could not process, to look at and to try again.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use nakku_cluster::events::dead_letters::{self, Kept};
use nakku_cluster::events::intake::Rejection;
use nakku_cluster::events::{ConsumerType, DeadLetter};
use nakku_cluster::{Cluster, Key};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::extract::{Path, Query};
use crate::problem::{Code, Problem};

/// Letters of one answer, unless fewer are asked for.
const LISTED_MAX: usize = 1000;

/// Its routes.
pub(crate) fn routes(cluster: Cluster) -> Router {
    Router::new()
        .route("/admin/v1/dead-letters", get(list))
        .route("/admin/v1/dead-letters/{group}/{intake}/{sequence}", get(show))
        .route("/admin/v1/dead-letters/{group}/{intake}/{sequence}/replay", post(replay))
        .with_state(cluster)
}

/// Which ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Of this consumer group only.
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

/// One of a list, without what the event says: that may be personal, and long.
#[derive(Serialize)]
struct Listed {
    group: String,
    intake: Key,
    sequence: u64,
    event_type: String,
    subject: String,
    reason: String,
    attempts: u32,
    /// UTC, milliseconds since 1970.
    set_aside_at: i64,
}

impl From<Kept> for Listed {
    fn from(Kept { intake, letter }: Kept) -> Self {
        let DeadLetter { group, reason, attempts, set_aside_at, event } = letter;
        let set_aside_at = set_aside_at.0;
        let (event_type, subject, sequence) = (event.event_type, event.subject, event.sequence);
        Self { group, intake, sequence, event_type, subject, reason, attempts, set_aside_at }
    }
}

async fn list(State(cluster): State<Cluster>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
    let consumers = match &wanted.group {
        Some(group) => vec![consumer(group)?],
        None => consumers(),
    };
    let mut items: Vec<Listed> = Vec::new();
    for consumer in consumers {
        let kept = dead_letters::of(&cluster, consumer, limit - items.len()).await?;
        items.extend(kept.into_iter().map(Listed::from));
    }
    Ok(Json(json!({ "items": items })))
}

async fn show(
    State(cluster): State<Cluster>,
    Path((group, intake, sequence)): Path<(String, Key, u64)>,
) -> Result<Json<DeadLetter>, Problem> {
    let letter = dead_letters::one(&cluster, consumer(&group)?, &intake, sequence).await?;
    letter.map(Json).ok_or_else(|| Problem::new(Code::NotFound, format!("{intake} keeps no dead letter {sequence}")))
}

async fn replay(
    State(cluster): State<Cluster>,
    Path((group, intake, sequence)): Path<(String, Key, u64)>,
) -> Result<Json<Value>, Problem> {
    dead_letters::replay(&cluster, consumer(&group)?, &intake, sequence).await?;
    tracing::info!(group, %intake, sequence, "dead letter replayed by the admin API");
    Ok(Json(json!({ "replayed": sequence })))
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::NoSuchLetter { .. } => Self::new(Code::NotFound, detail),
            Rejection::StillRefused { .. } => Self::new(Code::WrongState, detail),
        }
    }
}

fn consumers() -> Vec<ConsumerType> {
    nakku_actors::services().into_iter().flat_map(|service| service.consumers).collect()
}

fn consumer(group: &str) -> Result<ConsumerType, Problem> {
    let all = consumers();
    let known: Vec<&str> = all.iter().map(|consumer| consumer.group).collect();
    let detail = format!("no consumer group is called {group}; there are {}", known.join(", "));
    let found = all.iter().find(|consumer| consumer.group == group).copied();
    found.ok_or_else(|| Problem::new(Code::NotFound, detail))
}
