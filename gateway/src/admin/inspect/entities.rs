//! One entity, found by kind and key; never all of them by listing.

use axum::Json;
use axum::extract::State;
use nakku_cluster::inspect::report::{EntityReport, HistoryReport};
use nakku_cluster::inspect::{Act, EntityAt, Everywhere, Matching, Question, Report};
use nakku_cluster::{Address, Cluster, Key};
use serde::Deserialize;
use utoipa::ToSchema;

use super::bodies::{Acted, ActedEverywhere};
use super::reason::{Because, audit};
use super::told;
use super::views::silent_nodes;
use crate::admin::session::Operator;
use crate::extract::{Json as Body, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Events of one answer unless fewer are asked for.
const HISTORY_LIMIT: u32 = 100;

/// As of when, and how much of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    #[serde(default)]
    version: Option<u64>,
    /// Why personal data and secrets are to be shown.
    #[serde(default)]
    reveal: Option<String>,
}

/// Which events, and how much of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paged {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    reveal: Option<String>,
}

/// What is to leave the memory, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BecauseMatching {
    /// Why, unless it is only counted.
    #[serde(default)]
    reason: String,
    /// Only this kind.
    #[serde(default)]
    kind: Option<String>,
    /// Only in shards of this number.
    #[serde(default)]
    shard: Option<u32>,
    /// Only those that were not asked anything for so many milliseconds.
    #[serde(default)]
    idle_ms: Option<u64>,
    /// Only count them.
    #[serde(default)]
    dry_run: bool,
}

/// One entity as it is, from its memory or from its rows; nothing is woken.
#[utoipa::path(get, path = "/admin/v1/entities/{kind}/{key}", tag = "entities",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one"),
        ("version" = Option<u64>, Query, description = "As it was after so many events"),
        ("reveal" = Option<String>, Query, description = "Why personal data is to be shown; secrets never are")),
    responses((status = 200, body = EntityReport), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn show(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Query(shown): Query<Shown>,
) -> Result<Json<EntityReport>, Problem> {
    let at = EntityAt { kind, key, version: shown.version, reveal: shown.reveal.is_some() };
    revealing(&operator, shown.reveal.as_deref(), &at)?;
    match asked(&cluster, &at, Question::Entity(at.clone())).await? {
        Report::Entity(report) => Ok(Json(*report)),
        other => Err(problem(other)),
    }
}

/// The events of one entity from the journal, with what each has changed.
#[utoipa::path(get, path = "/admin/v1/entities/{kind}/{key}/history", tag = "entities",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one"),
        ("after" = Option<u64>, Query, description = "Only behind this version"), ("limit" = Option<u32>, Query, description = "At most so many, up to 500; 100 unless given"),
        ("reveal" = Option<String>, Query, description = "Why personal data is to be shown; secrets never are")),
    responses((status = 200, body = HistoryReport), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn history(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Query(paged): Query<Paged>,
) -> Result<Json<HistoryReport>, Problem> {
    let entity = EntityAt { kind, key, version: None, reveal: paged.reveal.is_some() };
    revealing(&operator, paged.reveal.as_deref(), &entity)?;
    let limit = paged.limit.unwrap_or(HISTORY_LIMIT);
    let question = Question::History { entity: entity.clone(), after_version: paged.after, limit };
    match asked(&cluster, &entity, question).await? {
        Report::History(report) => Ok(Json(report)),
        other => Err(problem(other)),
    }
}

/// Sends one entity out of the memory, if nothing of it is in flight.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/passivate", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn passivate(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, name) = (whose(kind, key), "passivate");
    perform(&cluster, &operator, &because, name, &entity, Act::Passivate { entity: entity.clone() }).await
}

/// Drops what the memory holds of one entity and reads it anew.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/restart", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn restart(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, name) = (whose(kind, key), "restart");
    perform(&cluster, &operator, &because, name, &entity, Act::Restart { entity: entity.clone() }).await
}

/// Tries one entity again that was set aside after repeated failures.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/release", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn release(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, name) = (whose(kind, key), "release");
    perform(&cluster, &operator, &because, name, &entity, Act::Release { entity: entity.clone() }).await
}

/// Sends out of the memory whatever matches, or only counts it.
#[utoipa::path(post, path = "/admin/v1/entities/passivate", tag = "acts",
    request_body = BecauseMatching,
    responses((status = 200, body = ActedEverywhere), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn passivate_matching(
    State(cluster): State<Cluster>,
    operator: Operator,
    Body(because): Body<BecauseMatching>,
) -> Result<Json<ActedEverywhere>, Problem> {
    let BecauseMatching { reason, kind, shard, idle_ms, dry_run } = because;
    let matching = Matching { kind, shard, idle_ms };
    if !dry_run {
        let which = serde_json::to_string(&matching).unwrap_or_default();
        audit(&operator.0, &reason, "passivate_matching", which)?;
    }
    let question = Question::Act(Act::PassivateMatching { matching, dry_run });
    let Everywhere { answers, mut silent } = cluster.inspect_everywhere(&question).await;
    let mut entities = 0;
    for (node, report) in answers {
        match report {
            Report::Acted { entities: here } => entities += here,
            other => silent.push((node, problem(other).detail)),
        }
    }
    Ok(Json(ActedEverywhere { entities, silent: silent_nodes(&silent) }))
}

/// Personal data is shown for a reason only, which is kept.
fn revealing(operator: &Operator, reason: Option<&str>, at: &EntityAt) -> Result<(), Problem> {
    reason.map_or(Ok(()), |reason| audit(&operator.0, reason, "reveal", format_args!("{}/{}", at.kind, at.key)))
}

/// An act on one entity, noted before it is done.
pub(super) async fn perform(
    cluster: &Cluster,
    operator: &Operator,
    because: &Because,
    name: &str,
    entity: &EntityAt,
    act: Act,
) -> Result<Json<Acted>, Problem> {
    let on = match &act {
        Act::RetryEffect { effect, .. } | Act::GiveUpEffect { effect, .. } => {
            format!("{effect} of {}/{}", entity.kind, entity.key)
        }
        _ => format!("{}/{}", entity.kind, entity.key),
    };
    audit(&operator.0, &because.reason, name, on)?;
    match asked(cluster, entity, Question::Act(act)).await? {
        Report::Acted { entities } => Ok(Json(Acted { entities })),
        other => Err(problem(other)),
    }
}

pub(super) fn whose(kind: String, key: Key) -> EntityAt {
    EntityAt { kind, key, version: None, reveal: false }
}

async fn asked(cluster: &Cluster, at: &EntityAt, question: Question) -> Result<Report, Problem> {
    let target = Address { kind: at.kind.as_str().into(), key: at.key.clone() };
    cluster.inspect_owner(&target, question).await.map_err(told)
}

fn problem(report: Report) -> Problem {
    match report {
        Report::Absent { what } => Problem::new(Code::NotFound, format!("there is no {what}")),
        Report::Refused { reason } => Problem::new(Code::WrongState, reason),
        _ => Problem::new(Code::Unavailable, "the node answered something else"),
    }
}
