//! What the inspectors of all nodes say, as one API: every node answers for the whole cluster, and a node that does not
//! answer in time is named while the rest is answered all the same.
//!
//! - [`views`]: lists over all nodes
//! - [`entities`]: one entity, and what may be done with it
//! - [`acts`]: shards and nodes
//! - [`streams`]: views again and again, commands as they are answered
//! - [`traces`]: the path of one request
//! - [`reason`]: why somebody does something, for the log

mod acts;
mod entities;
pub(crate) mod reason;
mod streams;
mod traces;
mod views;

use axum::Router;
use axum::routing::{get, post};
use nakku_cluster::{Cluster, Failure};

use crate::problem::{Code, Problem};

/// Its routes.
pub(crate) fn routes(cluster: Cluster) -> Router {
    Router::new()
        .route("/admin/v1/nodes", get(views::nodes))
        .route("/admin/v1/shards", get(views::shards))
        .route("/admin/v1/moves", get(views::moves))
        .route("/admin/v1/types", get(views::types))
        .route("/admin/v1/top", get(views::top))
        .route("/admin/v1/tree", get(views::tree))
        .route("/admin/v1/points", get(views::points))
        .route("/admin/v1/infrastructure", get(views::infrastructure))
        .route("/admin/v1/traces/{trace}", get(traces::show))
        .route("/admin/v1/watch", get(streams::watch))
        .route("/admin/v1/tail", get(streams::tail))
        .route("/admin/v1/entities/passivate", post(entities::passivate_matching))
        .route("/admin/v1/entities/{kind}/{key}", get(entities::show))
        .route("/admin/v1/entities/{kind}/{key}/history", get(entities::history))
        .route("/admin/v1/entities/{kind}/{key}/{act}", post(entities::act))
        .route("/admin/v1/shards/{service}/{number}/move", post(acts::move_shard))
        .route("/admin/v1/shards/{service}/{number}/unpin", post(acts::unpin))
        .route("/admin/v1/nodes/{name}/drain", post(acts::drain))
        .route("/admin/v1/nodes/{name}/undrain", post(acts::undrain))
        .route("/admin/v1/nodes/{name}/log-level", post(acts::log_level))
        .route("/admin/v1/rebalancing/pause", post(acts::pause))
        .route("/admin/v1/rebalancing/resume", post(acts::resume))
        .with_state(cluster)
}

/// An operator is told what is wrong with what was asked; a customer would not know what to do with it.
fn told(failure: Failure) -> Problem {
    match failure {
        Failure::Invalid { reason } => Problem::new(Code::InvalidValue, reason),
        other => other.into(),
    }
}
