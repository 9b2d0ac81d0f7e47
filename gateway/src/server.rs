//! One HTTP listener: accepts, bounds connections, and drains without failing a request.
//!
//! Draining goes through [`Phase`]s: every answer closes its connection while new ones are still accepted,
//! then the listener goes after its queue in the kernel has been emptied, then idle connections are closed
//! and busy ones finish, and what is left at the deadline is cut.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Version};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use nakku_cluster::outage::Outage;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tower::ServiceExt;

/// Pause after an accept failed because the process or machine is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections that were accepted last may take to send their request before idle ones are closed.
const LINGER: Duration = Duration::from_millis(250);
/// Requests that an HTTP/2 connection may have in progress.
const STREAMS_MAX: u32 = 128;
/// The largest header of a request, in bytes.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Time to send the header of a request, also the life of an idle connection.
    pub header_timeout: Duration,
}

/// Whom a request's connection comes from, in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Where a listener is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// As usual.
    Serving,
    /// Still accepting; every answer closes its connection.
    Noticing,
    /// No longer accepting; connections that are open still take a request.
    Finishing,
    /// Idle connections are closed, busy ones finish.
    Closing,
    /// Whatever is left is cut.
    Cutting,
}

/// A running listener.
#[derive(Debug)]
pub struct Server {
    local_address: SocketAddr,
    phase: watch::Sender<Phase>,
    task: JoinHandle<usize>,
}

impl Server {
    /// Binds and begins to accept. `routes` may be wrapped; the server adds only what draining needs.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(listen: SocketAddr, limits: ServerLimits, routes: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let local_address = listener.local_addr()?;
        let (phase, observed) = watch::channel(Phase::Serving);
        let routes = routes.layer(middleware::from_fn_with_state(observed.clone(), close_while_draining));
        let task = tokio::spawn(accept_all(listener, limits, routes, observed));
        Ok(Self { local_address, phase, task })
    }

    /// The address that it listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Accepts for `notice` longer, then finishes what is open, and cuts the rest at `deadline` (both from
    /// now). Returns how many connections had to be cut.
    pub async fn drain(self, notice: Duration, deadline: Duration) -> usize {
        let Self { phase, mut task, .. } = self;
        let end = Instant::now() + deadline;
        phase.send_replace(Phase::Noticing);
        tokio::time::sleep_until((Instant::now() + notice).min(end)).await;
        for (next, pause) in [(Phase::Finishing, LINGER), (Phase::Closing, deadline)] {
            phase.send_replace(next);
            let until = (Instant::now() + pause).min(end);
            if let Ok(cut) = tokio::time::timeout_at(until, &mut task).await {
                return cut.unwrap_or_default();
            }
        }
        phase.send_replace(Phase::Cutting);
        task.await.unwrap_or_default()
    }

    /// Closes everything at once.
    pub fn abort(&self) {
        self.phase.send_replace(Phase::Cutting);
    }
}

/// The accept loop; returns how many connections were cut.
async fn accept_all(
    listener: TcpListener,
    limits: ServerLimits,
    routes: Router,
    mut phase: watch::Receiver<Phase>,
) -> usize {
    let mut connections = JoinSet::new();
    let accepting = Outage::default();
    let observed = phase.clone();
    let open = |connections: &mut JoinSet<bool>, stream: TcpStream, peer: SocketAddr| {
        connections.spawn(serve(stream, Peer(peer.ip()), limits, routes.clone(), observed.clone()));
    };
    loop {
        tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Finishing) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections_max => match accepted {
                Ok((stream, peer)) => {
                    if let Some(told) = accepting.works() {
                        tracing::info!(
                            failures = told.failures,
                            lasted_ms = told.lasted_ms,
                            "connections are accepted again"
                        );
                    }
                    open(&mut connections, stream, peer);
                }
                Err(error) => {
                    if let Some(told) = accepting.failed() {
                        tracing::warn!(%error, failures = told.failures, lasted_ms = told.lasted_ms, "accept failed");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    // Clients in the kernel's queue believe that they are connected: closing it over them would reset them.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                open(&mut connections, stream, peer);
            }
        }
    }
    let mut cut = 0;
    while let Some(ended) = connections.join_next().await {
        cut += usize::from(ended.unwrap_or(false));
    }
    cut
}

/// Waits for a phase, or for the server's handle to be gone.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    let _ = phase.wait_for(|now| *now >= wanted).await;
}

/// One connection; true when it had to be cut.
async fn serve(
    stream: TcpStream,
    peer: Peer,
    limits: ServerLimits,
    routes: Router,
    mut phase: watch::Receiver<Phase>,
) -> bool {
    let _ = stream.set_nodelay(true);
    let begun = Arc::new(AtomicBool::new(false));
    let noted = begun.clone();
    let service = TowerToHyperService::new(routes.map_request(move |mut request: Request<_>| {
        noted.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        request
    }));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(limits.header_timeout);
    let mut connection =
        std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned());
    // hyper times a header only once it knows the protocol's version; a silent peer never tells it.
    let mut silence = std::pin::pin!(tokio::time::sleep(limits.header_timeout));
    let mut timing = true;
    let mut watching = true;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return false,
            () = silence.as_mut(), if timing => {
                timing = false;
                if !begun.load(Ordering::Relaxed) {
                    return false;
                }
            }
            changed = phase.changed(), if watching => {
                watching = changed.is_ok();
                let now = *phase.borrow_and_update();
                if now == Phase::Cutting {
                    return true;
                }
                if now == Phase::Closing {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn close_while_draining(State(phase): State<watch::Receiver<Phase>>, request: Request, next: Next) -> Response {
    let closes = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if closes && *phase.borrow() > Phase::Serving {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
