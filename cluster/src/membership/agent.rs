//! The membership agent: the actor that keeps a node in the view and watches the others.
//!
//! A round renews the node's lease, then reads view and leases in one go. What follows from it (others that
//! have gone silent, a feature level that all support, lives to forget) is put into the view by
//! compare-and-swap; whoever loses a swap looks again. A failed round changes nothing and makes the
//! timing of the others begin anew, so that an outage of the database moves no shard.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::outage::Outage;
use crate::store::{ClusterRows, ClusterStore, StoreError};
use crate::time::BootTime;

use super::error::MembershipError;
use super::handle::{Membership, Shared, StoreHealth};
use super::join::parse;
use super::observer::Observer;
use super::view::{MemberState, NodeId, Pin, View};

/// Rounds that peers ask for are at least so far apart.
const POKE_GAP: Duration = Duration::from_millis(10);
/// A swap that others keep winning is given up after so many attempts; the caller tries again.
const SWAP_ATTEMPTS_MAX: usize = 64;

/// What the agent is told. At most one round is asked for at any time, and changes come one by one from
/// the process's own start and stop.
#[derive(RactorMessage)]
pub enum AgentMessage {
    /// Look now.
    Round,
    /// Change the view for this node.
    Change(Change, oneshot::Sender<Result<u64, MembershipError>>),
}

/// A change of the view that the node itself asks for.
#[derive(Clone, Debug)]
pub enum Change {
    /// See [`Membership::set_up`].
    Up,
    /// See [`Membership::drain`].
    Drain,
    /// See [`Membership::leave`].
    Leave,
    /// See [`Membership::pin`].
    Pin {
        /// The service.
        service: String,
        /// The shard.
        shard: u32,
        /// The node's name.
        node: Option<String>,
    },
    /// See [`Membership::pause`].
    Pause(Vec<Pin>),
    /// See [`Membership::resume`].
    Resume,
    /// See [`Membership::cordon`].
    Cordon {
        /// The node's name.
        node: String,
        /// Or gives it back.
        is_cordoned: bool,
    },
}

pub(super) async fn start(store: Arc<dyn ClusterStore>, shared: Shared) -> Result<Membership, MembershipError> {
    let shared = Arc::new(shared);
    let gap_max = shared.settings.lease / 2;
    let observer = Observer::new(shared.node.clone(), gap_max);
    let (timer, last_round, outage) = (None, BootTime::now(), Outage::default());
    let state = Agent { store, shared: Arc::clone(&shared), observer, timer, last_round, outage };
    tracing::info!(node = %shared.node, view_version = shared.view.borrow().version, "joined the cluster");
    let (agent, ended) = Actor::spawn(None, AgentActor, state).await.map_err(|_| MembershipError::Stopped)?;
    let watched = Arc::clone(&shared);
    tokio::spawn(async move {
        // Without its agent the node would never learn that it has been declared down.
        let _ = ended.await;
        if !watched.ended.load(Ordering::Acquire) {
            tracing::error!(node = %watched.node, "the membership agent has died");
            watched.give_up_lease();
            watched.declared_down.send_replace(true);
        }
    });
    Ok(Membership { shared, agent })
}

struct AgentActor;

impl Actor for AgentActor {
    type Msg = AgentMessage;
    type State = Agent;
    type Arguments = Agent;

    async fn pre_start(&self, myself: ActorRef<AgentMessage>, agent: Agent) -> Result<Agent, ActorProcessingErr> {
        myself.cast(AgentMessage::Round)?;
        Ok(agent)
    }

