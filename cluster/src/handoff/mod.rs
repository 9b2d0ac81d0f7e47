//! Takes over and hands over shards as the view says.
//!
//! On a new view a node first lets go of what the view takes from it (stop accepting, finish, flush,
//! forget) and only then acknowledges the view. What the view gives to it opens at once and buffers; it is
//! claimed when every member that is not down has acknowledged the view, and serves when the claim row is
//! durable. Callers meanwhile wait, either in the buffer of the new owner or, refused as moved by the old
//! one, at their own node; both are bounded.
//!
//! - `open`: the shards that are open here
//! - `claims`: claims that are under way, while the node goes on following the view

mod claims;
mod open;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use ractor::{Actor, ActorRef};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::databases::{Databases, Server};
use crate::inspect::cause;
use crate::inspect::report::MoveReport;
use crate::journal::{ClaimError, Claimed, ShardNews, ShardOwner};
use crate::link::{Links, Recipients};
use crate::membership::{Membership, NodeId, View};
use crate::metrics;
use crate::placement;
use crate::reference::ShardId;
use crate::region::{RegionActor, RegionMessage};
use crate::runtime::Runtime;
use crate::shard::{ShardMessage, ShardPlace};
use crate::time::Timestamp;
use crate::topology::Topology;
use claims::{Answer, Claims, Wish};

pub(crate) use open::OpenShards;

/// By which a node tells those that get shards that it has acknowledged a view.
pub(crate) const ACKNOWLEDGED: &[u8] = b"acknowledged";

/// How often what could not be done is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How long a hand-over may take, in all, before the view is acknowledged without waiting further.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// Who owns what under one view.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    pub view_version: u64,
    owners: HashMap<&'static str, Vec<Option<NodeId>>>,
}

impl Placement {
    pub(crate) fn of(view: &View, topology: &Topology, services: &[&'static str]) -> Self {
        let owners = |service: &&'static str| {
            (*service, placement::owners(view, service, topology.service(service).shard_count))
        };
        Self { view_version: view.version, owners: services.iter().map(owners).collect() }
    }

    pub(crate) fn owner(&self, shard: ShardId) -> Option<&NodeId> {
        self.owners.get(shard.service)?.get(shard.number as usize)?.as_ref()
    }

    /// Every shard with its owner.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ShardId, Option<&NodeId>)> {
        self.owners.iter().flat_map(|(service, owners)| {
            owners.iter().zip(0u32..).map(|(owner, number)| (ShardId { service, number }, owner.as_ref()))
        })
    }
}

/// The task that does it; see the module.
pub(crate) struct Handoff {
    node: NodeId,
    topology: Topology,
    services: Vec<&'static str>,
    databases: Arc<Databases>,
    runtime: Arc<Runtime>,
    membership: Arc<Membership>,
    open: Arc<OpenShards>,
    placement: watch::Sender<Arc<Placement>>,
    regions: HashMap<&'static str, ActorRef<RegionMessage>>,
    /// Claimed and serving, under which incarnation of their database.
    serving: HashMap<ShardId, u64>,
    claims: Claims,
    /// Stay closed until an operator has looked and raised their database's incarnation above this one.
    halted: BTreeMap<ShardId, u64>,
    failed: (mpsc::UnboundedSender<ShardId>, mpsc::UnboundedReceiver<ShardId>),
    /// The view that the placement is of.
    view: Arc<View>,
    /// Why shards came or went last, and which node had them before or has them since.
    causes: HashMap<ShardId, (&'static str, Option<NodeId>)>,
    /// Where the reminders hear of shards that have just been claimed; bounded by the number of shards.
    taken: mpsc::UnboundedSender<ShardId>,
    /// How many shards serve, and how many should.
    progress: watch::Sender<Progress>,
    links: Arc<Links>,
    /// The newest view that was acknowledged.
    acknowledged: u64,
    /// The other nodes that get shards by the view.
    gaining: BTreeSet<NodeId>,
    /// By which view this node got each shard that it has had since.
    gained: HashMap<ShardId, u64>,
}

/// How far a node is with what the newest view gives to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub view_version: u64,
    pub serving: usize,
    pub wanted: usize,
}

