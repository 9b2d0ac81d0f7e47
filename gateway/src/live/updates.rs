//! What all live connections of a gateway share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nakku_cluster::Cluster;
use prometheus::IntGauge;
use tokio::sync::watch;
use tokio::time::Instant;

use super::arbiters::Arbiters;
use super::hub::Hub;
use crate::admission::RETRY_AFTER;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem};

/// Connections are told to go elsewhere within this time, so that they don't all arrive there at once.
const GOING_MAX: Duration = Duration::from_millis(500);
/// How often it is looked whether all have gone.
const GONE_LOOK: Duration = Duration::from_millis(10);

/// What live connections may take.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    /// How many may be open; one more is answered 503. Default 10,000.
    pub connections_max: usize,
    /// Messages that may wait for one client; with one more it is too slow and is dropped. Default 256.
    pub queue_max: usize,
    /// How often a WebSocket client is asked whether it is there, and a stream is sent a comment. A WebSocket
    /// client that was silent for [`SILENCES_MAX`] times as long is dropped. Default 15 s.
    pub heartbeat: Duration,
}

/// Dead after 40 s of silence, with the default heartbeat.
pub const SILENCES_MAX: f64 = 8.0 / 3.0;

impl Default for LiveSettings {
    fn default() -> Self {
        Self { connections_max: 10_000, queue_max: 256, heartbeat: Duration::from_secs(15) }
    }
}

/// See the module.
#[derive(Debug)]
pub struct LiveUpdates {
    settings: LiveSettings,
    hub: Arc<Hub>,
    connections: AtomicUsize,
    going: watch::Sender<bool>,
    /// Started with the first WebSocket.
    arbiters: Mutex<Option<Arbiters>>,
}

/// The right to be connected; given back when dropped.
#[derive(Debug)]
pub struct Connected {
    updates: Arc<LiveUpdates>,
    open: IntGauge,
}

impl LiveUpdates {
    /// Of a gateway on this node.
    pub fn new(cluster: Cluster, settings: LiveSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            hub: Hub::new(cluster),
            connections: AtomicUsize::new(0),
            going: watch::channel(false).0,
            arbiters: Mutex::new(None),
        })
    }

    /// As given.
    pub fn settings(&self) -> &LiveSettings {
        &self.settings
    }

    /// Where subscribers hear of things.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// Overloaded when there are too many; unavailable when this gateway is going.
    pub fn connect(self: &Arc<Self>, transport: &'static str) -> Result<Connected, Problem> {
        if *self.going.borrow() {
            return Err(going());
        }
        let room = |now: usize| (now < self.settings.connections_max).then_some(now + 1);
        if self.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_err() {
            METRICS.requests_refused.inc();
            let problem = Problem::new(Code::Overloaded, "too many live connections are open");
            return Err(problem.retry_after(RETRY_AFTER));
        }
        let open = METRICS.live_connections.with_label_values(&[transport]);
        open.inc();
        Ok(Connected { updates: self.clone(), open })
    }

    /// Runs something on an arbiter's thread, where actix actors can be created; false when there is none any
    /// more.
    ///
    /// # Errors
    /// Internal when the threads can't be started.
    pub(super) fn on_arbiter(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
        let mut arbiters = self.arbiters.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match &mut *arbiters {
            Some(running) => running,
            None if *self.going.borrow() => return Err(going()),
            none => none.insert(Arbiters::start().map_err(|error| {
                tracing::error!(%error, "the threads of live connections don't start");
                Problem::new(Code::Internal, "live connections can't be served")
            })?),
        };
        if running.run(work) { Ok(()) } else { Err(going()) }
    }

    /// Resolves when this connection should go elsewhere.
    pub(super) fn going(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut going = self.going.subscribe();
        async move {
            // An error says that the gateway is gone.
            let _ = going.wait_for(|going| *going).await;
            let pause = GOING_MAX.mul_f64(rand::random_range(0.0..1.0));
            tokio::time::sleep(pause).await;
        }
    }

    /// Tells all connections to go elsewhere and lets no more in.
    pub fn drain(&self) {
        self.going.send_replace(true);
    }

    /// Waits until all have gone, until the deadline at most, and stops the threads.
    pub async fn stop(&self, deadline: Instant) {
        self.drain();
        while self.connections() > 0 && Instant::now() < deadline {
            tokio::time::sleep(GONE_LOOK).await;
        }
        self.abort();
    }

    /// Stops the threads, and with them what is still connected by WebSocket.
    pub fn abort(&self) {
        self.drain();
        if let Some(arbiters) = self.arbiters.lock().unwrap_or_else(PoisonError::into_inner).take() {
            arbiters.stop();
        }
    }
}

/// What is said to whom comes too late.
pub(super) fn going() -> Problem {
    Problem::new(Code::Unavailable, "this gateway is going, connect again").retry_after(RETRY_AFTER)
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.updates.connections.fetch_sub(1, Ordering::AcqRel);
        self.open.dec();
    }
}
