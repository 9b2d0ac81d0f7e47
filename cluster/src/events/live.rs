//! What happens, as it happens, for those who watch: no promise but speed.
//!
//! Every node with the role `gateway` hears of each public event as soon as it is committed, from the node
//! that owns the shard, and of signals that are never kept. What is missed is missed: a watcher that must
//! lack nothing reads an entity's history from the journal first, and again whenever it was too slow.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

use super::publisher::of_row;
use super::wishes::{self, Wish, Wishes};
use super::{Envelope, SealedEnvelope};
use crate::databases::Databases;
use crate::link::{Links, Recipients};
use crate::membership::{Membership, NodeId, View};
use crate::reference::ShardId;
use crate::runtime::Runtime;
use crate::store::JournalRow;
use crate::wire::{WireAnswer, WireWatch};

/// The role of the nodes that watch.
pub const WATCHER: &str = "gateway";
/// What a slow watcher may lag behind before it misses something.
pub const BUFFERED_MAX: usize = 8192;
/// The largest message to another node, before its last event.
const MESSAGE_BYTES: usize = 64 * 1024;
/// The largest signal.
pub const SIGNAL_BYTES_MAX: usize = 4 * 1024;

/// Batches of rows that may wait to be looked at.
const BATCHES_MAX: usize = 256;

/// The first byte of a notice that carries live messages.
const TAG: u8 = b'l';

/// Something that has just happened.
#[derive(Clone, Debug)]
pub enum Live {
    /// A public event has been committed. Its `previous` is here the row of the same entity before it, public or
    /// not; 0 for the first.
    Event(Arc<Envelope>),
    /// Something that is never kept, such as a rider's position.
    Signal(Arc<Signal>),
    /// From now on every node tells what somebody here has begun to watch. What was committed before may have been
    /// missed.
    Listening,
}

/// What happens from now on. See [`Live`].
#[derive(Debug)]
pub struct Watch {
    live: broadcast::Receiver<Live>,
    _wish: Option<Wish>,
}

impl Watch {
    /// Of what a test sends.
    pub fn of(live: broadcast::Receiver<Live>) -> Self {
        Self { live, _wish: None }
    }

    /// The next that happens. There may be more than was asked for, when others here watch something else.
    ///
    /// # Errors
    /// When this watcher was too slow, by how much; when the node is gone.
    pub async fn recv(&mut self) -> Result<Live, RecvError> {
        self.live.recv().await
    }
}

/// See [`Live::Signal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// What it is about, such as `rider/r-1`.
    pub topic: String,
    /// What it says, JSON.
    pub body: String,
}

#[derive(Serialize, Deserialize)]
enum Message {
    Events(Vec<Envelope>),
    Signal(Signal),
}

