//! The links of one node.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use ractor::{Actor, ActorRef};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::AbortHandle;

use super::accept::keep_accepting;
use super::error::{LinkError, LinkFailure};
use super::inbound::{Inbound, Request};
use super::settings::{
    CREDIT_BYTES_LIMIT, CREDIT_MESSAGES_LIMIT, LinkCredits, LinkSettings, MESSAGE_BYTES_LIMIT, Peer,
};
use super::supervisor::{LinkSupervisor, Message};
use super::table::Table;
use super::tls::Tls;
use super::wire::{ROUTE_BYTES, Route};
use crate::membership::NodeId;
use crate::metrics;

/// How long [`Links::stop`] waits for what is being answered.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it waits for each link's last round trip, and for the actors.
const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it looks whether everything is answered.
const ANSWERS_POLL: Duration = Duration::from_millis(5);
/// A link is spoken on so many times within the idle time-out.
const PINGS_PER_IDLE_TIMEOUT: u32 = 4;

/// ractor keeps its actors and groups per process, so there is one node in each.
static STARTED: AtomicBool = AtomicBool::new(false);

/// The links of this node to all others. One per life of a process; [`Links::stop`] ends them.
pub struct Links {
    table: Arc<Table>,
    address: SocketAddr,
    supervisor: ActorRef<Message>,
    accepting: AbortHandle,
    pinging: AbortHandle,
}

/// Who gets a notice.
#[derive(Clone, Copy, Debug)]
pub enum Recipients<'a> {
    /// Every node that there is a ready link to.
    All,
    /// One node.
    One(&'a NodeId),
}

/// A peer as seen from here.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Who.
    pub node: NodeId,
    /// Where it listens.
    pub address: String,
    /// Whether requests can be sent to it.
    pub connected: bool,
    /// The newest measurement through both nodes' actors.
    pub round_trip: Option<Duration>,
    /// Our requests that it has not answered.
    pub in_flight: u32,
    /// Their bytes.
    pub in_flight_bytes: u64,
    /// Since when it has been connected, or not.
    pub since: Instant,
}

