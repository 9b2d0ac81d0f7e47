//! Shards and nodes: where they are to be.

use axum::Json;
use axum::extract::State;
use nakku_cluster::Cluster;
use nakku_cluster::inspect::{Act, Question, Report, ViewChange};
use serde::Deserialize;
use utoipa::ToSchema;

use super::bodies::{LogChanged, ViewChanged};
use super::reason::{Because, audit};
use super::told;
use crate::admin::session::Operator;
use crate::extract::{Json as Body, Path};
use crate::problem::{Code, Problem, ProblemBody};

/// Where to, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    /// Kept in the audit log.
    #[serde(default)]
    #[schema(required)]
    reason: String,
    /// The node's name.
    node: String,
}

/// Puts a shard on a node, where it stays until it is unpinned; a planned move, in which no request fails.
#[utoipa::path(post, path = "/admin/v1/shards/{service}/{number}/move", tag = "acts",
    params(("service" = String, Path, description = "The service"), ("number" = u32, Path, description = "The shard's number")),
    request_body = Moved,
    responses((status = 200, body = ViewChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn move_shard(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((service, shard)): Path<(String, u32)>,
    Body(moved): Body<Moved>,
) -> Result<Json<ViewChanged>, Problem> {
    let change = ViewChange::Pin { service, shard, node: Some(moved.node) };
    changed(&cluster, &operator, &moved.reason, "move_shard", change).await
}

/// Gives a shard back to placement.
#[utoipa::path(post, path = "/admin/v1/shards/{service}/{number}/unpin", tag = "acts",
    params(("service" = String, Path, description = "The service"), ("number" = u32, Path, description = "The shard's number")),
    request_body = Because,
    responses((status = 200, body = ViewChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn unpin(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((service, shard)): Path<(String, u32)>,
    Body(because): Body<Because>,
) -> Result<Json<ViewChanged>, Problem> {
    let change = ViewChange::Pin { service, shard, node: None };
    changed(&cluster, &operator, &because.reason, "unpin_shard", change).await
}

/// Takes all shards from a node, which stays up.
#[utoipa::path(post, path = "/admin/v1/nodes/{name}/drain", tag = "acts",
    params(("name" = String, Path, description = "The node's name")),
    request_body = Because,
    responses((status = 200, body = ViewChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn drain(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Body(because): Body<Because>,
) -> Result<Json<ViewChanged>, Problem> {
    changed(&cluster, &operator, &because.reason, "drain", ViewChange::Cordon { node }).await
}

/// Gives a drained node its share again.
#[utoipa::path(post, path = "/admin/v1/nodes/{name}/undrain", tag = "acts",
    params(("name" = String, Path, description = "The node's name")),
    request_body = Because,
    responses((status = 200, body = ViewChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn undrain(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Body(because): Body<Because>,
) -> Result<Json<ViewChanged>, Problem> {
    changed(&cluster, &operator, &because.reason, "undrain", ViewChange::Uncordon { node }).await
}

/// What is logged, for how long, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logged {
    /// Kept in the audit log.
    #[serde(default)]
    #[schema(required)]
    reason: String,
    /// Such as `nakku_cluster=debug,info`.
    directives: String,
    /// For how long, in seconds, up to an hour.
    for_s: u64,
}

/// Has one node log otherwise for a time.
#[utoipa::path(post, path = "/admin/v1/nodes/{name}/log-level", tag = "acts",
    params(("name" = String, Path, description = "The node's name")),
    request_body = Logged,
    responses((status = 200, body = LogChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn log_level(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Body(logged): Body<Logged>,
) -> Result<Json<LogChanged>, Problem> {
    let Logged { reason, directives, for_s } = logged;
    audit(&operator.0, &reason, "log_level", format_args!("{node}: {directives} for {for_s} s"))?;
    let question = Question::Act(Act::LogLevel { directives, for_s });
    match cluster.inspect(&node, question).await.map_err(told)? {
        Report::Acted { .. } => Ok(Json(LogChanged { for_s })),
        Report::Refused { reason } => Err(Problem::new(Code::InvalidValue, reason)),
        _ => Err(Problem::new(Code::Unavailable, "the node answered something else")),
    }
}

/// Keeps every shard where it is.
#[utoipa::path(post, path = "/admin/v1/rebalancing/pause", tag = "acts",
    request_body = Because,
    responses((status = 200, body = ViewChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn pause(
    State(cluster): State<Cluster>,
    operator: Operator,
    Body(because): Body<Because>,
) -> Result<Json<ViewChanged>, Problem> {
    changed(&cluster, &operator, &because.reason, "pause_rebalancing", ViewChange::Pause).await
}

/// Lets shards go where placement has them, as nodes come and go.
#[utoipa::path(post, path = "/admin/v1/rebalancing/resume", tag = "acts",
    request_body = Because,
    responses((status = 200, body = ViewChanged), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn resume(
    State(cluster): State<Cluster>,
    operator: Operator,
    Body(because): Body<Because>,
) -> Result<Json<ViewChanged>, Problem> {
    changed(&cluster, &operator, &because.reason, "resume_rebalancing", ViewChange::Resume).await
}

async fn changed(
    cluster: &Cluster,
    operator: &Operator,
    reason: &str,
    act: &str,
    change: ViewChange,
) -> Result<Json<ViewChanged>, Problem> {
    audit(&operator.0, reason, act, &change)?;
    let view_version = cluster.change_view(change).await.map_err(told)?;
    Ok(Json(ViewChanged { view_version }))
}
