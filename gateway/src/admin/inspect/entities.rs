//! One entity, found by kind and key; never all of them by listing.

use axum::Json;
use axum::extract::State;
use nakku_cluster::inspect::report::{EntityReport, HistoryReport};
use nakku_cluster::inspect::{Act, EntityAt, Everywhere, Matching, Question, Report};
use nakku_cluster::{Address, Cluster, Key};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reason::audit;
use super::told;
use super::views::silent_nodes;
use crate::admin::session::Operator;
use crate::extract::{Json as Body, Path, Query};
use crate::problem::{Code, Problem};

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

/// Why something is done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    #[serde(default)]
    reason: String,
}

/// What is to leave the memory, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BecauseMatching {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    shard: Option<u32>,
    #[serde(default)]
    idle_ms: Option<u64>,
    #[serde(default)]
    dry_run: bool,
}

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

pub(super) async fn act(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key, act)): Path<(String, Key, String)>,
    Body(because): Body<Because>,
) -> Result<Json<Value>, Problem> {
    let entity = EntityAt { kind, key, version: None, reveal: false };
    let wanted = match act.as_str() {
        "passivate" => Act::Passivate { entity: entity.clone() },
        "restart" => Act::Restart { entity: entity.clone() },
        "release" => Act::Release { entity: entity.clone() },
        _ => return Err(Problem::new(Code::RouteNotFound, "an entity can be told to passivate, restart or release")),
    };
    audit(&operator.0, &because.reason, &act, format_args!("{}/{}", entity.kind, entity.key))?;
    match asked(&cluster, &entity, Question::Act(wanted)).await? {
        Report::Acted { entities } => Ok(Json(json!({ "entities": entities }))),
        other => Err(problem(other)),
    }
}

pub(super) async fn passivate_matching(
    State(cluster): State<Cluster>,
    operator: Operator,
    Body(because): Body<BecauseMatching>,
) -> Result<Json<Value>, Problem> {
    let BecauseMatching { reason, kind, shard, idle_ms, dry_run } = because;
    let matching = Matching { kind, shard, idle_ms };
    if !dry_run {
        let which = serde_json::to_string(&matching).unwrap_or_default();
        audit(&operator.0, &reason, "passivate_matching", which)?;
    }
    let question = Question::Act(Act::PassivateMatching { matching, dry_run });
    let Everywhere { answers, mut silent } = cluster.inspect_everywhere(&question).await;
    let mut count = 0;
    for (node, report) in answers {
        match report {
            Report::Acted { entities } => count += entities,
            other => silent.push((node, problem(other).detail)),
        }
    }
    Ok(Json(json!({ "entities": count, "silent": silent_nodes(&silent) })))
}

/// Personal data is shown for a reason only, which is kept.
fn revealing(operator: &Operator, reason: Option<&str>, at: &EntityAt) -> Result<(), Problem> {
    reason.map_or(Ok(()), |reason| audit(&operator.0, reason, "reveal", format_args!("{}/{}", at.kind, at.key)))
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