impl Links {
    /// Starts listening. There are no links until [`Links::set_peers`] names peers.
    ///
    /// # Errors
    /// A [`LinkError`] when an address, a file or a setting can't be used, or when this process has had
    /// links before.
    pub async fn start(settings: LinkSettings, inbound: Arc<dyn Inbound>) -> Result<Arc<Links>, LinkError> {
        check(&settings)?;
        let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
        let listen = |source| LinkError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(LinkError::StartedBefore);
        }
        let table = Arc::new(Table::new(settings));
        let supervisor = LinkSupervisor { table: table.clone(), inbound, tls: tls.clone() };
        let (supervisor, _) =
            Actor::spawn(None, supervisor, ()).await.map_err(|error| LinkError::Actor(error.to_string()))?;
        let accepting = keep_accepting(listener, table.clone(), tls, supervisor.clone());
        let accepting = tokio::spawn(accepting).abort_handle();
        let pinging = tokio::spawn(keep_pinging(table.clone())).abort_handle();
        Ok(Arc::new(Links { table, address, supervisor, accepting, pinging }))
    }

    /// Where this node listens, with the port that it got.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Who this node holds links to from now on. Links to anyone else are closed; missing ones are dialed,
    /// and dialed again for as long as they are missing. This node itself may be among them.
    pub fn set_peers(&self, peers: Vec<Peer>) {
        self.table.list(peers);
        // Once the supervisor has stopped there are no links to change.
        let _ = self.supervisor.cast(Message::PeersChanged);
    }

    /// Sends a request and waits for its answer. Its credits are given back when the answer comes or the
    /// link closes, not when this gives up.
    ///
    /// # Errors
    /// A [`LinkFailure`], at once where nothing was sent.
    pub async fn request(&self, to: &NodeId, request: Request, deadline: Duration) -> Result<Bytes, LinkFailure> {
        let answer = self.request_uncounted(to, request, deadline).await;
        match &answer {
            Ok(_) => metrics::link_answered(),
            Err(failure) => metrics::link_failed(failure.as_word()),
        }
        answer
    }

    /// Sends a few bytes without an answer. It is dropped where there is no ready link or the peer lags.
    /// Returns how many nodes it was sent to.
    pub fn notice(&self, to: Recipients<'_>, notice: Bytes) -> usize {
        if notice.len() > self.table.settings.message_bytes_max {
            tracing::error!(bytes = notice.len(), "a notice is too large and is dropped");
            return 0;
        }
        let connections = match to {
            Recipients::All => self.table.all_ready(),
            Recipients::One(node) => self.table.ready(node).into_iter().collect(),
        };
        connections.iter().filter(|connection| connection.notice(notice.clone())).count()
    }

    /// All peers of [`Links::set_peers`] except this node.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.table.statuses()
    }

    /// Nodes whose ready link was lost while they were listed. A hint only: the view decides.
    pub fn suspicions(&self) -> broadcast::Receiver<NodeId> {
        self.table.suspicions.subscribe()
    }

    /// Takes no new work, finishes what is being answered, sees the answers through and closes everything.
    pub async fn stop(&self) {
        if !self.table.stop() {
            return;
        }
        self.accepting.abort();
        self.tell(Message::Leave, ROUND_TRIP_TIMEOUT).await;
        let unanswered = || {
            let connections = self.table.all();
            let of = |count: fn(&super::connection::Connection) -> u32| connections.iter().map(|one| count(one)).sum();
            let (serving, asking): (u32, u32) =
                (of(|one| one.serving.taken().count), of(|one| one.credits.taken().count));
            serving + asking
        };
        let begun = Instant::now();
        while unanswered() > 0 && begun.elapsed() < ANSWERS_TIMEOUT {
            tokio::time::sleep(ANSWERS_POLL).await;
        }
        // There is no flush: a ping that has come back went behind everything else.
        let connections = self.table.all();
        join_all(connections.iter().map(|connection| connection.round_trip(ROUND_TRIP_TIMEOUT))).await;
        self.pinging.abort();
        self.tell(Message::StopServer, ANSWERS_TIMEOUT).await;
        if self.supervisor.stop_and_wait(None, Some(ROUND_TRIP_TIMEOUT)).await.is_err() {
            tracing::warn!("the supervisor of the links did not stop in time");
        }
        tracing::info!(unanswered = unanswered(), "the links are closed");
    }

    /// Sends what a newer or broken version might: any kind, and any bytes where the header belongs.
    #[doc(hidden)]
    pub async fn request_raw(
        &self,
        to: &NodeId,
        kind: &str,
        header: &[u8],
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, LinkFailure> {
        let connection = self.table.ready(to).ok_or(LinkFailure::NotConnected)?;
        let metadata = |route: Route| {
            let mut metadata = route.start(header.len());
            metadata.extend_from_slice(header);
            metadata
        };
        connection.ask(kind.to_owned().into(), ROUTE_BYTES + header.len() + body.len(), body, deadline, metadata).await
    }

    async fn request_uncounted(&self, to: &NodeId, request: Request, deadline: Duration) -> Result<Bytes, LinkFailure> {
        let (bytes, bytes_max) = (request.header.len() + request.body.len(), self.table.settings.message_bytes_max);
        if bytes > bytes_max {
            return Err(LinkFailure::TooLarge { bytes, bytes_max });
        }
        if self.table.is_stopping() {
            return Err(LinkFailure::NotSent);
        }
        let connection = self.table.ready(to).ok_or(LinkFailure::NotConnected)?;
        connection.request(request, deadline).await
    }

    async fn tell(&self, message: impl FnOnce(oneshot::Sender<()>) -> Message, patience: Duration) {
        let (done, is_done) = oneshot::channel();
        if self.supervisor.cast(message(done)).is_err() || tokio::time::timeout(patience, is_done).await.is_err() {
            tracing::warn!("the supervisor of the links did not answer in time");
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.table.settings.node;
        f.debug_struct("Links").field("node", node).field("address", &self.address).finish_non_exhaustive()
    }
}

async fn keep_pinging(table: Arc<Table>) {
    let mut ticks = tokio::time::interval(table.settings.idle_timeout / PINGS_PER_IDLE_TIMEOUT);
    loop {
        ticks.tick().await;
        table.all().iter().for_each(|connection| connection.ping());
    }
}

fn check(settings: &LinkSettings) -> Result<(), LinkError> {
    let wrong = |setting, reason: String| Err(LinkError::Setting { setting, reason });
    let bytes_max = settings.message_bytes_max;
    if bytes_max == 0 || bytes_max > MESSAGE_BYTES_LIMIT {
        return wrong("message_bytes_max", format!("{bytes_max} is not from 1 to {MESSAGE_BYTES_LIMIT}"));
    }
    let LinkCredits { messages, bytes } = settings.credits;
    if !(1..=CREDIT_MESSAGES_LIMIT).contains(&messages) {
        return wrong("credits.messages", format!("{messages} is not from 1 to {CREDIT_MESSAGES_LIMIT}"));
    }
    let bytes_least = 2 * bytes_max as u64;
    if !(bytes_least..=CREDIT_BYTES_LIMIT).contains(&bytes) {
        let reason = format!("{bytes} is not from {bytes_least} (two messages) to {CREDIT_BYTES_LIMIT}");
        return wrong("credits.bytes", reason);
    }
    let timeouts = [
        ("connect_timeout", settings.connect_timeout),
        ("idle_timeout", settings.idle_timeout),
        ("write_timeout", settings.write_timeout),
    ];
    match timeouts.into_iter().find(|(_, timeout)| timeout.is_zero()) {
        Some((setting, _)) => wrong(setting, "it must not be zero".to_owned()),
        None => Ok(()),
    }
}
