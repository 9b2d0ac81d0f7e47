//! `/admin/v1/dead-letters`: events that consumers could not process, to look at and to try again.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use nakku_actors::Options;
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

/// What the routes need.
#[derive(Clone)]
struct DeadLetters {
    cluster: Cluster,
    consumers: Arc<[ConsumerType]>,
}

/// Its routes.
pub(crate) fn routes(cluster: Cluster, options: Options) -> Router {
    let services = nakku_actors::services_with(options);
    let consumers = services.into_iter().flat_map(|service| service.consumers).collect();
    Router::new()
        .route("/admin/v1/dead-letters", get(list))
        .route("/admin/v1/dead-letters/{group}/{intake}/{sequence}", get(show))
        .route("/admin/v1/dead-letters/{group}/{intake}/{sequence}/replay", post(replay))
        .with_state(DeadLetters { cluster, consumers })
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

async fn list(State(letters): State<DeadLetters>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
    let consumers = match &wanted.group {
        Some(group) => vec![letters.consumer(group)?],
        None => letters.consumers.to_vec(),
    };
    let mut items: Vec<Listed> = Vec::new();
    for consumer in consumers {
        let kept = dead_letters::of(&letters.cluster, consumer, limit - items.len()).await?;
        items.extend(kept.into_iter().map(Listed::from));
    }
    Ok(Json(json!({ "items": items })))
}

async fn show(
    State(letters): State<DeadLetters>,
    Path((group, intake, sequence)): Path<(String, Key, u64)>,
) -> Result<Json<DeadLetter>, Problem> {
    let letter = dead_letters::one(&letters.cluster, letters.consumer(&group)?, &intake, sequence).await?;
    letter.map(Json).ok_or_else(|| Problem::new(Code::NotFound, format!("{intake} keeps no dead letter {sequence}")))
}

async fn replay(
    State(letters): State<DeadLetters>,
    Path((group, intake, sequence)): Path<(String, Key, u64)>,
) -> Result<Json<Value>, Problem> {
    dead_letters::replay(&letters.cluster, letters.consumer(&group)?, &intake, sequence).await?;
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

impl DeadLetters {
    fn consumer(&self, group: &str) -> Result<ConsumerType, Problem> {
        let known: Vec<&str> = self.consumers.iter().map(|consumer| consumer.group).collect();
        let detail = format!("no consumer group is called {group}; there are {}", known.join(", "));
        let found = self.consumers.iter().find(|consumer| consumer.group == group).copied();
        found.ok_or_else(|| Problem::new(Code::NotFound, detail))
    }
}
