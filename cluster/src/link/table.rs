//! What everything that belongs to the links of a node shares: who is listed, and which links there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Notify, broadcast};

use super::connection::Connection;
use super::hello::HelloRefusal;
use super::links::PeerStatus;
use super::settings::{LinkSettings, Peer};
use crate::membership::NodeId;
use crate::metrics;

/// How many lost links a slow reader of the suspicions may fall behind.
const SUSPICIONS_KEPT: usize = 256;

/// Shared by the links' actors and tasks.
pub struct Table {
    /// What the links are set up with.
    pub settings: LinkSettings,
    /// Nodes whose ready link was lost.
    pub suspicions: broadcast::Sender<NodeId>,
    /// Those who wait before they dial again wake up.
    pub peers_changed: Notify,
    listed: Mutex<BTreeMap<NodeId, Listed>>,
    by_node: RwLock<HashMap<NodeId, Arc<Connection>>>,
    by_link: RwLock<HashMap<u64, Arc<Connection>>>,
    numbers: AtomicU64,
    stopping: AtomicBool,
}

struct Listed {
    address: String,
    since: Instant,
}

impl Table {
    /// Without peers.
    pub fn new(settings: LinkSettings) -> Self {
        Self {
            settings,
            suspicions: broadcast::channel(SUSPICIONS_KEPT).0,
            peers_changed: Notify::new(),
            listed: Mutex::default(),
            by_node: RwLock::default(),
            by_link: RwLock::default(),
            numbers: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
        }
    }

    /// Replaces who is listed. What calls itself like this node is this node or a former life of it.
    pub fn list(&self, peers: Vec<Peer>) {
        let own_name = &self.settings.node.name;
        let mut listed = self.listed();
        let mut before = std::mem::take(&mut *listed);
        for peer in peers.into_iter().filter(|peer| peer.node.name != *own_name) {
            let since = before.remove(&peer.node).map_or_else(Instant::now, |known| known.since);
            listed.insert(peer.node, Listed { address: peer.address, since });
        }
        drop(listed);
        self.peers_changed.notify_waiters();
    }

    /// Who is listed, and where.
    pub fn peers(&self) -> Vec<Peer> {
        let listed = self.listed();
        listed.iter().map(|(node, listed)| Peer { node: node.clone(), address: listed.address.clone() }).collect()
    }

    /// Whether this life of the node is listed.
    pub fn is_listed(&self, node: &NodeId) -> bool {
        self.listed().contains_key(node)
    }

    /// Whether a node that dials may be let in.
    ///
    /// # Errors
    /// Why not.
    pub fn check_listed(&self, node: &NodeId) -> Result<(), HelloRefusal> {
        let listed = self.listed();
        if listed.contains_key(node) {
            return Ok(());
        }
        match listed.keys().filter(|known| known.name == node.name).map(|known| known.generation).max() {
            Some(known) if known > node.generation => Err(HelloRefusal::StaleGeneration { known }),
            _ => Err(HelloRefusal::NotListed),
        }
    }

    /// All listed peers with what is known of their links.
    pub fn statuses(&self) -> Vec<PeerStatus> {
        let listed = self.listed();
        let status = |(node, listed): (&NodeId, &Listed)| {
            let connection = self.ready(node);
            let taken = connection.as_ref().map(|connection| connection.credits.taken());
            PeerStatus {
                node: node.clone(),
                address: listed.address.clone(),
                connected: connection.is_some(),
                round_trip: connection.and_then(|connection| connection.last_round_trip()),
                in_flight: taken.map_or(0, |taken| taken.count),
                in_flight_bytes: taken.map_or(0, |taken| taken.bytes),
                since: listed.since,
            }
        };
        listed.iter().map(status).collect()
    }

    /// A number for a new connection.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// From now on messages on this link are known, though requests are not yet sent on it.
    pub fn connected(&self, connection: &Arc<Connection>) {
        let mut by_link = self.by_link.write().unwrap_or_else(PoisonError::into_inner);
        by_link.insert(connection.link, connection.clone());
    }

    /// From now on requests to the node go over this link.
    pub fn opened(&self, connection: &Arc<Connection>) {
        let mut by_node = self.by_node.write().unwrap_or_else(PoisonError::into_inner);
        by_node.insert(connection.peer.clone(), connection.clone());
        metrics::links_ready(by_node.len());
        drop(by_node);
        self.changed(&connection.peer);
    }

    /// No more requests go over this link; whether any did. Answers still travel.
    pub fn closed_to_requests(&self, connection: &Connection) -> bool {
        let mut by_node = self.by_node.write().unwrap_or_else(PoisonError::into_inner);
        let was_open = by_node.get(&connection.peer).is_some_and(|open| open.number == connection.number);
        if was_open {
            by_node.remove(&connection.peer);
            metrics::links_ready(by_node.len());
            drop(by_node);
            self.changed(&connection.peer);
        }
        was_open
    }

    /// Messages on this link are strays from now on.
    pub fn disconnected(&self, connection: &Connection) {
        self.by_link.write().unwrap_or_else(PoisonError::into_inner).remove(&connection.link);
    }

    /// The link to send requests on.
    pub fn ready(&self, node: &NodeId) -> Option<Arc<Connection>> {
        self.by_node.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }

    /// All links to send requests on.
    pub fn all_ready(&self) -> Vec<Arc<Connection>> {
        self.by_node.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The link that a message names.
    pub fn by_link(&self, link: u64) -> Option<Arc<Connection>> {
        self.by_link.read().unwrap_or_else(PoisonError::into_inner).get(&link).cloned()
    }

    /// All links.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.by_link.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// From now on neither requests of ours nor of others are taken; whether that is new.
    pub fn stop(&self) -> bool {
        !self.stopping.swap(true, Ordering::AcqRel)
    }

    /// Whether this node is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn changed(&self, node: &NodeId) {
        if let Some(listed) = self.listed().get_mut(node) {
            listed.since = Instant::now();
        }
    }

    fn listed(&self) -> MutexGuard<'_, BTreeMap<NodeId, Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
