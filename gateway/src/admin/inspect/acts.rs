//! Shards and nodes: where they are to be.

use axum::Json;
use axum::extract::State;
use nakku_cluster::Cluster;
use nakku_cluster::inspect::{Act, Question, Report, ViewChange};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reason::audit;
use super::told;
use crate::admin::session::Operator;
use crate::extract::{Json as Body, Path};
use crate::problem::{Code, Problem};

/// Where to, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    #[serde(default)]
    reason: String,
    node: String,
}

/// Why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    #[serde(default)]
    reason: String,
}

pub(super) async fn move_shard(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((service, shard)): Path<(String, u32)>,
    Body(moved): Body<Moved>,
) -> Result<Json<Value>, Problem> {
    let change = ViewChange::Pin { service, shard, node: Some(moved.node) };
    changed(&cluster, &operator, &moved.reason, "move_shard", change).await
}

pub(super) async fn unpin(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((service, shard)): Path<(String, u32)>,
    Body(because): Body<Because>,
) -> Result<Json<Value>, Problem> {
    let change = ViewChange::Pin { service, shard, node: None };
    changed(&cluster, &operator, &because.reason, "unpin_shard", change).await
}

pub(super) async fn drain(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Body(because): Body<Because>,
) -> Result<Json<Value>, Problem> {
    changed(&cluster, &operator, &because.reason, "drain", ViewChange::Cordon { node }).await
}

pub(super) async fn undrain(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Body(because): Body<Because>,
) -> Result<Json<Value>, Problem> {
    changed(&cluster, &operator, &because.reason, "undrain", ViewChange::Uncordon { node }).await
}

/// What is logged, for how long, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logged {
    #[serde(default)]
    reason: String,
    directives: String,
    for_s: u64,
}

pub(super) async fn log_level(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Body(logged): Body<Logged>,
) -> Result<Json<Value>, Problem> {
    let Logged { reason, directives, for_s } = logged;
    audit(&operator.0, &reason, "log_level", format_args!("{node}: {directives} for {for_s} s"))?;
    let question = Question::Act(Act::LogLevel { directives, for_s });
    match cluster.inspect(&node, question).await.map_err(told)? {
        Report::Acted { .. } => Ok(Json(json!({ "for_s": for_s }))),
        Report::Refused { reason } => Err(Problem::new(Code::InvalidValue, reason)),
        _ => Err(Problem::new(Code::Unavailable, "the node answered something else")),
    }
}

pub(super) async fn pause(
    State(cluster): State<Cluster>,
    operator: Operator,
    Body(because): Body<Because>,
) -> Result<Json<Value>, Problem> {
    changed(&cluster, &operator, &because.reason, "pause_rebalancing", ViewChange::Pause).await
}

pub(super) async fn resume(
    State(cluster): State<Cluster>,
    operator: Operator,
    Body(because): Body<Because>,
) -> Result<Json<Value>, Problem> {
    changed(&cluster, &operator, &because.reason, "resume_rebalancing", ViewChange::Resume).await
}

async fn changed(
    cluster: &Cluster,
    operator: &Operator,
    reason: &str,
    act: &str,
    change: ViewChange,
) -> Result<Json<Value>, Problem> {
    audit(&operator.0, reason, act, &change)?;
    let view_version = cluster.change_view(change).await.map_err(told)?;
    Ok(Json(json!({ "view_version": view_version })))
}
