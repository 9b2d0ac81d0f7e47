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
use utoipa::{OpenApi, ToSchema};

use super::inspect::reason::{Because, audit};
use super::session::Operator;
use crate::extract::{Json as Body, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Letters of one answer, unless fewer are asked for.
const LISTED_MAX: usize = 1000;

/// What the routes are, for the document of the admin API.
#[derive(OpenApi)]
#[openapi(paths(list, show, replay))]
pub(crate) struct Documented;

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
#[derive(Serialize, ToSchema)]
#[schema(as = ListedLetter)]
struct Listed {
    /// Of the consumer that could not process it.
    group: String,
    /// Which keeps it.
    #[schema(value_type = String)]
    intake: Key,
    /// Its number there.
    sequence: u64,
    /// Such as `order.confirmed`.
    event_type: String,
    /// The key of the entity that it is of.
    subject: String,
    /// Why it could not be processed.
    reason: String,
    /// How often it was tried.
    attempts: u32,
    /// UTC, milliseconds since 1970.
    set_aside_at: i64,
}

/// Dead letters, by group, intake and number.
#[derive(Serialize, ToSchema)]
struct Letters {
    items: Vec<Listed>,
}

/// One that is a dead letter no longer.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplayedLetter)]
struct Replayed {
    /// Its number.
    replayed: u64,
}

impl From<Kept> for Listed {
    fn from(Kept { intake, letter }: Kept) -> Self {
        let DeadLetter { group, reason, attempts, set_aside_at, event } = letter;
        let set_aside_at = set_aside_at.0;
        let (event_type, subject, sequence) = (event.event_type, event.subject, event.sequence);
        Self { group, intake, sequence, event_type: event_type.into_owned(), subject, reason, attempts, set_aside_at }
    }
}

/// Events that consumers could not process, without what they say.
#[utoipa::path(get, path = "/admin/v1/dead-letters", tag = "dead letters",
    params(("group" = Option<String>, Query, description = "Of this consumer group only"), ("limit" = Option<usize>, Query, description = "At most so many, up to 1000")),
    responses((status = 200, body = Letters), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(letters): State<DeadLetters>, Query(wanted): Query<Wanted>) -> Result<Json<Letters>, Problem> {
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
    Ok(Json(Letters { items }))
}

/// One of them, with its event.
#[utoipa::path(get, path = "/admin/v1/dead-letters/{group}/{intake}/{sequence}", tag = "dead letters",
    params(("group" = String, Path, description = "The consumer group"), ("intake" = String, Path, description = "The intake that keeps it"),
        ("sequence" = u64, Path, description = "Its number there")),
    responses((status = 200, body = DeadLetter), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn show(
    State(letters): State<DeadLetters>,
    Path((group, intake, sequence)): Path<(String, Key, u64)>,
) -> Result<Json<DeadLetter>, Problem> {
    let letter = dead_letters::one(&letters.cluster, letters.consumer(&group)?, &intake, sequence).await?;
    letter.map(Json).ok_or_else(|| Problem::new(Code::NotFound, format!("{intake} keeps no dead letter {sequence}")))
}

/// Has one processed now; refused (`wrong_state`) while it still can't be.
#[utoipa::path(post, path = "/admin/v1/dead-letters/{group}/{intake}/{sequence}/replay", tag = "dead letters",
    params(("group" = String, Path, description = "The consumer group"), ("intake" = String, Path, description = "The intake that keeps it"),
        ("sequence" = u64, Path, description = "Its number there")),
    request_body = Because,
    responses((status = 200, body = Replayed), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn replay(
    State(letters): State<DeadLetters>,
    operator: Operator,
    Path((group, intake, sequence)): Path<(String, Key, u64)>,
    Body(because): Body<Because>,
) -> Result<Json<Replayed>, Problem> {
    let consumer = letters.consumer(&group)?;
    audit(&operator.0, &because.reason, "replay_dead_letter", format_args!("{group} {intake} {sequence}"))?;
    dead_letters::replay(&letters.cluster, consumer, &intake, sequence).await?;
    Ok(Json(Replayed { replayed: sequence }))
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
