//! A node's membership as the rest of the process sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ractor::{ActorCell, ActorRef};
use tokio::sync::{oneshot, watch};

use crate::store::ClusterStore;
use crate::time::BootTime;

use super::agent::{AgentMessage, Change};
use super::error::MembershipError;
use super::join;
use super::observer::Seen;
use super::settings::MembershipSettings;
use super::view::{NodeId, Pin, View};

/// A node's place in the cluster. Cheap to clone; the agent behind it lives until [`leave`](Self::leave) or
/// [`abandon`](Self::abandon).
#[derive(Clone)]
pub struct Membership {
    pub(super) shared: Arc<Shared>,
    pub(super) agent: ActorRef<AgentMessage>,
}

/// How the cluster database was when it was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHealth {
    /// Whether the last round with it succeeded.
    pub up: bool,
    /// How long that took, in microseconds.
    pub latency_us: u64,
    /// What it said when it failed.
    pub error: Option<String>,
}

impl Membership {
    /// Begins a new life of a node: takes the next generation, writes its first lease row, and founds the
    /// view or joins it as `joining`. An older life of the same name is over from then on. The tables must
    /// be there ([`ClusterStore::migrate_cluster`]).
    ///
    /// # Errors
    /// When the settings are wrong, the database belongs to another cluster, the cluster needs a newer
    /// version, or the database stays away.
    pub async fn join(store: Arc<dyn ClusterStore>, settings: MembershipSettings) -> Result<Self, MembershipError> {
        join::join(store, settings).await
    }

    /// This life of this node.
    pub fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// The newest view that this node knows.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.shared.view.subscribe()
    }

    /// Whether this node's last renewal still holds, by the boot-time clock and counted from before it was
    /// sent. While it does, no other node answers reads of what this node's newest view gives to it.
    /// Without it the node proves by a journal row that a shard is still its own. Costs a clock reading.
    pub fn lease_valid(&self) -> bool {
        let until = self.shared.lease_until_us.load(Ordering::Acquire);
        self.shared.since_start_us(BootTime::now()) < until
    }

    /// Says that everything that this view and all before it take from the node has been stopped and
    /// flushed. Comes back once others can see it; if the cluster database does not take it in time, a later
    /// renewal carries it.
    pub async fn acknowledge(&self, version: u64) {
        self.shared.acknowledged.fetch_max(version, Ordering::AcqRel);
        let mut written = self.shared.acknowledged_written.subscribe();
        if *written.borrow_and_update() >= version {
            return;
        }
        self.poke();
        let in_time = self.shared.settings.store_timeout() + self.shared.settings.renew;
        // Whether it was in time or the agent has ended, there is nothing to add.
        let _ = tokio::time::timeout(in_time, written.wait_for(|written| *written >= version)).await;
    }

    /// The highest view version such that nobody serves any more what that view, or one before it, took
    /// away: each member has acknowledged it, or is down and its lease has run out.
    pub fn all_acknowledged(&self) -> watch::Receiver<u64> {
        self.shared.all_acknowledged.subscribe()
    }

    /// The node is ready to own shards. Returns the view in which it is.
    ///
    /// # Errors
    /// When the node is down or the cluster database is away; then nothing is known of whether it happened,
    /// and it may be tried again.
    pub async fn set_up(&self) -> Result<u64, MembershipError> {
        self.change(Change::Up).await
    }

    /// The node gives all its shards away. Returns the view in which it owns nothing any more.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub async fn drain(&self) -> Result<u64, MembershipError> {
        self.change(Change::Drain).await
    }

    /// The node ends its life, having stopped serving and flushed everything; its lease is given up first.
    ///
    /// # Errors
    /// When the cluster database is away. The others then wait for the lease to run out.
    pub async fn leave(&self) -> Result<(), MembershipError> {
        self.change(Change::Leave).await.map(|_| ())
    }

    /// Puts a shard on a node by hand, or gives it back to placement. Returns the view in which it is so.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub async fn pin(&self, service: &str, shard: u32, node: Option<&str>) -> Result<u64, MembershipError> {
        self.change(Change::Pin { service: service.to_owned(), shard, node: node.map(str::to_owned) }).await
    }

    /// Pauses rebalancing: these shards stay where they are. Returns the view in which it is so.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub async fn pause(&self, owners: Vec<Pin>) -> Result<u64, MembershipError> {
        self.change(Change::Pause(owners)).await
    }

    /// Ends a pause. Returns the view in which it is so.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub async fn resume(&self) -> Result<u64, MembershipError> {
        self.change(Change::Resume).await
    }

    /// Takes all shards from a node, by name, that stays up, or lets it have some again. Returns the view in which it
    /// is so.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub async fn cordon(&self, node: &str, is_cordoned: bool) -> Result<u64, MembershipError> {
        self.change(Change::Cordon { node: node.to_owned(), is_cordoned }).await
    }

    /// Looks now: a peer says that the view has changed, or a link was lost.
    pub fn poke(&self) {
        if !self.shared.poked.swap(true, Ordering::AcqRel) {
            // An agent that has stopped has nothing to look at.
            let _ = self.agent.cast(AgentMessage::Round);
        }
    }

    /// A peer says that it has acknowledged a view: looks now, if that is waited for here.
    pub fn poke_if_waiting(&self) {
        if *self.shared.all_acknowledged.borrow() < self.shared.view.borrow().version {
            self.poke();
        }
    }

    /// For how long a node's lease has stood still, as seen from here, in milliseconds.
    pub fn silent_ms(&self, node: &NodeId) -> u64 {
        let silent = self.shared.seen().get(node).map_or(0, |seen| seen.since.elapsed().as_millis());
        u64::try_from(silent).unwrap_or(u64::MAX)
    }

    /// The newest view that a node has acknowledged, as seen from here.
    pub fn acknowledged_version(&self, node: &NodeId) -> u64 {
        self.shared.seen().get(node).map_or(0, |seen| seen.acknowledged_version)
    }

    /// Resolves when this life of the node is over though it did not leave: the process must stop serving
    /// and begin a new one.
    pub async fn declared_down(&self) {
        let mut declared = self.shared.declared_down.subscribe();
        // The sender lives as long as this handle.
        let _ = declared.wait_for(|down| *down).await;
    }

    /// Whether this life of the node is over though it did not leave.
    pub fn is_declared_down(&self) -> bool {
        *self.shared.declared_down.borrow()
    }

    /// Whether the last round with the cluster database succeeded.
    pub fn store_reachable(&self) -> bool {
        self.shared.health.borrow().up
    }

    /// How the cluster database was when it was last used.
    pub fn store_health(&self) -> StoreHealth {
        self.shared.health.borrow().clone()
    }

    /// Stops the agent without a word; the others notice when the lease has run out.
    pub fn abandon(&self) {
        self.shared.give_up_lease();
        self.shared.ended.store(true, Ordering::Release);
        self.agent.stop(None);
    }

    /// The agent, for supervision and inspection.
    pub fn cell(&self) -> ActorCell {
        self.agent.get_cell()
    }

    async fn change(&self, change: Change) -> Result<u64, MembershipError> {
        let (reply, answer) = oneshot::channel();
        self.agent.cast(AgentMessage::Change(change, reply)).map_err(|_| MembershipError::Stopped)?;
        answer.await.map_err(|_| MembershipError::Stopped)?
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("node", &self.shared.node).finish_non_exhaustive()
    }
}