/// Spreads what happens to the watchers on this node and on others.
pub(crate) struct Spread {
    here: broadcast::Sender<Live>,
    committed: mpsc::Sender<Vec<(&'static str, JournalRow)>>,
    wishes: Arc<Wishes>,
    links: OnceLock<Arc<Links>>,
}

/// Rows that wait to be spread, until [`Spread::start`].
pub(crate) struct Unspread(mpsc::Receiver<Vec<(&'static str, JournalRow)>>);

impl Spread {
    /// Of a program with these services. The journals tell it what they commit.
    pub(crate) fn new(services: Vec<&'static str>) -> (Arc<Self>, Unspread) {
        let (committed, rows) = mpsc::channel(BATCHES_MAX);
        let (here, _) = broadcast::channel(BUFFERED_MAX);
        let spread = Self { here, committed, wishes: Wishes::new(services), links: OnceLock::new() };
        (Arc::new(spread), Unspread(rows))
    }

    /// Starts the task that makes events of rows. It ends with the last sender, which the journal's lanes hold.
    pub(crate) fn start(self: &Arc<Self>, rows: Unspread, runtime: Arc<Runtime>, databases: Arc<Databases>) {
        tokio::spawn(spread_rows(rows.0, Arc::downgrade(self), runtime, databases));
    }

    /// Takes rows that have just been committed. What nobody watches, and what comes when too many wait, is neither
    /// copied nor looked at.
    pub(crate) fn committed(&self, rows: &[(&'static str, JournalRow)]) {
        if self.wishes.is_none() {
            return;
        }
        let wanted = rows.chunk_by(|(one, _), (other, _)| one == other).filter(|same| self.wishes.any(same[0].0));
        let mut wanted = wanted.peekable();
        // Full means that watchers miss something; they see a gap in the entity's rows.
        if wanted.peek().is_some()
            && let Ok(place) = self.committed.try_reserve()
        {
            place.send(wanted.flatten().cloned().collect());
        }
    }

    /// Called once, when the links stand: from then on other nodes are told as well.
    pub(crate) fn connect(self: &Arc<Self>, links: Arc<Links>, membership: &Membership) {
        if self.links.set(links).is_err() {
            tracing::error!("the links were set twice");
            return;
        }
        let mut views = membership.view();
        let own = membership.node().clone();
        self.wishes.follow(&watchers(&views.borrow_and_update(), &own));
        tokio::spawn(wishes::tell(Arc::downgrade(self), Arc::clone(&self.wishes), views.clone(), own.clone()));
        tokio::spawn(follow_views(views, own, Arc::downgrade(self)));
    }

    /// From now on everything that reaches this node; of events those of some services, or all.
    pub(crate) fn watch(&self, services: Option<&[&str]>) -> Watch {
        let live = self.here.subscribe();
        Watch { live, _wish: Some(self.wishes.add(services)) }
    }

    /// Another gateway tells what is watched there.
    pub(crate) fn told(&self, from: &NodeId, watch: &WireWatch) -> WireAnswer {
        self.wishes.told(from, watch);
        WireAnswer::Done
    }

    pub(super) fn links(&self) -> Option<&Arc<Links>> {
        self.links.get()
    }

    /// Every node knows what is watched here.
    pub(super) fn listening(&self) {
        // Whoever watched may have gone.
        let _ = self.here.send(Live::Listening);
    }

    fn events(&self, events: &[Envelope]) {
        self.here_events(events.iter().cloned());
        let of_services: Vec<&[Envelope]> = events.chunk_by(|one, other| one.service == other.service).collect();
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (place, same) in of_services.iter().enumerate() {
            for node in self.wishes.others(&same[0].service) {
                by_node.entry(node).or_default().push(place);
            }
        }
        // Those that want the same are told the same.
        let mut by_places: BTreeMap<Vec<usize>, Vec<NodeId>> = BTreeMap::new();
        for (node, places) in by_node {
            by_places.entry(places).or_default().push(node);
        }
        for (places, nodes) in by_places {
            self.send_events(&nodes, places.into_iter().flat_map(|place| of_services[place]));
        }
    }

    fn send_events<'a>(&self, nodes: &[NodeId], events: impl Iterator<Item = &'a Envelope>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for event in events {
            bytes += 512 + event.data.as_object().map_or(0, |data| data.len() * 64);
            batch.push(event.clone());
            if bytes >= MESSAGE_BYTES {
                self.send(nodes, &Message::Events(std::mem::take(&mut batch)));
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.send(nodes, &Message::Events(batch));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if signal.body.len() + signal.topic.len() > SIGNAL_BYTES_MAX {
            tracing::warn!(topic = signal.topic, "a signal is too large and is dropped");
            return;
        }
        let nodes = self.wishes.all_others();
        if !nodes.is_empty() {
            self.send(&nodes, &Message::Signal(signal.clone()));
        }
        // Nobody here may be watching.
        let _ = self.here.send(Live::Signal(Arc::new(signal)));
    }

    /// Takes a notice of another node; false when it is something else.
    pub(crate) fn take(&self, notice: &[u8]) -> bool {
        let Some((&TAG, body)) = notice.split_first() else { return false };
        match serde_json::from_slice(body) {
            Ok(Message::Events(events)) => self.here_events(events),
            Ok(Message::Signal(signal)) => {
                let _ = self.here.send(Live::Signal(Arc::new(signal)));
            }
            Err(error) => tracing::warn!(%error, "a live message can't be read"),
        }
        true
    }

    fn here_events(&self, events: impl IntoIterator<Item = Envelope>) {
        if self.here.receiver_count() > 0 {
            for event in events {
                let _ = self.here.send(Live::Event(Arc::new(event)));
            }
        }
    }

    fn send(&self, nodes: &[NodeId], message: &Message) {
        let Some(links) = self.links.get() else { return };
        let mut notice = BytesMut::new().writer();
        notice.get_mut().put_u8(TAG);
        if let Err(error) = serde_json::to_writer(&mut notice, message) {
            tracing::error!(%error, "a live message can't be written");
            return;
        }
        let notice: Bytes = notice.into_inner().freeze();
        for node in nodes {
            links.notice(Recipients::One(node), notice.clone());
        }
    }
}

/// The other nodes that watch.
fn watchers(view: &View, own: &NodeId) -> Vec<NodeId> {
    let watching = view.live().filter(|member| member.roles.contains(WATCHER) && member.node != *own);
    watching.map(|member| member.node.clone()).collect()
}

/// It ends with the membership, or with the last one who spreads.
async fn follow_views(mut views: watch::Receiver<Arc<View>>, own: NodeId, spread: Weak<Spread>) {
    while views.changed().await.is_ok() {
        let Some(spread) = spread.upgrade() else { return };
        let view = Arc::clone(&views.borrow_and_update());
        spread.wishes.follow(&watchers(&view, &own));
    }
}

async fn spread_rows(
    mut rows: mpsc::Receiver<Vec<(&'static str, JournalRow)>>,
    spread: Weak<Spread>,
    runtime: Arc<Runtime>,
    databases: Arc<Databases>,
) {
    while let Some(batch) = rows.recv().await {
        let Some(spread) = spread.upgrade() else { return };
        let events: Vec<Envelope> = batch
            .iter()
            .filter_map(|(service, row)| {
                let shard = ShardId { service, number: row.shard };
                of_row(&runtime, &databases, shard, row, row.previous_seq).map(SealedEnvelope::opened)
            })
            .collect();
        spread.events(&events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Member, Roles};

    #[test]
    fn other_gateways_watch_while_they_live() {
        let (own, gateway, worker) = (NodeId::new("a", 1), NodeId::new("b", 1), NodeId::new("c", 1));
        let member = |node: &NodeId, role| Member::joining(node.clone(), Roles::new([role]), "127.0.0.1:7946", 1);
        let view = View::empty("test").join(&member(&own, WATCHER), 0).expect("founded");
        assert!(watchers(&view, &own).is_empty(), "its own watchers need no link");
        let view = view.join(&member(&gateway, WATCHER), 0).expect("joined");
        let view = view.join(&member(&worker, "order"), 0).expect("joined");
        assert_eq!(watchers(&view, &own), std::slice::from_ref(&gateway));
        let view = view.down(&gateway, 1).expect("joining");
        assert!(watchers(&view, &own).is_empty());
    }
}
