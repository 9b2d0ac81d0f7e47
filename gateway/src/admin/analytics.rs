//! `/admin/v1/analytics/rebuild`: has analytics gather all sums anew, and tells how far that is.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use nakku_actors::analytics::Analytics;
use nakku_cluster::Cluster;
use nakku_cluster::events::rebuild::{self, Rebuilding};
use utoipa::OpenApi;

use super::inspect::reason::{Because, audit};
use super::session::Operator;
use crate::extract::Json;
use crate::problem::{Problem, ProblemBody};

/// Its routes.
pub(crate) fn routes(cluster: Cluster) -> Router {
    Router::new().route("/admin/v1/analytics/rebuild", get(progress).post(begin)).with_state(cluster)
}

/// What the routes are, for the document of the admin API.
#[derive(OpenApi)]
#[openapi(paths(progress, begin))]
pub(crate) struct Documented;

/// How far gathering the sums anew is.
#[utoipa::path(get, path = "/admin/v1/analytics/rebuild", tag = "analytics",
    responses((status = 200, body = Rebuilding), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn progress(State(cluster): State<Cluster>) -> Result<JsonBody<Rebuilding>, Problem> {
    Ok(JsonBody(rebuild::progress::<Analytics>(&cluster).await?))
}

/// Gathers all sums anew. Intakes that are at it go on; the others begin. So a call that failed half-way is simply
/// repeated.
#[utoipa::path(post, path = "/admin/v1/analytics/rebuild", tag = "analytics", request_body = Because,
    responses((status = 202, body = Rebuilding), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn begin(
    State(cluster): State<Cluster>,
    operator: Operator,
    Json(because): Json<Because>,
) -> Result<(StatusCode, JsonBody<Rebuilding>), Problem> {
    audit(&operator.0, &because.reason, "rebuild_analytics", "all intakes")?;
    let rebuilding = rebuild::begin::<Analytics>(&cluster).await?;
    Ok((StatusCode::ACCEPTED, JsonBody(rebuilding)))
}
