//! What the inspectors of all nodes say, as one API: every node answers for the whole cluster, and a node that does not
//! answer in time is named while the rest is answered all the same.
//!
//! - [`views`]: lists over all nodes
//! - [`entities`]: one entity, and what may be done with it
//! - [`acts`]: shards and nodes
//! - [`outstanding`]: the effects and the reminder of one entity
//! - [`profile`]: what a node's processor does for a time
//! - [`streams`]: views again and again, commands as they are answered
//! - [`traces`]: the path of one request
//! - [`bodies`]: what the routes answer with
//! - [`reason`]: why somebody does something, for the log

mod acts;
mod bodies;
mod entities;
mod outstanding;
mod profile;
pub(crate) mod reason;
mod streams;
mod traces;
mod views;

use axum::Router;
use axum::routing::{get, post};
use nakku_cluster::inspect::ProfileFormat;
use nakku_cluster::{Cluster, Failure};
use utoipa::OpenApi;

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
        .route("/admin/v1/entities/{kind}/{key}/passivate", post(entities::passivate))
        .route("/admin/v1/entities/{kind}/{key}/restart", post(entities::restart))
        .route("/admin/v1/entities/{kind}/{key}/release", post(entities::release))
        .route("/admin/v1/entities/{kind}/{key}/effects/{effect}/retry", post(outstanding::retry))
        .route("/admin/v1/entities/{kind}/{key}/effects/{effect}/give-up", post(outstanding::give_up))
        .route("/admin/v1/entities/{kind}/{key}/reminder/fire", post(outstanding::fire))
        .route("/admin/v1/entities/{kind}/{key}/reminder/cancel", post(outstanding::cancel))
        .route("/admin/v1/shards/{service}/{number}/move", post(acts::move_shard))
        .route("/admin/v1/shards/{service}/{number}/unpin", post(acts::unpin))
        .route("/admin/v1/nodes/{name}/drain", post(acts::drain))
        .route("/admin/v1/nodes/{name}/undrain", post(acts::undrain))
        .route("/admin/v1/nodes/{name}/log-level", post(acts::log_level))
        .route("/admin/v1/nodes/{name}/profile", post(profile::take))
        .route("/admin/v1/rebalancing/pause", post(acts::pause))
        .route("/admin/v1/rebalancing/resume", post(acts::resume))
        .with_state(cluster)
}

/// What the routes are, for the document of the admin API.
#[derive(OpenApi)]
#[openapi(
    paths(
        views::nodes,
        views::shards,
        views::moves,
        views::types,
        views::top,
        views::tree,
        views::points,
        views::infrastructure,
        traces::show,
        streams::watch,
        streams::tail,
        entities::show,
        entities::history,
        entities::passivate,
        entities::restart,
        entities::release,
        entities::passivate_matching,
        outstanding::retry,
        outstanding::give_up,
        outstanding::fire,
        outstanding::cancel,
        acts::move_shard,
        acts::unpin,
        acts::drain,
        acts::undrain,
        acts::log_level,
        acts::pause,
        acts::resume,
        profile::take,
    ),
    components(schemas(bodies::Told, ProfileFormat))
)]
pub(crate) struct Documented;

/// An operator is told what is wrong with what was asked; a customer would not know what to do with it.
fn told(failure: Failure) -> Problem {
    match failure {
        Failure::Invalid { reason } => Problem::new(Code::InvalidValue, reason),
        other => other.into(),
    }
}