impl Handoff {
    #[allow(clippy::too_many_arguments, reason = "called once, by the node that is made of these")]
    pub(crate) async fn start(
        node: NodeId,
        topology: Topology,
        services: Vec<&'static str>,
        databases: Arc<Databases>,
        runtime: Arc<Runtime>,
        membership: Arc<Membership>,
        open: Arc<OpenShards>,
        placement: watch::Sender<Arc<Placement>>,
        taken: mpsc::UnboundedSender<ShardId>,
        links: Arc<Links>,
    ) -> Result<(watch::Receiver<Progress>, JoinHandle<()>), ractor::SpawnErr> {
        let failed = mpsc::unbounded_channel();
        let mut regions = HashMap::new();
        for service in &services {
            let (region, _) = Actor::spawn(None, RegionActor, failed.0.clone()).await?;
            regions.insert(*service, region);
        }
        let (progress, seen) = watch::channel(Progress::default());
        let claims = Claims::new(Arc::clone(&databases));
        let handoff = Self {
            node,
            topology,
            services,
            databases,
            runtime,
            membership,
            open,
            placement,
            regions,
            serving: HashMap::new(),
            claims,
            halted: BTreeMap::new(),
            failed,
            view: Arc::default(),
            causes: HashMap::new(),
            taken,
            progress,
            links,
            acknowledged: 0,
            gaining: BTreeSet::new(),
            gained: HashMap::new(),
        };
        Ok((seen, tokio::spawn(handoff.run())))
    }

