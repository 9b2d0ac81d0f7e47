//! `/admin/v1/analytics/rebuild`: has analytics gather all sums anew, and tells how far that is.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use nakku_actors::analytics::Analytics;
use nakku_cluster::Cluster;
use nakku_cluster::events::rebuild::{self, Rebuilding};
use serde::Deserialize;

use crate::extract::Json;
use crate::problem::{Code, Problem};

/// The longest reason, in characters.
const REASON_MAX: usize = 200;

/// Its routes.
pub(crate) fn routes(cluster: Cluster) -> Router {
    Router::new().route("/admin/v1/analytics/rebuild", get(progress).post(begin)).with_state(cluster)
}

/// Why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// For the log.
    reason: String,
}

async fn progress(State(cluster): State<Cluster>) -> Result<JsonBody<Rebuilding>, Problem> {
    Ok(JsonBody(rebuild::progress::<Analytics>(&cluster).await?))
}

/// Intakes that are at it go on; the others begin. So a call that failed half-way is simply repeated.
async fn begin(
    State(cluster): State<Cluster>,
    Json(Body { reason }): Json<Body>,
) -> Result<(StatusCode, JsonBody<Rebuilding>), Problem> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Problem::new(Code::MissingField, "say why").field("reason"));
    }
    if reason.chars().count() > REASON_MAX {
        let problem = Problem::new(Code::InvalidValue, format!("a reason has at most {REASON_MAX} characters"));
        return Err(problem.field("reason"));
    }
    tracing::info!(reason, "analytics are gathered anew, told by the admin API");
    let rebuilding = rebuild::begin::<Analytics>(&cluster).await?;
    Ok((StatusCode::ACCEPTED, JsonBody(rebuilding)))
}