    async fn handle(
        &self,
        myself: ActorRef<AgentMessage>,
        message: AgentMessage,
        agent: &mut Agent,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AgentMessage::Round => {
                let pause = POKE_GAP.saturating_sub(agent.last_round.elapsed());
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                agent.shared.poked.store(false, Ordering::Release);
                if !agent.has_ended() {
                    agent.round().await;
                    agent.schedule(&myself);
                }
                if *agent.shared.declared_down.borrow() {
                    myself.stop(None);
                }
            }
            AgentMessage::Change(change, reply) => {
                let outcome = agent.change(&change).await;
                let left = matches!(change, Change::Leave) && outcome.is_ok();
                // A caller that has gone away does not want to know.
                let _ = reply.send(outcome);
                if left {
                    myself.stop(None);
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<AgentMessage>,
        _event: SupervisionEvent,
        _agent: &mut Agent,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; the default would stop it.
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<AgentMessage>, agent: &mut Agent) -> Result<(), ActorProcessingErr> {
        if let Some(timer) = agent.timer.take() {
            timer.abort();
        }
        Ok(())
    }
}

struct Agent {
    store: Arc<dyn ClusterStore>,
    shared: Arc<Shared>,
    observer: Observer,
    timer: Option<JoinHandle<()>>,
    last_round: BootTime,
    outage: Outage,
}

/// View and leases as they were after a renewal.
struct Round {
    rows: ClusterRows,
    acknowledged: u64,
    /// Before the rows were read.
    began: BootTime,
}

impl Agent {
    fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    async fn round(&mut self) {
        let sent = BootTime::now();
        self.last_round = sent;
        let outcome = tokio::time::timeout(self.shared.settings.store_timeout(), self.renew_and_read()).await;
        let now = BootTime::now();
        let latency_us = u64::try_from(now.since(sent).as_micros()).unwrap_or(u64::MAX);
        let error = match outcome {
            Ok(Ok(Some(round))) => match self.take_in(sent, now, &round) {
                Ok(()) => {
                    self.report(StoreHealth { up: true, latency_us, error: None });
                    self.follow_up(round.began, now).await;
                    return;
                }
                Err(error) => error.to_string(),
            },
            Ok(Ok(None)) => {
                self.declare_down("a newer generation of this node has joined");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.shared.settings.store_timeout()),
        };
        self.observer.interrupted();
        self.report(StoreHealth { up: false, latency_us, error: Some(error) });
    }

    /// Nothing when a newer life of the node renews.
    async fn renew_and_read(&self) -> Result<Option<Round>, MembershipError> {
        let node = &self.shared.node;
        let acknowledged = self.shared.acknowledged.load(Ordering::Acquire);
        if !self.store.renew_lease(&node.name, node.generation, acknowledged).await? {
            return Ok(None);
        }
        let began = BootTime::now();
        let rows = self.store.read_cluster().await?;
        Ok(Some(Round { rows, acknowledged, began }))
    }

    fn take_in(&mut self, sent: BootTime, now: BootTime, round: &Round) -> Result<(), MembershipError> {
        let view = parse(&round.rows, &self.shared.settings.cluster)?;
        let known = self.shared.view.borrow().version;
        if view.version < known {
            tracing::error!(known, found = view.version, "the cluster database has gone back in time");
            self.declare_down("the cluster database has gone back in time");
            return Ok(());
        }
        self.observer.observe(round.began, now, &view, &round.rows.leases);
        self.shared.publish_seen(self.observer.seen());
        // Only a renewal after which the view still has the node counts: see `Ended::Silent`.
        if view.state(&self.shared.node) != MemberState::Down {
            self.shared.extend_lease(sent);
        }
        self.adopt(view);
        self.shared.acknowledged_written.send_if_modified(|written| {
            let newer = round.acknowledged > *written;
            *written = round.acknowledged.max(*written);
            newer
        });
        self.publish_acknowledged();
        Ok(())
    }

    fn publish_acknowledged(&self) {
        let own = self.shared.acknowledged.load(Ordering::Acquire);
        let all = self.observer.all_acknowledged(&self.shared.view.borrow(), own);
        self.shared.all_acknowledged.send_if_modified(|known| {
            let newer = all > *known;
            *known = all.max(*known);
            newer
        });
    }

    fn adopt(&self, view: View) {
        let known = Arc::clone(&self.shared.view.borrow());
        if view.version <= known.version {
            return;
        }
        for member in &view.members {
            let before = known.member(&member.node).map(|member| member.state);
            if before != Some(member.state) {
                tracing::info!(view_version = view.version, member = %member.node, state = %member.state, "view");
            }
        }
        let down = view.state(&self.shared.node) == MemberState::Down;
        self.shared.view.send_replace(Arc::new(view));
        if down && !self.has_ended() {
            self.declare_down("the view says so");
        }
    }

    fn declare_down(&self, cause: &str) {
        if !self.has_ended() {
            tracing::error!(node = %self.shared.node, cause, "this node has been declared down");
            self.shared.give_up_lease();
            self.shared.declared_down.send_replace(true);
        }
    }

    /// Puts into the view what the round has shown.
    async fn follow_up(&mut self, began: BootTime, now: BootTime) {
        let view = Arc::clone(&self.shared.view.borrow());
        if view.state(&self.shared.node) == MemberState::Down {
            return;
        }
        for (node, beat) in self.observer.silent(&view, began) {
            tracing::warn!(member = %node, beat, "a member has gone silent");
            if !self.swap(|view| view.down(&node, beat)).await {
                return;
            }
        }
        if !self.keeps_house(&view) {
            return;
        }
        if view.raise_feature_level().is_some() {
            self.swap(View::raise_feature_level).await;
        }
        for node in self.observer.waited_for().clone() {
            self.swap(|view| view.run_out(&node)).await;
        }
        let forget = self.shared.settings.forget();
        for node in self.observer.forgettable(now, forget) {
            if self.swap(|view| view.forget(&node)).await {
                self.remove_lease(&node).await;
            }
        }
        for node in self.observer.orphans(now, forget) {
            self.remove_lease(&node).await;
        }
    }

    /// One member does what need not be done by all: the first that is up, or else the first.
    fn keeps_house(&self, view: &View) -> bool {
        let up = view.live().find(|member| member.state == MemberState::Up);
        up.or_else(|| view.live().next()).is_some_and(|member| member.node == self.shared.node)
    }

    async fn remove_lease(&self, node: &NodeId) {
        let removal = self.store.remove_lease(&node.name, node.generation);
        if let Ok(Err(error)) = tokio::time::timeout(self.shared.settings.store_timeout(), removal).await {
            tracing::debug!(member = %node, %error, "a lease row was not removed");
        }
    }

    /// One swap of the view as it is known. False when it did not happen for certain; the next round tells.
    async fn swap(&self, transition: impl FnOnce(&View) -> Option<View>) -> bool {
        let known = Arc::clone(&self.shared.view.borrow());
        let Some(next) = transition(&known) else { return false };
        let json = next.to_json();
        let swap = self.store.swap_view(known.version, &json);
        match tokio::time::timeout(self.shared.settings.store_timeout(), swap).await {
            Ok(Ok(true)) => {
                self.adopt(next);
                true
            }
            Ok(Ok(false)) => false,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the view was not swapped");
                false
            }
            Err(_) => false,
        }
    }

    async fn change(&mut self, change: &Change) -> Result<u64, MembershipError> {
        let node = self.shared.node.clone();
        if matches!(change, Change::Leave) {
            self.shared.give_up_lease();
        }
        for _ in 0..SWAP_ATTEMPTS_MAX {
            let known = Arc::clone(&self.shared.view.borrow());
            let next = match change {
                Change::Up => known.up(&node),
                Change::Drain => known.drain(&node),
                Change::Leave => known.leave(&node),
                Change::Pin { service, shard, node } => known.pin(service, *shard, node.as_deref()),
                Change::Pause(owners) => known.pause(owners),
                Change::Resume => known.resume(),
                Change::Cordon { node, is_cordoned } => known.cordon(node, *is_cordoned),
            };
            let Some(next) = next else {
                let over = known.state(&node) == MemberState::Down;
                let wanted = matches!(change, Change::Leave) || !over;
                return if wanted { Ok(known.version) } else { Err(MembershipError::DeclaredDown(node)) };
            };
            if self.store_call(self.store.swap_view(known.version, &next.to_json())).await? {
                let version = next.version;
                self.adopt(next);
                self.publish_acknowledged();
                return Ok(version);
            }
            let rows = self.store_call(self.store.read_cluster()).await?;
            self.adopt(parse(&rows, &self.shared.settings.cluster)?);
        }
        let last = "other nodes keep changing the view".to_owned();
        Err(MembershipError::TimedOut { after: self.shared.settings.store_timeout(), last })
    }

    async fn store_call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, MembershipError> {
        let after = self.shared.settings.store_timeout();
        match tokio::time::timeout(after, call).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                let last = "the cluster database gave no answer".to_owned();
                Err(MembershipError::TimedOut { after, last })
            }
        }
    }

    fn report(&self, health: StoreHealth) {
        if health.up {
            if let Some(told) = self.outage.works() {
                tracing::info!(lasted_ms = told.lasted_ms, "the cluster database is back");
            }
        } else if let Some(told) = self.outage.failed() {
            let error = health.error.as_deref();
            tracing::warn!(
                error,
                lasted_ms = told.lasted_ms,
                "the cluster database is away; no shard moves until it is back"
            );
        }
        self.shared.health.send_if_modified(|known| {
            let turned = known.up != health.up;
            *known = health;
            turned
        });
    }

    /// The next round: after the usual time, or as soon as somebody's patience may end.
    fn schedule(&mut self, myself: &ActorRef<AgentMessage>) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let renew = self.shared.settings.renew;
        // A fifth more or less, so that the nodes' rounds do not fall together.
        let usual = renew.mul_f64(rand::random_range(0.8..1.2));
        let least = renew / 5;
        let due = self.observer.next_due(&self.shared.view.borrow(), BootTime::now());
        let delay = due.map_or(usual, |due| due.clamp(least, usual));
        let agent = myself.clone();
        self.timer = Some(tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = agent.cast(AgentMessage::Round);
        }));
    }
}