    async fn run(mut self) {
        let mut views = self.membership.view();
        let mut acknowledged = self.membership.all_acknowledged();
        loop {
            // In this order: versions may be skipped, so only an acknowledgement known no later than the view
            // says that nobody serves what this view took away.
            let acknowledged_version = *acknowledged.borrow_and_update();
            let view = views.borrow_and_update().clone();
            self.reconcile(&view, acknowledged_version).await;
            let retry = tokio::time::sleep(RETRY);
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return },
                changed = acknowledged.changed() => if changed.is_err() { return },
                Some(shard) = self.failed.1.recv() => self.forget(shard, "fault").await,
                Some(answers) = self.claims.next() => {
                    for answer in answers {
                        self.answered(answer).await;
                    }
                }
                () = retry => {}
            }
        }
    }

    async fn reconcile(&mut self, view: &Arc<View>, acknowledged_version: u64) {
        if self.placement.borrow().view_version != view.version {
            let placement = Placement::of(view, &self.topology, &self.services);
            self.explain(view, &placement);
            self.view = Arc::clone(view);
            self.placement.send_replace(Arc::new(placement));
            self.runtime.set_feature_level(view.feature_level);
        }
        self.forget_replaced().await;
        let placement = self.placement.borrow().clone();
        let wanted: HashSet<ShardId> = placement
            .all()
            .filter(|(shard, owner)| *owner == Some(&self.node) && !self.is_halted(*shard))
            .map(|(shard, _)| shard)
            .collect();
        let open = self.open.all();
        let losing = open.iter().filter(|(shard, _)| !wanted.contains(shard)).map(|(shard, _)| *shard).collect();
        self.release(losing).await;
        self.acknowledge(view.version);
        for shard in &wanted {
            if self.open.get(*shard).is_none() {
                self.open(*shard).await;
            }
        }
        // A view that gave the shard to this node is what counts; one that came later, and left the shard here, took
        // nothing away that anybody else could serve.
        let is_free = |shard: &&ShardId| self.gained.get(shard).is_some_and(|gained| acknowledged_version >= *gained);
        let waiting = wanted.iter().filter(|shard| !self.serving.contains_key(shard)).filter(is_free);
        let wishes: Vec<Wish> = waiting.filter_map(|shard| self.wish(*shard)).collect();
        self.claims.begin(wishes, view.version);
        self.claims.tell();
        self.tell_halted(&placement);
        self.progress.send_if_modified(|progress| {
            let now = Progress { view_version: view.version, serving: self.serving.len(), wanted: wanted.len() };
            std::mem::replace(progress, now) != now
        });
    }

    /// Says that nothing is served here any more that the view takes away. Whoever gets shards by it hears of that at
    /// once; by itself it would look only when it renews its lease.
    fn acknowledge(&mut self, version: u64) {
        if std::mem::replace(&mut self.acknowledged, version) == version {
            return;
        }
        let (membership, links) = (Arc::clone(&self.membership), Arc::clone(&self.links));
        let waiting = std::mem::take(&mut self.gaining);
        tokio::spawn(async move {
            membership.acknowledge(version).await;
            for node in &waiting {
                links.notice(Recipients::One(node), Bytes::from_static(ACKNOWLEDGED));
            }
        });
    }

    /// Notes why shards come and go with this view.
    fn explain(&mut self, view: &View, placement: &Placement) {
        let earlier = self.placement.borrow().clone();
        for (shard, to) in placement.all() {
            let from = earlier.owner(shard);
            // Nobody waits for a node that knew no view before.
            if from != to && to != Some(&self.node) && earlier.view_version > 0 {
                self.gaining.extend(to.cloned());
            }
            if to != Some(&self.node) {
                self.gained.remove(&shard);
            } else if from != to {
                self.gained.insert(shard, placement.view_version);
            }
            if from == to || (from != Some(&self.node) && to != Some(&self.node)) {
                continue;
            }
            let other = if to == Some(&self.node) { from } else { to };
            let cause = cause::between(&self.view, view, shard, from, to);
            self.causes.insert(shard, (cause, other.cloned()));
        }
    }

    /// Starts the shard's actor, which buffers until it is claimed.
    async fn open(&mut self, shard: ShardId) {
        let Some(server) = self.databases.of_shard(shard) else {
            tracing::error!(%shard, "this node has no address of the shard's database");
            self.halted.insert(shard, self.databases.incarnation(shard));
            return;
        };
        let Some(region) = self.regions.get(shard.service) else { return };
        let Server { store, journal } = server.clone();
        let place = Arc::new(ShardPlace::new(shard, store, journal, Arc::clone(&self.runtime)));
        let (opened, actor) = oneshot::channel();
        if region.cast(RegionMessage::Open { place: Arc::clone(&place), opened }).is_ok()
            && let Ok(actor) = actor.await
        {
            self.open.insert(shard, actor, place);
            self.runtime.shards_open.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a claim of an open shard is made of.
    fn wish(&self, shard: ShardId) -> Option<Wish> {
        let place = self.open.place(shard)?;
        let owner = self.owner(shard, self.open.get(shard)?).noting(Arc::clone(&place.durable_seq));
        Some(Wish { place, owner })
    }

    /// A claim has been answered, however late. It counts if it is of the shard as it is open now: if not, the view
    /// has taken the shard away meanwhile, or the shard has failed, and what is open now is claimed anew.
    async fn answered(&mut self, Answer { place, incarnation, result }: Answer) {
        let shard = place.shard;
        if !self.open.place(shard).is_some_and(|now| Arc::ptr_eq(&now, &place)) {
            tracing::debug!(%shard, "a claim is not wanted any more");
            return;
        }
        match result {
            // Raised meanwhile: what the database holds now may be something else.
            Ok(_) if self.databases.incarnation(shard) != incarnation || self.databases.is_refused(shard) => {}
            Ok(claimed) => self.opened(claimed, incarnation),
            Err(ClaimError::Superseded { shard, writer, epoch }) => {
                tracing::info!(%shard, writer, epoch, "a later view gave the shard to another node");
                self.membership.poke();
            }
            Err(error @ ClaimError::Regressed { .. }) => {
                tracing::error!(%error, "a shard is halted");
                self.halted.insert(shard, incarnation);
                self.release(vec![shard]).await;
            }
            // It is tried again.
            Err(ClaimError::Unavailable { .. }) => {}
        }
    }

    fn tell_halted(&self, placement: &Placement) {
        for service in &self.services {
            let mine = placement.all().filter(|(shard, owner)| shard.service == *service && *owner == Some(&self.node));
            metrics::node::shards_halted(service, mine.filter(|(shard, _)| self.is_halted(*shard)).count() as u64);
        }
    }

    fn is_halted(&self, shard: ShardId) -> bool {
        self.halted.contains_key(&shard) || self.databases.is_refused(shard)
    }

    /// Drops the memory of shards whose database is an older copy now, or whose incarnation was raised: what an
    /// operator found there counts, not what the entities remember. Nothing is flushed that can be dropped.
    async fn forget_replaced(&mut self) {
        let databases = Arc::clone(&self.databases);
        self.halted.retain(|shard, incarnation| databases.incarnation(*shard) == *incarnation);
        let is_replaced =
            |shard, incarnation| databases.is_refused(shard) || databases.incarnation(shard) != incarnation;
        let serving = self.serving.iter().filter(|(shard, incarnation)| is_replaced(**shard, **incarnation));
        for shard in serving.map(|(shard, _)| *shard).collect::<Vec<_>>() {
            if let Some(actor) = self.open.get(shard) {
                // A shard that has just stopped remembers nothing either.
                let _ = actor.cast(ShardMessage::News(ShardNews::Lost));
            }
            self.forget(shard, "incarnation").await;
        }
    }

    fn owner(&self, shard: ShardId, actor: ActorRef<ShardMessage>) -> ShardOwner {
        let failed = self.failed.0.clone();
        let seen = self.open.seen(shard).unwrap_or_default();
        let owner = ShardOwner::new(move |news| {
            // A shard that has just stopped needs no news.
            let _ = actor.cast(ShardMessage::News(news));
            if news == ShardNews::Lost {
                let _ = failed.send(shard);
            }
        });
        owner.seen_by(seen)
    }

    fn opened(&mut self, claimed: Claimed, incarnation: u64) {
        let Some(actor) = self.open.get(claimed.shard) else { return };
        // Before anything more is committed to it.
        self.runtime.outboxes.open(claimed.shard, claimed.term, claimed.last_seq);
        let message = ShardMessage::Opened { term: claimed.term, last_time: claimed.last_time };
        if actor.cast(message).is_ok() && self.serving.insert(claimed.shard, incarnation).is_none() {
            metrics::serving(claimed.shard.service, 1);
            let took = self.open.age(claimed.shard).unwrap_or_default();
            self.note_move(claimed.shard, "opened", took);
            // The reminders end with the node.
            let _ = self.taken.send(claimed.shard);
        }
    }

    /// Hands shards over, side by side.
    async fn release(&mut self, shards: Vec<ShardId>) {
        // The view is acknowledged even if a shard does not finish in time; it must not answer by the lease
        // after that.
        shards.iter().for_each(|shard| self.open.retire(*shard));
        let releases = shards.iter().filter_map(|shard| {
            let actor = self.open.get(*shard)?;
            let (done, released) = oneshot::channel();
            actor.cast(ShardMessage::Release(done)).ok()?;
            Some(tokio::time::timeout(RELEASE_PATIENCE, released))
        });
        let began = Instant::now();
        let outcomes = join_all(releases).await;
        let unfinished = outcomes.iter().filter(|outcome| !matches!(outcome, Ok(Ok(true)))).count();
        if unfinished > 0 {
            tracing::warn!(shards = unfinished, "shards are handed over with commits still under way");
        }
        for shard in shards {
            self.note_move(shard, "released", began.elapsed());
            self.closed(shard);
        }
    }

    /// A shard failed or was lost: it is opened anew if the view still gives it to this node.
    async fn forget(&mut self, shard: ShardId, cause: &'static str) {
        if let Some(server) = self.databases.of_shard(shard) {
            let close = server.journal.close(shard);
            // Closing late is harmless: the next claim brings a new term.
            let _ = tokio::time::timeout(Duration::from_millis(100), close).await;
        }
        self.causes.insert(shard, (cause, None));
        self.note_move(shard, "lost", Duration::ZERO);
        self.closed(shard);
        self.membership.poke();
    }

    fn note_move(&self, shard: ShardId, what: &str, took: Duration) {
        let (cause, other) = self.causes.get(&shard).cloned().unwrap_or(("rebalance", None));
        self.runtime.observer.moves.note(MoveReport {
            shard: shard.to_string(),
            what: what.to_owned(),
            cause: cause.to_owned(),
            other: other.map(|node| node.to_string()),
            view_version: self.view.version,
            at_ms: Timestamp::now().0,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }

    fn closed(&mut self, shard: ShardId) {
        self.runtime.outboxes.close(shard);
        if self.serving.remove(&shard).is_some() {
            metrics::serving(shard.service, -1);
        }
        if let Some(actor) = self.open.remove(shard) {
            self.runtime.shards_open.fetch_sub(1, Ordering::Relaxed);
            // Draining answers what is still in its mailbox.
            let _ = actor.drain();
        }
    }
}
