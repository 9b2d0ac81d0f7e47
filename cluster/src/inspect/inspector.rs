//! The actor that answers what is asked about its node. Its answers are made side by side, but only so many at a
//! time: whoever looks never takes a node away from its customers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::join_all;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::controls;
use super::entity;
use super::hops::HOPS;
use super::infrastructure;
use super::observe::{Observer, WINDOW};
use super::outstanding;
use super::points::{self, Machine, POINT_EVERY};
use super::profile;
use super::question::{Act, ENTRIES_MAX, EntityAt, Question, TopBy};
use super::report::{LinkReport, NodeReport, Point, Report, ShardReport, TopEntry, TypeReport};
use super::tail::TOLD_MAX;
use super::tree;
use crate::events::Lag;
use crate::metrics;
use crate::reference::{Kind, ShardId};
use crate::router::NodeRouter;
use crate::shard::{Inspect, Operation, ShardMessage, Waiting};
use crate::time::Timestamp;

/// Questions that are answered at the same time; further ones are refused.
pub const QUESTIONS_MAX: usize = 16;
/// What the answers that are made at the same time may take together, in KiB; questions beyond it wait.
pub const ANSWERS_KIB_MAX: usize = 6 * 1024;
/// How long a shard may take to answer.
const SHARD_PATIENCE: Duration = Duration::from_millis(500);
/// How often the observer is seen to.
const TICK: Duration = Duration::from_secs(1);

/// What the inspector is asked.
#[derive(RactorMessage)]
pub(crate) struct Asked {
    pub question: Question,
    pub answer: oneshot::Sender<Report>,
}

/// See the module.
pub(crate) struct Inspector {
    pub router: Weak<NodeRouter>,
}

pub(crate) struct InspectorState {
    inside: Arc<Inside>,
    permits: Arc<Semaphore>,
    /// KiB of answers.
    room: Arc<Semaphore>,
    ticking: JoinHandle<()>,
}

struct Inside {
    router: Weak<NodeRouter>,
}

