//! The `gateway` actor: owns the public listener, its admission and its draining.
//!
//! Requests do not pass through its mailbox; what does is inspection and the order to drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nakku_cluster::Cluster;
use nakku_cluster::inspect::infrastructure::{self, Beside};
use nakku_cluster::inspect::report::Branch;
use nakku_cluster::status::Dependency;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message, RpcReplyPort, SupervisionEvent};
use serde::Serialize;
use tokio::time::Instant;

use crate::edge::Edge;
use crate::server::{Server, ServerLimits};
use crate::settings::GatewaySettings;
use crate::shared::{RedisSettings, Shared, SharedSettings};

/// How long past its deadline a drain is waited for before the actor is taken to be lost.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// A running gateway. Dropping the handle leaves it running.
#[derive(Clone, Debug)]
pub struct Gateway {
    actor: ActorRef<GatewayMessage>,
    local_address: SocketAddr,
}

/// Why a listener of the edge could not be started.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A setting can't be right.
    #[error("{0}")]
    Setting(String),
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The actor could not be spawned.
    #[error("the gateway actor did not start: {0}")]
    Actor(String),
}

/// What the actor shows of itself.
#[derive(Clone, Debug, Serialize)]
pub struct GatewayStatus {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Requests in progress.
    pub in_flight: usize,
    /// As many may be.
    pub in_flight_max: usize,
    /// Live connections that are open.
    pub live_connections: usize,
    /// Whether it is on its way out.
    pub draining: bool,
}

/// Starts the public listener with all routes.
///
/// # Errors
/// When a setting is wrong or the address can't be listened on.
pub async fn start(cluster: Cluster, settings: GatewaySettings) -> Result<Gateway, GatewayError> {
    settings.check().map_err(GatewayError::Setting)?;
    let limits = ServerLimits { connections_max: settings.connections_max, header_timeout: settings.header_timeout };
    let listen = settings.listen;
    let notice = settings.drain_notice;
    let access_token_lifetime = settings.access_token_lifetime;
    let sharing = SharedSettings { access_token_lifetime, ..settings.shared.clone() };
    let shared = Shared::start(&sharing).await.map_err(GatewayError::Setting)?;
    let edge = Arc::new(Edge::new(cluster, settings, shared));
    crate::heard::start(&edge);
    let routes = crate::routes::all(edge.clone());
    let server =
        Server::start(listen, limits, routes).await.map_err(|cause| GatewayError::Bind { address: listen, cause })?;
    let local_address = server.local_address();
    let shown: Arc<dyn Beside> = Arc::new(Shown { edge: edge.clone(), local_address });
    infrastructure::show(&shown);
    // Unnamed: several gateways may live in one process, in tests.
    let (actor, _) = Actor::spawn(
        None,
        GatewayActor,
        GatewayState { server: Some(server), edge, notice, local_address, _shown: shown },
    )
    .await
    .map_err(|error| GatewayError::Actor(error.to_string()))?;
    tracing::info!(listen = %local_address, "gateway listens");
    Ok(Gateway { actor, local_address })
}

impl Gateway {
    /// The address that it listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Stops being ready, accepts for a moment longer, finishes what is in progress and ends; what is left
    /// after `deadline` is cut. Returns how many connections were.
    pub async fn drain(&self, deadline: Duration) -> usize {
        let limit = Some(deadline + DRAIN_MARGIN);
        let answer = self.actor.call(|reply| GatewayMessage::Drain { deadline, reply }, limit).await;
        match answer {
            Ok(ractor::rpc::CallResult::Success(cut)) => cut,
            _ => 0,
        }
    }

    /// What it shows of itself; nothing once it has ended.
    pub async fn status(&self) -> Option<GatewayStatus> {
        let limit = Some(DRAIN_MARGIN);
        match self.actor.call(GatewayMessage::Inspect, limit).await {
            Ok(ractor::rpc::CallResult::Success(status)) => Some(status),
            _ => None,
        }
    }
}

/// What the actor is told.
#[derive(Debug)]
enum GatewayMessage {
    Drain { deadline: Duration, reply: RpcReplyPort<usize> },
    Inspect(RpcReplyPort<GatewayStatus>),
}

/// Local only: never announced to other nodes.
impl Message for GatewayMessage {}

struct GatewayActor;

struct GatewayState {
    /// Taken by the drain.
    server: Option<Server>,
    edge: Arc<Edge>,
    notice: Duration,
    local_address: SocketAddr,
    /// As long as it lives.
    _shown: Arc<dyn Beside>,
}

/// What an operator sees of it beside its node.
struct Shown {
    edge: Arc<Edge>,
    local_address: SocketAddr,
}

impl Beside for Shown {
    fn branch(&self) -> Branch {
        let admission = &self.edge.admission;
        let (in_flight, in_flight_max) = (admission.in_flight(), admission.in_flight_max());
        let live = self.edge.live.connections();
        let mut detail = format!("{in_flight} of {in_flight_max} requests in flight, {live} live connections");
        if admission.is_draining() {
            detail.push_str(", draining");
        }
        Branch { name: format!("gateway {}", self.local_address), detail, ..Branch::default() }
    }

    fn dependencies(&self) -> Vec<Dependency> {
        let redis = self.edge.shared.redis().map(|redis| Dependency {
            name: "redis".to_owned(),
            location: self.edge.settings.shared.redis.as_ref().map(RedisSettings::location).unwrap_or_default(),
            up: redis.up,
            latency_us: redis.latency_us,
            error: None,
            is_optional: true,
        });
        redis.into_iter().collect()
    }
}

impl Actor for GatewayActor {
    type Msg = GatewayMessage;
    type State = GatewayState;
    type Arguments = GatewayState;

    async fn pre_start(
        &self,
        _myself: ActorRef<GatewayMessage>,
        state: GatewayState,
    ) -> Result<GatewayState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<GatewayMessage>,
        message: GatewayMessage,
        state: &mut GatewayState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            GatewayMessage::Drain { deadline, reply } => {
                // A second drain is answered at once; the first one goes on.
                let Some(server) = state.server.take() else {
                    let _ = reply.send(0);
                    return Ok(());
                };
                state.edge.admission.drain();
                state.edge.live.drain();
                tracing::info!(deadline_ms = deadline.as_millis() as u64, "gateway drains");
                let notice = state.notice;
                let live = state.edge.live.clone();
                let end = Instant::now() + deadline;
                // In a task of its own, so that the actor can be inspected meanwhile.
                tokio::spawn(async move {
                    let cut = server.drain(notice, deadline).await;
                    live.stop(end).await;
                    tracing::info!(cut, "gateway drained");
                    let _ = reply.send(cut);
                    myself.stop(None);
                });
            }
            GatewayMessage::Inspect(reply) => {
                let admission = &state.edge.admission;
                let _ = reply.send(GatewayStatus {
                    listen: state.local_address,
                    in_flight: admission.in_flight(),
                    in_flight_max: admission.in_flight_max(),
                    live_connections: state.edge.live.connections(),
                    draining: admission.is_draining(),
                });
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<GatewayMessage>,
        _event: SupervisionEvent,
        _state: &mut GatewayState,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; the default would stop it with any that it might be given.
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<GatewayMessage>,
        state: &mut GatewayState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(server) = &state.server {
            server.abort();
        }
        state.edge.live.abort();
        Ok(())
    }
}