/// What agent and handle both hold.
pub(super) struct Shared {
    pub node: NodeId,
    pub settings: MembershipSettings,
    started: BootTime,
    /// Microseconds after `started`; 0 when there is no lease.
    lease_until_us: AtomicU64,
    /// No lease is taken any more.
    pub ended: AtomicBool,
    pub acknowledged: AtomicU64,
    pub acknowledged_written: watch::Sender<u64>,
    pub poked: AtomicBool,
    pub view: watch::Sender<Arc<View>>,
    pub all_acknowledged: watch::Sender<u64>,
    pub declared_down: watch::Sender<bool>,
    pub health: watch::Sender<StoreHealth>,
    seen: RwLock<Arc<BTreeMap<NodeId, Seen>>>,
}

impl Shared {
    pub fn new(node: NodeId, settings: MembershipSettings, view: View) -> Self {
        Self {
            node,
            settings,
            started: BootTime::now(),
            lease_until_us: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            acknowledged_written: watch::Sender::new(0),
            poked: AtomicBool::new(false),
            view: watch::Sender::new(Arc::new(view)),
            all_acknowledged: watch::Sender::new(0),
            declared_down: watch::Sender::new(false),
            health: watch::Sender::new(StoreHealth { up: true, latency_us: 0, error: None }),
            seen: RwLock::default(),
        }
    }

    /// A renewal that was sent then has been confirmed.
    pub fn extend_lease(&self, sent: BootTime) {
        if !self.ended.load(Ordering::Acquire) {
            let until = self.since_start_us(sent.plus(self.settings.lease));
            self.lease_until_us.fetch_max(until, Ordering::AcqRel);
        }
    }

    /// The node holds no lease from now on.
    pub fn give_up_lease(&self) {
        self.ended.store(true, Ordering::Release);
        self.lease_until_us.store(0, Ordering::Release);
    }

    pub fn publish_seen(&self, seen: &BTreeMap<NodeId, Seen>) {
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(seen.clone());
    }

    fn seen(&self) -> Arc<BTreeMap<NodeId, Seen>> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn since_start_us(&self, time: BootTime) -> u64 {
        u64::try_from(time.since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}