impl Actor for Inspector {
    type Msg = Asked;
    type State = InspectorState;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Asked>, (): ()) -> Result<InspectorState, ActorProcessingErr> {
        HOPS.begin();
        let inside = Arc::new(Inside { router: self.router.clone() });
        let ticking = tokio::spawn(tick(self.router.clone()));
        let [permits, room] = [QUESTIONS_MAX, ANSWERS_KIB_MAX].map(|most| Arc::new(Semaphore::new(most)));
        Ok(InspectorState { inside, permits, room, ticking })
    }

    async fn handle(
        &self,
        _: ActorRef<Asked>,
        Asked { question, answer }: Asked,
        state: &mut InspectorState,
    ) -> Result<(), ActorProcessingErr> {
        let Ok(permit) = Arc::clone(&state.permits).try_acquire_owned() else {
            let reason = format!("{QUESTIONS_MAX} questions are being answered on this node; ask again in a moment");
            // Whoever asked may have given up.
            let _ = answer.send(Report::Refused { reason });
            return Ok(());
        };
        let (inside, room) = (Arc::clone(&state.inside), Arc::clone(&state.room));
        tokio::spawn(async move {
            // Nobody closes the semaphore.
            let _room = room.acquire_many(question.answer_kib()).await;
            let report = inside.answer(question).await;
            let _ = answer.send(report);
            drop(permit);
        });
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Asked>, state: &mut InspectorState) -> Result<(), ActorProcessingErr> {
        state.ticking.abort();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Asked>,
        _: SupervisionEvent,
        _: &mut InspectorState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl Inside {
    async fn answer(&self, question: Question) -> Report {
        let Some(router) = self.router.upgrade() else {
            return Report::Refused { reason: "this node is stopping".into() };
        };
        match question {
            Question::Node => Report::Node(Box::new(self.node(&router).await)),
            Question::Shards => Report::Shards(shards(&router)),
            Question::Moves => Report::Moves(router.runtime.observer.moves.all()),
            Question::Types => Report::Types(types(&router).await),
            Question::Entity(at) => entity::look(&router, &at).await,
            Question::History { entity: at, after_version, limit } => {
                entity::history(&router, &at, after_version, limit.min(ENTRIES_MAX as u32)).await
            }
            Question::Top { by, limit } => Report::Top(top(&router, by, (limit as usize).min(ENTRIES_MAX)).await),
            Question::Tail { after, kind, key, trace, limit } => {
                let named = key.map(|key| format!("/{key}"));
                let report = router.runtime.observer.tail.look(after, (limit as usize).min(TOLD_MAX), |entry| {
                    kind.as_ref().is_none_or(|kind| entry.entity.split('/').next() == Some(kind))
                        && named.as_ref().is_none_or(|named| entry.entity.ends_with(named.as_str()))
                        && trace.as_ref().is_none_or(|trace| entry.trace == *trace)
                });
                Report::Tail(report)
            }
            Question::Path { trace } => match u128::from_str_radix(&trace, 16) {
                Ok(trace) => {
                    let (hops, left_out) = HOPS.of(trace);
                    Report::Hops { hops, left_out }
                }
                Err(_) => Report::Refused { reason: format!("{trace:?} is no id of a trace") },
            },
            Question::Tree => Report::Tree(tree::of(&router)),
            Question::Infrastructure => Report::Infrastructure(Box::new(infrastructure::of(&router).await)),
            Question::Points => Report::Points(router.runtime.observer.points.all()),
            Question::Act(act) => perform(&router, act).await,
            Question::Profile { seconds, format } => profile::take(seconds, format).await,
            Question::ProfilePart { number, from } => profile::part(number, from),
        }
    }

    async fn node(&self, router: &NodeRouter) -> NodeReport {
        let observer = &router.runtime.observer;
        let (cpu_percent, memory_bytes) = match observer.points.newest() {
            Some(point) => (point.cpu_percent, point.memory_bytes),
            None => (0.0, points::resident()),
        };
        let links = router.links.get().map(|links| links.peers()).unwrap_or_default();
        let links = links.into_iter().filter(|peer| peer.node != router.node).map(|peer| LinkReport {
            node: peer.node.to_string(),
            connected: peer.connected,
            round_trip_us: peer.round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            in_flight: peer.in_flight,
            in_flight_bytes: peer.in_flight_bytes,
            since_s: peer.since.elapsed().as_secs(),
        });
        let membership = router.membership.get();
        let view = membership.map(|membership| membership.view().borrow().clone());
        let version = view.and_then(|view| view.member(&router.node).map(|member| member.version.clone()));
        let ready = *router.ready.borrow();
        let status = crate::node::status::of(router).await;
        NodeReport {
            node: router.node.to_string(),
            version: version.unwrap_or_default(),
            uptime_s: observer.uptime().as_secs(),
            now_at_ms: Timestamp::now().0,
            lease_valid: membership.is_some_and(|membership| membership.lease_valid()),
            ready,
            clock_offset_ms: 0,
            admin: router.admin.get().cloned(),
            cpu_percent,
            memory_bytes,
            loaded: observer.loaded(None),
            in_flight: in_flight(router),
            links: links.collect(),
            status,
        }
    }
}

fn in_flight(router: &NodeRouter) -> u64 {
    let max = router.runtime.settings.in_flight_max;
    max.saturating_sub(router.runtime.in_flight.available_permits()) as u64
}

fn shards(router: &NodeRouter) -> Vec<ShardReport> {
    let outboxes = &router.runtime.outboxes;
    let mut serving: HashMap<ShardId, (u64, u64)> = HashMap::new();
    for service in router.services.values() {
        let known = outboxes.of(service).map(|outbox| outbox.serving()).unwrap_or_default();
        serving.extend(known.into_iter().map(|(shard, term, seq)| (shard, (term, seq))));
    }
    let view = router.membership.get().map(|membership| membership.view().borrow().clone());
    let pins = view.iter().flat_map(|view| &view.pins);
    let pinned: HashSet<(&str, u32)> = pins.map(|pin| (pin.service.as_str(), pin.shard)).collect();
    let lags: HashMap<ShardId, Lag> =
        router.services.values().filter_map(|service| outboxes.of(service)).flat_map(|outbox| outbox.lags()).collect();
    let mut reports: Vec<ShardReport> = router
        .open
        .places()
        .into_iter()
        .map(|(shard, place)| {
            let (term, seq) = serving.get(&shard).copied().unwrap_or_default();
            let lag = lags.get(&shard).copied().unwrap_or_default();
            ShardReport {
                service: shard.service.to_owned(),
                number: shard.number,
                node: router.node.to_string(),
                term,
                seq,
                loaded: u32::try_from(place.seen.loaded.load(Ordering::Relaxed)).unwrap_or(0),
                commands: place.seen.commands.count(),
                commands_per_s: place.seen.commands.per_s(),
                pinned: pinned.contains(&(shard.service, shard.number)),
                hot: false,
                commits: place.seen.commits.report(),
                unpublished: lag.rows,
                unpublished_ms: lag.ms,
            }
        })
        .collect();
    reports.sort_by(|one, other| (&one.service, one.number).cmp(&(&other.service, other.number)));
    reports
}

async fn types(router: &NodeRouter) -> Vec<TypeReport> {
    let mut waiting: HashMap<Kind, u64> = HashMap::new();
    for one in all_waiting(router).await {
        *waiting.entry(one.kind).or_default() += u64::from(one.commands);
    }
    let quarantined = router.runtime.quarantined();
    let observer = &router.runtime.observer;
    let seconds = observer.window_s();
    let mut reports: Vec<TypeReport> = observer
        .kinds()
        .map(|(kind, seen)| {
            let name = format!("{kind}/");
            TypeReport {
                kind: kind.to_string(),
                node: router.node.to_string(),
                loaded: u64::try_from(seen.loaded.load(Ordering::Relaxed)).unwrap_or(0),
                waiting: waiting.get(kind).copied().unwrap_or(0),
                passivated: seen.passivated.load(Ordering::Relaxed),
                restarted: metrics::restarted_count(*kind),
                quarantined: quarantined.iter().filter(|entity| entity.starts_with(&name)).count() as u64,
                commands: seen.counts.report(seconds),
            }
        })
        .collect();
    reports.sort_by(|one, other| one.kind.cmp(&other.kind));
    reports
}

#[allow(clippy::cast_precision_loss, reason = "figures to look at")]
async fn top(router: &NodeRouter, by: TopBy, limit: usize) -> Vec<TopEntry> {
    let observer = &router.runtime.observer;
    let seconds = observer.window_s().max(1.0);
    let entry = |kind: Kind, key: &crate::reference::Key, value: f64| TopEntry {
        entity: format!("{kind}/{key}"),
        node: router.node.to_string(),
        value,
    };
    let rates = |found: Vec<(super::hitters::Name, u64)>| -> Vec<TopEntry> {
        found.into_iter().map(|((kind, key), sum)| entry(kind, &key, sum as f64 / seconds)).collect()
    };
    match by {
        TopBy::Messages => rates(observer.messages.sums(limit)),
        TopBy::Time => rates(observer.time_us.sums(limit)),
        TopBy::State => {
            // Their sizes are remembered for a while: those whose shards have gone are told of where they are now.
            let found = observer.state_bytes.values(usize::MAX).into_iter();
            let is_here = |kind: Kind, key: &crate::reference::Key| {
                router.shard_of(&kind.to_string(), key).is_ok_and(|shard| router.open.get(shard).is_some())
            };
            let here = found.filter(|((kind, key), _)| is_here(*kind, key)).take(limit);
            here.map(|((kind, key), bytes)| entry(kind, &key, bytes as f64)).collect()
        }
        TopBy::Mailbox => {
            let mut waiting = all_waiting(router).await;
            waiting.sort_by_key(|one| std::cmp::Reverse(one.commands));
            waiting.truncate(limit);
            waiting.iter().map(|one| entry(one.kind, &one.key, f64::from(one.commands))).collect()
        }
    }
}

/// Who has commands waiting, of all shards that answer in time.
async fn all_waiting(router: &NodeRouter) -> Vec<Waiting> {
    let asked = router.open.all().into_iter().map(|(_, actor)| async move {
        let (answer, waiting) = oneshot::channel();
        actor.cast(ShardMessage::Inspect(Inspect::Waiting { answer })).ok()?;
        tokio::time::timeout(SHARD_PATIENCE, waiting).await.ok()?.ok()
    });
    join_all(asked).await.into_iter().flatten().flatten().collect()
}

async fn perform(router: &NodeRouter, act: Act) -> Report {
    match act {
        Act::Passivate { entity } => {
            one(router, &entity, |kind, key, answer| Inspect::Passivate { kind, key, answer }).await
        }
        Act::Restart { entity } => {
            one(router, &entity, |kind, key, answer| Inspect::Restart { kind, key, answer }).await
        }
        Act::Release { entity } => {
            one(router, &entity, |kind, key, answer| Inspect::Release { kind, key, answer }).await
        }
        Act::RetryEffect { entity, effect } => {
            outstanding::operate(router, &entity, Operation::RetryEffect(effect)).await
        }
        Act::GiveUpEffect { entity, effect } => {
            outstanding::operate(router, &entity, Operation::GiveUpEffect(effect)).await
        }
        Act::FireReminder { entity } => outstanding::operate(router, &entity, Operation::FireReminder).await,
        Act::CancelReminder { entity } => outstanding::cancel_reminder(router, &entity).await,
        Act::LogLevel { directives, for_s } => match controls::log_by(&directives, Duration::from_secs(for_s)) {
            Ok(()) => Report::Acted { entities: 0 },
            Err(reason) => Report::Refused { reason },
        },
        Act::PassivateMatching { matching, dry_run } => {
            let asked = router.open.all().into_iter().map(|(_, actor)| {
                let matching = matching.clone();
                async move {
                    let (answer, count) = oneshot::channel();
                    let inspect = Inspect::PassivateMatching { matching, dry_run, answer };
                    actor.cast(ShardMessage::Inspect(inspect)).ok()?;
                    tokio::time::timeout(SHARD_PATIENCE, count).await.ok()?.ok()
                }
            });
            Report::Acted { entities: join_all(asked).await.into_iter().flatten().sum() }
        }
    }
}

async fn one(
    router: &NodeRouter,
    at: &EntityAt,
    inspect: impl FnOnce(Kind, crate::reference::Key, oneshot::Sender<bool>) -> Inspect,
) -> Report {
    let shard = match router.shard_of(&at.kind, &at.key) {
        Ok(shard) => shard,
        Err(failure) => return Report::Refused { reason: failure.to_string() },
    };
    let (Some(actor), Some(entity_type)) = (router.open.get(shard), router.runtime.entity_type(&at.kind)) else {
        return Report::Moved;
    };
    let (answer, done) = oneshot::channel();
    let inspect = inspect(entity_type.kind(), at.key.clone(), answer);
    if actor.cast(ShardMessage::Inspect(inspect)).is_err() {
        return Report::Moved;
    }
    match tokio::time::timeout(SHARD_PATIENCE, done).await {
        Ok(Ok(done)) => Report::Acted { entities: u64::from(done) },
        Ok(Err(_)) => Report::Moved,
        Err(_) => {
            Report::Refused { reason: format!("{shard} did not answer within {} ms", SHARD_PATIENCE.as_millis()) }
        }
    }
}

/// Turns windows, takes points, forgets what nobody looks at any more.
async fn tick(router: Weak<NodeRouter>) {
    let mut machine = Machine::new();
    let mut before = Totals::default();
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut taken = tokio::time::Instant::now();
    let mut turned = taken;
    loop {
        every.tick().await;
        let Some(router) = router.upgrade() else { return };
        let observer = &router.runtime.observer;
        observer.turn();
        observer.tail.rest();
        HOPS.adjust(observer.tail.is_active());
        if taken.elapsed() < POINT_EVERY {
            continue;
        }
        let seconds = taken.elapsed().as_secs_f64();
        taken = tokio::time::Instant::now();
        turn(&router, seconds, turned.elapsed() >= WINDOW);
        if turned.elapsed() >= WINDOW {
            turned = taken;
        }
        let totals = Totals::of(observer);
        let load = machine.look();
        let mut times = super::counts::Times::default();
        observer.kinds().for_each(|(_, seen)| seen.counts.add_times(&mut times));
        #[allow(clippy::cast_precision_loss, reason = "figures to look at")]
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        observer.points.push(Point {
            at_ms: Timestamp::now().0,
            commands_per_s: rate(totals.commands, before.commands),
            refused_per_s: rate(totals.refused, before.refused),
            p99_us: times.quantile(99),
            commits_per_s: rate(totals.commits, before.commits),
            rows_per_s: rate(totals.rows, before.rows),
            loaded: observer.loaded(None),
            in_flight: in_flight(&router),
            unpublished: router.services.values().map(|service| metrics::publish_lag_rows(service)).sum(),
            cpu_percent: load.cpu_percent,
            memory_bytes: load.memory_bytes,
        });
        before = totals;
    }
}

#[derive(Clone, Copy, Default)]
struct Totals {
    commands: u64,
    refused: u64,
    commits: u64,
    rows: u64,
}

impl Totals {
    fn of(observer: &Observer) -> Self {
        let (commands, refused) = observer
            .kinds()
            .map(|(_, seen)| seen.counts.totals())
            .fold((0, 0), |(all, bad), (commands, refused)| (all + commands, bad + refused));
        let (commits, rows) = metrics::committed_totals();
        Self { commands, refused, commits, rows }
    }
}

/// Rates of shards and lanes are of the time since the last turn; when a window is over the next begins.
fn turn(router: &NodeRouter, seconds: f64, is_over: bool) {
    for (_, place) in router.open.places() {
        place.seen.turn(seconds, is_over);
    }
    let mut journals: Vec<_> = router.databases.all().map(|(_, server)| Arc::clone(&server.journal)).collect();
    journals.sort_by_key(Arc::as_ptr);
    journals.dedup_by(|one, other| Arc::ptr_eq(one, other));
    for journal in journals {
        journal.lanes().for_each(|(seen, _, _)| seen.commits.turn(seconds, is_over));
    }
    // The gauge is told what is counted anyway.
    let mut loaded: HashMap<&'static str, i64> = HashMap::new();
    for (kind, seen) in router.runtime.observer.kinds() {
        *loaded.entry(kind.service).or_default() += seen.loaded.load(Ordering::Relaxed);
    }
    loaded.into_iter().for_each(|(service, count)| metrics::loaded(service, count));
}
