//! `/health`, `/ready` and `/metrics`: on the gateway's port, and on the port of each service that runs here.
//!
//! Neither health nor readiness fails because something that the node rests on is away: restarting or
//! unrouting every node would not bring it back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use nakku_cluster::Cluster;
use nakku_cluster::status::ClusterStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::edge::Edge;
use crate::metrics;

/// How long the state of dependencies is waited for; without it the answer says so.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// The status of a node that works without something.
const DEGRADED: &str = "degraded";

/// The answer of `/health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` while something is away that it can do without (Redis, a replica). The process lives.
    #[schema(example = "ok")]
    pub status: String,
    /// What answers: `gateway` or a service.
    pub service: String,
    /// Name and generation of the node.
    pub node: String,
    /// As `/ready` says.
    pub ready: bool,
    /// Shards of the service that this node serves; absent for the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_shards: Option<u32>,
    /// What the node rests on.
    pub dependencies: Vec<DependencyHealth>,
}

/// A server that the node rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DependencyHealth {
    /// Such as `database nakku_order`.
    pub name: String,
    /// Whether the last use of it succeeded.
    pub up: bool,
    /// Of the last use, in microseconds.
    pub latency_us: u64,
}

/// The answer of `/ready`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// False while the node joins or drains.
    pub ready: bool,
}

/// Whether the process lives, and how its dependencies are.
#[utoipa::path(get, path = "/health", tag = "operation", responses((status = 200, body = Health)))]
pub async fn health(State(edge): State<Arc<Edge>>) -> Json<Health> {
    let mut health = of(&edge.cluster, "gateway", edge.is_ready()).await;
    if let Some(redis) = edge.shared.redis() {
        if !redis.up {
            health.status = DEGRADED.to_owned();
        }
        health.dependencies.push(DependencyHealth {
            name: "redis".to_owned(),
            up: redis.up,
            latency_us: redis.latency_us,
        });
    }
    Json(health)
}

/// Whether requests should be sent here.
#[utoipa::path(get, path = "/ready", tag = "operation",
    responses((status = 200, body = Readiness), (status = 503, description = "joining or draining", body = Readiness)))]
pub async fn ready(State(edge): State<Arc<Edge>>) -> Response {
    readiness(edge.is_ready())
}

/// Measures in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text()).into_response()
}

/// The health of one service as this node sees it.
pub(crate) async fn of(cluster: &Cluster, service: &str, ready: bool) -> Health {
    let status = tokio::time::timeout(STATUS_PATIENCE, cluster.status()).await.unwrap_or_default();
    let ClusterStatus { node, services, dependencies, .. } = status;
    let is_degraded = dependencies.iter().any(|one| one.is_optional && !one.up);
    Health {
        status: if is_degraded { DEGRADED } else { "ok" }.to_owned(),
        service: service.to_owned(),
        node,
        ready,
        serving_shards: services.iter().find(|one| one.name == service).map(|one| one.serving_here),
        dependencies: dependencies
            .into_iter()
            .map(|one| DependencyHealth { name: one.name, up: one.up, latency_us: one.latency_us })
            .collect(),
    }
}

/// 200 or 503.
pub(crate) fn readiness(ready: bool) -> Response {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready })).into_response()
}
