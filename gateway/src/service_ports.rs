//! One small listener per service that the node runs, for `/health`, `/ready` and `/metrics` of that service.

use std::net::SocketAddr;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use nakku_cluster::Cluster;

use crate::gateway::GatewayError;
use crate::health;
use crate::routes::problems_for_the_rest;
use crate::server::{Server, ServerLimits};
use crate::settings::ServicePortSettings;

/// Only probes and scrapers come here.
const LIMITS: ServerLimits = ServerLimits { connections_max: 64, header_timeout: Duration::from_secs(30) };

/// The running listeners.
#[derive(Debug)]
pub struct ServicePorts {
    servers: Vec<(String, Server)>,
}

/// Starts a listener for each service.
///
/// # Errors
/// When one of the addresses can't be listened on; then none listens.
pub async fn start_service_ports(
    cluster: Cluster,
    settings: ServicePortSettings,
) -> Result<ServicePorts, GatewayError> {
    let mut ports = ServicePorts { servers: Vec::new() };
    for (service, port) in settings.ports {
        let address = SocketAddr::new(settings.host, port);
        match Server::start(address, LIMITS, routes(cluster.clone(), service.clone())).await {
            Ok(server) => {
                tracing::info!(service, listen = %server.local_address(), "service port listens");
                ports.servers.push((service, server));
            }
            Err(cause) => {
                ports.drain(Duration::ZERO).await;
                return Err(GatewayError::Bind { address, cause });
            }
        }
    }
    Ok(ports)
}

impl ServicePorts {
    /// Each service and where it is answered for.
    pub fn local_addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.servers.iter().map(|(service, server)| (service.as_str(), server.local_address()))
    }

    /// Ends all listeners, cutting what is open at the deadline. To be called last, so that probes see the
    /// node drain.
    pub async fn drain(self, deadline: Duration) {
        let ending = self.servers.into_iter().map(|(_, server)| server.drain(Duration::ZERO, deadline));
        futures::future::join_all(ending).await;
    }
}

fn routes(cluster: Cluster, service: String) -> Router {
    let readiness = cluster.clone();
    let routes = Router::new()
        .route("/health", get(move || async move { Json(health::of(&cluster, &service, cluster.is_ready()).await) }))
        .route("/ready", get(move || async move { health::readiness(readiness.is_ready()) }))
        .route("/metrics", get(health::metrics));
    problems_for_the_rest(routes)
}
