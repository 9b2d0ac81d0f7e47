//! What happens, as it happens, for those who watch: no promise but speed.
//!
//! Every node with the role `gateway` hears of each public event as soon as it is committed, from the node
//! that owns the shard, and of signals that are never kept. What is missed is missed: a watcher that must
//! lack nothing reads an entity's history from the journal first, and again whenever it was too slow.

use std::sync::{Arc, OnceLock, Weak};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};

use super::Envelope;
use super::publisher::of_row;
use crate::databases::Databases;
use crate::link::{Links, Recipients};
use crate::membership::{Membership, NodeId};
use crate::reference::ShardId;
use crate::runtime::Runtime;
use crate::store::JournalRow;

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
    others: OnceLock<(Arc<Links>, Arc<Membership>)>,
}

impl Spread {
    /// Starts the task that makes events of rows.
    pub(crate) fn start(runtime: Arc<Runtime>, databases: Arc<Databases>) -> Arc<Self> {
        let (committed, rows) = mpsc::channel(BATCHES_MAX);
        let spread = Arc::new(Self { here: broadcast::channel(BUFFERED_MAX).0, committed, others: OnceLock::new() });
        // It ends with the last sender, which the journal's lanes hold.
        tokio::spawn(spread_rows(rows, Arc::downgrade(&spread), runtime, databases));
        spread
    }

    /// Takes rows that have just been committed. While nobody watches, and when too many wait, they are not
    /// looked at.
    pub(crate) fn committed(&self, rows: &[(&'static str, JournalRow)]) {
        if self.here.receiver_count() > 0 || !self.watching_nodes().is_empty() {
            // Full means that watchers miss something; they see a gap in the entity's rows.
            let _ = self.committed.try_send(rows.to_vec());
        }
    }

    /// Set once, when the links stand.
    pub(crate) fn connect(&self, links: Arc<Links>, membership: Arc<Membership>) {
        if self.others.set((links, membership)).is_err() {
            tracing::error!("the links were set twice");
        }
    }

    /// From now on everything that reaches this node.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Live> {
        self.here.subscribe()
    }

    fn events(&self, events: &[Envelope]) {
        self.here_events(events.iter().cloned());
        let nodes = self.watching_nodes();
        if nodes.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        for event in events {
            bytes += 512 + event.data.as_object().map_or(0, |data| data.len() * 64);
            batch.push(event.clone());
            if bytes >= MESSAGE_BYTES {
                self.send(&nodes, &Message::Events(std::mem::take(&mut batch)));
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.send(&nodes, &Message::Events(batch));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if signal.body.len() + signal.topic.len() > SIGNAL_BYTES_MAX {
            tracing::warn!(topic = signal.topic, "a signal is too large and is dropped");
            return;
        }
        let nodes = self.watching_nodes();
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

    fn watching_nodes(&self) -> Vec<NodeId> {
        let Some((_, membership)) = self.others.get() else { return Vec::new() };
        let view = membership.view().borrow().clone();
        let watching = view.live().filter(|member| member.roles.contains(WATCHER));
        watching.filter(|member| member.node != *membership.node()).map(|member| member.node.clone()).collect()
    }

    fn send(&self, nodes: &[NodeId], message: &Message) {
        let Some((links, _)) = self.others.get() else { return };
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
                of_row(&runtime, &databases, ShardId { service, number: row.shard }, row, row.previous_seq)
            })
            .collect();
        spread.events(&events);
    }
}
