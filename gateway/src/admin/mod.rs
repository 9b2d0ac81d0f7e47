//! The admin listener: what an operator may ask of a node, and the console that shows it. On loopback unless set
//! otherwise, and behind a token of its own or a session of an admin; no user's token opens it.
//!
//! - [`users`], [`dead_letters`], [`webhooks`], [`analytics`]: what can be asked, one file each
//! - [`inspect`]: into every node, shard and entity
//! - [`openapi`]: all of it as a document
//! - `guard`: who is let in, `session`: who acts, `console`: the page

mod analytics;
pub(crate) mod console;
mod dead_letters;
pub(crate) mod guard;
mod inspect;
pub mod openapi;
pub(crate) mod session;
mod users;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::middleware;
use axum::routing::get;
use axum::{Json, Router};
use nakku_actors::Options;
use nakku_cluster::Cluster;
use nakku_cluster::status::ClusterStatus;

use crate::gateway::GatewayError;
use crate::problem::ProblemBody;
use crate::routes::problems_for_the_rest;
use crate::server::{Server, ServerLimits};
use crate::settings::AdminSettings;

/// The fewest bytes of the admin token.
pub const ADMIN_TOKEN_BYTES_MIN: usize = 16;
/// Only operators come here.
const LIMITS: ServerLimits = ServerLimits { connections_max: 64, header_timeout: Duration::from_secs(30) };

/// The running admin listener.
#[derive(Debug)]
pub struct Admin {
    server: Server,
}

/// Starts the admin listener.
///
/// # Errors
/// When the token is too short or the address can't be listened on.
pub async fn start_admin(cluster: Cluster, settings: AdminSettings) -> Result<Admin, GatewayError> {
    let token_bytes = settings.token.expose().len();
    if token_bytes < ADMIN_TOKEN_BYTES_MIN {
        return Err(GatewayError::Setting(format!(
            "the admin token has {token_bytes} bytes, at least {ADMIN_TOKEN_BYTES_MIN} are needed"
        )));
    }
    if !settings.listen.ip().is_loopback() && !settings.behind_tls {
        return Err(GatewayError::Setting(format!(
            "the admin listener has no TLS of its own, and {} is not loopback; end TLS in a proxy and set admin.behind_tls",
            settings.listen
        )));
    }
    let guard = Arc::new(guard::Guard::new(cluster.clone(), &settings));
    let console = console::routes().merge(session::routes(guard.clone()));
    let users = users::routes(cluster.clone());
    let options = Options { webhooks: settings.webhooks.is_some() };
    let dead_letters = dead_letters::routes(cluster.clone(), options);
    let webhooks = webhooks::routes(cluster.clone(), settings.webhooks);
    let analytics = analytics::routes(cluster.clone());
    let inspect = inspect::routes(cluster.clone());
    let status = Router::new().route("/admin/v1/status", get(status)).with_state(cluster.clone());
    let document = Router::new().route("/admin/v1/openapi.json", get(openapi::serve));
    let routes = status
        .merge(document)
        .merge(users)
        .merge(dead_letters)
        .merge(analytics)
        .merge(webhooks)
        .merge(inspect)
        .merge(console);
    let routes = problems_for_the_rest(routes).layer(middleware::from_fn_with_state(guard.clone(), guard::guard));
    let server = Server::start(settings.listen, LIMITS, routes)
        .await
        .map_err(|cause| GatewayError::Bind { address: settings.listen, cause })?;
    guard.listens(server.local_address());
    cluster.tell_admin(server.local_address());
    tracing::info!(listen = %server.local_address(), "admin listens");
    Ok(Admin { server })
}

impl Admin {
    /// The address that it listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.server.local_address()
    }

    /// Ends, cutting what is open at the deadline.
    pub async fn drain(self, deadline: Duration) {
        self.server.drain(Duration::ZERO, deadline).await;
    }
}

/// What this node knows of the cluster.
#[utoipa::path(get, path = "/admin/v1/status", tag = "views",
    responses((status = 200, body = ClusterStatus), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn status(State(cluster): State<Cluster>) -> Json<ClusterStatus> {
    Json(cluster.status().await)
}
