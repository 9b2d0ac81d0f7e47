//! Carries an ask to the owner of its target's shard, here or on another node, and repeats it while the
//! shard moves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use ractor::ActorRef;
use tokio::sync::{Semaphore, watch};

use crate::ask::Ask;
use crate::databases::Databases;
use crate::error::Failure;
use crate::events::{self, ConsumerType, Envelope, EventSink, Page, SealedEnvelope, Signal, Spread, Watch, rebuild};
use crate::handle::{Outcome, Router};
use crate::handoff::{ACKNOWLEDGED, OpenShards, Placement};
use crate::inspect::inspector::Asked;
use crate::inspect::{self, Everywhere, Question, Report, ViewChange};
use crate::journal::ReplyTo;
use crate::link::{Inbound, LinkFailure, Links, Request};
use crate::membership::{Membership, NodeId};
use crate::metrics;
use crate::query::{Freshness, PAGE_MAX, Query};
use crate::reference::{Address, ShardId};
use crate::runtime::Runtime;
use crate::shard::{Delivery, ShardMessage};
use crate::status::ClusterStatus;
use crate::store::{ListedRow, StateTable, StoreError};
use crate::topology::{Topology, shard_of};
use crate::trace::{Step, Traceparent};
use crate::wire::{self, WireAnswer, WireAsk, WireCall, WireHistory, WireList, WireReread};

/// The first pause before an ask is repeated; it doubles up to [`PAUSE_MAX`]. A new placement ends it.
const PAUSE_FIRST: Duration = Duration::from_millis(4);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// How long the owner of a shard may take for a list that lies there, before it is read without it.
const LIST_PATIENCE: Duration = Duration::from_secs(1);
/// The longest body of a command or reply.
pub const COMMAND_BYTES_MAX: usize = 512 * 1024;
/// The longest chain of callers.
pub const CHAIN_MAX: usize = 16;

pub(crate) struct NodeRouter {
    pub node: NodeId,
    pub runtime: Arc<Runtime>,
    pub topology: Topology,
    pub services: HashMap<String, &'static str>,
    pub placement: watch::Receiver<Arc<Placement>>,
    pub open: Arc<OpenShards>,
    pub databases: Arc<Databases>,
    pub links: OnceLock<Arc<Links>>,
    pub spread: Arc<Spread>,
    pub membership: OnceLock<Arc<Membership>>,
    /// Asks that wait here for a shard that moves.
    pub held: Semaphore,
    pub ready: watch::Receiver<bool>,
    /// Where events go when not straight to the consumers of this cluster.
    pub broker: Option<Arc<dyn EventSink>>,
    pub tables: HashMap<String, StateTable>,
    pub inspector: OnceLock<ActorRef<Asked>>,
    /// Where its admin API is, `host:port`.
    pub admin: OnceLock<String>,
    /// What consumes events for the services that this node runs.
    pub consumers: Vec<ConsumerType>,
}

#[async_trait]
impl Router for NodeRouter {
    async fn ask(&self, target: Address, command: Vec<u8>, ask: Ask) -> Outcome {
        let step = Step::ask(ask.traceparent, &target);
        let outcome = self.carry(target, command, ask, &step).await;
        step.note("outcome", outcome.label());
        outcome
    }

    async fn list(&self, table: StateTable, query: &Query) -> Result<Vec<ListedRow>, Failure> {
        let call = WireCall::List(WireList::new(table.kind.to_string(), query));
        if let Some(owner) = self.owner_of_list(table, query)?.filter(|owner| *owner != self.node) {
            match self.call(&owner, call.clone(), Bytes::new(), None, LIST_PATIENCE).await {
                Ok(WireAnswer::Rows { rows }) => return Ok(rows.into_iter().map(Into::into).collect()),
                Ok(answer) => tracing::debug!(%owner, ?answer, "a list is read without the owner of its shard"),
                Err(failure) => tracing::debug!(%owner, %failure, "a list is read without the owner of its shard"),
            }
        }
        if self.databases.of_service(table.kind.service).is_some() {
            return self.list_here(table, query).await;
        }
        match self.call_any(table.kind.service, &call).await? {
            WireAnswer::Rows { rows } => Ok(rows.into_iter().map(Into::into).collect()),
            other => Err(unexpected(&other)),
        }
    }

    async fn history(&self, target: &Address, after_seq: u64, limit: u32) -> Result<Vec<Envelope>, Failure> {
        let shard = self.shard_of(&target.kind, &target.key)?;
        if self.databases.of_service(shard.service).is_some() {
            return self.history_here(shard, target, after_seq, limit).await;
        }
        let (kind, key) = (target.kind.to_string(), target.key.clone());
        let call = WireCall::History(WireHistory { kind, key, after_seq, limit });
        match self.call_any(shard.service, &call).await? {
            WireAnswer::Events { json } => json.events(),
            other => Err(unexpected(&other)),
        }
    }

    async fn reread(&self, service: &str, shard: u32, after: u64, until: u64) -> Result<Page, Failure> {
        if self.databases.of_service(service).is_some() {
            return self.reread_here(service, shard, after, until).await;
        }
        let call = WireCall::Reread(WireReread { service: service.to_owned(), shard, after, until });
        match self.call_any(service, &call).await? {
            WireAnswer::Page { json } => json.page(),
            other => Err(unexpected(&other)),
        }
    }

    async fn status(&self) -> ClusterStatus {
        crate::node::status::of(self).await
    }

    async fn inspect(&self, node: &str, question: Question) -> Result<Report, Failure> {
        let named = inspect::ask::named(self, node);
        let node = named.ok_or_else(|| Failure::Invalid { reason: format!("no node {node:?} is in the view") })?;
        inspect::ask::one(self, &node, question).await
    }

    async fn inspect_owner(&self, target: &Address, question: Question) -> Result<Report, Failure> {
        inspect::ask::owner(self, target, question).await
    }

    async fn inspect_all(&self, questions: Vec<(NodeId, Question)>) -> Everywhere {
        inspect::ask::everywhere(self, questions).await
    }

    fn members(&self) -> Vec<NodeId> {
        inspect::ask::members(self)
    }

    async fn change_view(&self, change: ViewChange) -> Result<u64, Failure> {
        inspect::view::change(self, change).await
    }

    fn tell_admin(&self, listen: SocketAddr) {
        let membership = self.membership.get().map(|membership| membership.view().borrow().clone());
        let links = membership.and_then(|view| view.member(&self.node).map(|member| member.link_address.clone()));
        let host = links.as_deref().and_then(|links| links.rsplit_once(':')).map(|(host, _)| host);
        let address = match host {
            // On all addresses: the one under which its links are found is one of them.
            Some(host) if listen.ip().is_unspecified() => format!("{host}:{}", listen.port()),
            _ => listen.to_string(),
        };
        // The first one counts: a node has one admin listener.
        let _ = self.admin.set(address);
    }

    fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    fn live(&self, services: Option<&[&str]>) -> Watch {
        self.spread.watch(services)
    }

    fn signal(&self, signal: Signal) {
        self.spread.signal(signal);
    }
}

impl NodeRouter {
    /// Carries an ask to its target until it has an answer that stands.
    async fn carry(&self, target: Address, command: Vec<u8>, ask: Ask, step: &Step) -> Outcome {
        let deadline = Instant::now() + ask.deadline;
        let shard = match self.check(&target, &command, &ask) {
            Ok(shard) => shard,
            Err(failure) => return Outcome::Failed(failure),
        };
        let call = WireAsk {
            kind: target.kind.to_string(),
            key: target.key,
            once: ask.once,
            chain: ask.chain,
            deadline_ms: 0,
        };
        let command = Bytes::from(command);
        let mut placement = self.placement.clone();
        let mut held = None;
        let mut pause = PAUSE_FIRST;
        loop {
            let failure = match self.attempt(shard, &call, &command, step, deadline).await {
                // Moved has not been executed; an unknown outcome may be repeated because commands are
                // idempotent, by business key or by id.
                Outcome::Failed(failure @ (Failure::Moved { .. } | Failure::TimedOut)) => failure,
                settled => return settled,
            };
            if Instant::now() + pause >= deadline {
                return Outcome::Failed(match failure {
                    Failure::Moved { shard } => Failure::Unavailable { what: shard, retry_after_ms: 1000 },
                    other => other,
                });
            }
            if held.is_none() {
                match self.held.try_acquire() {
                    Ok(permit) => held = Some(permit),
                    Err(_) => {
                        let queue = "asks that wait for moving shards".into();
                        return Outcome::Failed(Failure::Overloaded { queue, retry_after_ms: 500 });
                    }
                }
            }
            // Either the placement changes or the pause ends; both are reasons to look again.
            let _ = tokio::time::timeout(pause, placement.changed()).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn check(&self, target: &Address, command: &[u8], ask: &Ask) -> Result<ShardId, Failure> {
        if ask.chain.contains(target) {
            let path = ask.chain.iter().chain([target]).map(ToString::to_string).collect();
            return Err(Failure::Cycle { path });
        }
        if ask.chain.len() >= CHAIN_MAX {
            return Err(Failure::Invalid { reason: format!("more than {CHAIN_MAX} entities wait for each other") });
        }
        if command.len() > COMMAND_BYTES_MAX {
            let reason = format!("a command of {} bytes is larger than {COMMAND_BYTES_MAX}", command.len());
            return Err(Failure::Invalid { reason });
        }
        self.shard_of(&target.kind, &target.key)
    }

    pub(crate) fn shard_of(&self, kind: &str, key: &crate::reference::Key) -> Result<ShardId, Failure> {
        let service = kind.split('.').next().and_then(|name| self.services.get(name));
        let Some(service) = service.filter(|_| self.tables.contains_key(kind)) else {
            return Err(Failure::Invalid { reason: format!("no entity is called {kind}") });
        };
        Ok(ShardId { service, number: shard_of(key, self.topology.service(service).shard_count) })
    }

    /// One try, at the present owner.
    async fn attempt(
        &self,
        shard: ShardId,
        call: &WireAsk,
        command: &Bytes,
        step: &Step,
        deadline: Instant,
    ) -> Outcome {
        let owner = self.placement.borrow().owner(shard).cloned();
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(owner) = &owner {
            step.note("node", &*owner.name);
        }
        let traceparent = step.traceparent;
        match owner {
            None => Outcome::Failed(Failure::Moved { shard: shard.to_string() }),
            Some(owner) if owner == self.node => self.deliver(shard, call, command, traceparent, left).await,
            Some(owner) => {
                let mut call = call.clone();
                call.deadline_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                match self.call(&owner, WireCall::Ask(call), command.clone(), traceparent, left).await {
                    Ok(answer) => answer.into_outcome(),
                    Err(failure) => Outcome::Failed(failure.of_shard(shard)),
                }
            }
        }
    }

    /// Hands a command to an open shard of this node and waits for the answer.
    async fn deliver(
        &self,
        shard: ShardId,
        call: &WireAsk,
        command: &[u8],
        traceparent: Option<Traceparent>,
        left: Duration,
    ) -> Outcome {
        let moved = || Outcome::Failed(Failure::Moved { shard: shard.to_string() });
        let Some(actor) = self.open.get(shard) else { return moved() };
        let Some(entity_type) = self.runtime.entity_type(&call.kind) else { return moved() };
        let Ok(_permit) = self.runtime.in_flight.try_acquire() else {
            let queue = "commands under way on this node".into();
            return Outcome::Failed(Failure::Overloaded { queue, retry_after_ms: 200 });
        };
        let arrived = Instant::now();
        let (reply, answer) = ReplyTo::channel();
        let observation = self.runtime.observer.arrived(entity_type.kind(), &call.key, command, traceparent);
        let delivery = Box::new(Delivery {
            command: command.to_vec(),
            once: call.once.clone(),
            traceparent,
            arrived,
            deadline: arrived + left,
            reply: reply.observed(observation),
        });
        let message = ShardMessage::Deliver { entity_type: Arc::clone(entity_type), key: call.key.clone(), delivery };
        if actor.cast(message).is_err() {
            return moved();
        }
        match tokio::time::timeout(left, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Outcome::Failed(Failure::TimedOut),
        }
    }

    pub(crate) async fn call(
        &self,
        to: &NodeId,
        call: WireCall,
        body: Bytes,
        traceparent: Option<Traceparent>,
        left: Duration,
    ) -> Result<WireAnswer, LinkFailure> {
        let links = self.links.get().ok_or(LinkFailure::NotConnected)?;
        let request = Request {
            service: Arc::from(call.service()),
            header: wire::encode(&call),
            body,
            traceparent: traceparent.map(|one| one.to_string()),
            epoch: self.placement.borrow().view_version,
        };
        let answer = links.request(to, request, left).await?;
        Ok(wire::decode_answer(&answer))
    }

    /// Asks the nodes that run a service, one after the other, until one answers: for reads from the database
    /// that all of them share.
    async fn call_any(&self, service: &str, call: &WireCall) -> Result<WireAnswer, Failure> {
        let view = self.membership.get().map(|membership| membership.view().borrow().clone());
        let members = view.iter().flat_map(|view| view.eligible(service)).map(|member| &member.node);
        let mut last = Failure::Unavailable { what: format!("service {service}"), retry_after_ms: 1000 };
        for member in members {
            match self.call(member, call.clone(), Bytes::new(), None, Duration::from_secs(2)).await {
                Ok(WireAnswer::Failed { failure }) => last = failure,
                Ok(answer) => return Ok(answer),
                Err(failure) => tracing::debug!(%member, %failure, "a read was not answered"),
            }
        }
        Err(last)
    }

    async fn history_here(
        &self,
        shard: ShardId,
        target: &Address,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<Envelope>, Failure> {
        let unavailable = |what: String| Failure::Unavailable { what, retry_after_ms: 1000 };
        let server = self.databases.of_shard(shard).ok_or_else(|| unavailable(format!("database of {shard}")))?;
        let entity = target.kind.split_once('.').map_or("", |(_, entity)| entity);
        let entity = format!("{entity}/{}", target.key);
        let limit = limit.clamp(1, PAGE_MAX);
        let rows = server.store.entity_journal(shard.service, shard.number, &entity, after_seq, limit).await;
        let rows = rows.map_err(|error| unavailable(error.to_string()))?;
        let events = rows.iter().filter_map(|row| events::of_row(&self.runtime, &self.databases, shard, row, 0));
        Ok(events.map(SealedEnvelope::opened).collect())
    }

    async fn reread_here(&self, service: &str, shard: u32, after: u64, until: u64) -> Result<Page, Failure> {
        let known = self.services.get(service).filter(|name| shard < self.topology.service(name).shard_count);
        let service = known.ok_or_else(|| Failure::Invalid { reason: format!("no shard {shard} of {service}") })?;
        rebuild::read(&self.runtime, &self.databases, ShardId { service, number: shard }, after, until).await
    }

    /// Whether an owner must be asked first, since it alone knows what the list must contain.
    fn owner_of_list(&self, table: StateTable, query: &Query) -> Result<Option<NodeId>, Failure> {
        let Freshness::Own(key) = &query.freshness else { return Ok(None) };
        // Where everything is read from the primary, nobody needs to know.
        if self.databases.of_service(table.kind.service).is_some() && self.databases.replicas().next().is_none() {
            return Ok(None);
        }
        let shard = self.shard_of(&table.kind.to_string(), key)?;
        Ok(self.placement.borrow().owner(shard).cloned())
    }

    /// What the list must contain: the last durable row of the shard where it lies, while this node is certainly
    /// the one that knows.
    fn reach(&self, shard: ShardId) -> Option<u64> {
        let place = self.open.place(shard).filter(|place| place.lease_holds())?;
        Some(place.durable_seq.load(Ordering::Acquire)).filter(|seq| *seq > 0)
    }

    async fn list_here(&self, table: StateTable, query: &Query) -> Result<Vec<ListedRow>, Failure> {
        let service = table.kind.service;
        let servers = self.databases.of_service(service).unwrap_or_default();
        if self.databases.incarnations().is_any_refused(service) {
            let what = format!("database of {service}");
            return Err(Failure::Unavailable { what, retry_after_ms: 1000 });
        }
        let own = match &query.freshness {
            Freshness::Own(key) => Some(self.shard_of(&table.kind.to_string(), key)?),
            Freshness::Latest | Freshness::Recent => None,
        };
        let reach = own.and_then(|shard| self.reach(shard).map(|seq| (shard.number, seq)));
        let may_be_replica = query.freshness == Freshness::Recent || reach.is_some();
        let query = Query { limit: query.limit.clamp(1, PAGE_MAX), ..query.clone() };
        let mut rows = Vec::new();
        for (name, server) in servers {
            if own.is_some_and(|shard| self.databases.server_of(shard) != name) {
                continue;
            }
            if let Some(replica) = self.databases.replica_of(name).filter(|_| may_be_replica) {
                match replica.list(&table, &query, reach).await {
                    Ok(listed) => {
                        metrics::listed(service, "replica");
                        rows.extend(listed);
                        continue;
                    }
                    Err(unfit) => metrics::list_fell_back(service, unfit.label()),
                }
            }
            metrics::listed(service, "primary");
            rows.extend(server.store.list(&table, &query).await.map_err(|error| match error {
                StoreError::Unavailable { location, .. } => {
                    Failure::Unavailable { what: format!("database {location}"), retry_after_ms: 1000 }
                }
                StoreError::Refused { cause, .. } => Failure::Invalid { reason: cause },
            })?);
        }
        rows.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        rows.truncate(query.limit as usize);
        Ok(rows)
    }
}

#[async_trait]
impl Inbound for NodeRouter {
    async fn request(&self, from: &NodeId, request: Request) -> Bytes {
        let answer = match wire::decode_call(&request.header) {
            Err(failure) => WireAnswer::Failed { failure },
            Ok(WireCall::Watch(watch)) => self.spread.told(from, &watch),
            Ok(WireCall::Ask(call)) => match self.shard_of(&call.kind, &call.key) {
                Err(failure) => WireAnswer::Failed { failure },
                Ok(shard) => {
                    let left = Duration::from_millis(call.deadline_ms);
                    let given = request.traceparent.as_deref().and_then(Traceparent::parse);
                    let step = Step::link(given, &from.name, &call.kind);
                    self.deliver(shard, &call, &request.body, step.traceparent, left).await.into()
                }
            },
            Ok(WireCall::List(list)) => match self.tables.get(&list.kind) {
                None => WireAnswer::Failed { failure: Failure::Invalid { reason: format!("no {}", list.kind) } },
                Some(table) => match list.query(table) {
                    Err(failure) => WireAnswer::Failed { failure },
                    Ok(query) => match self.list_here(*table, &query).await {
                        Ok(rows) => WireAnswer::Rows { rows: rows.into_iter().map(Into::into).collect() },
                        Err(failure) => WireAnswer::Failed { failure },
                    },
                },
            },
            Ok(WireCall::Inspect(inspect)) => match inspect.question() {
                Err(failure) => WireAnswer::Failed { failure },
                Ok(question) => WireAnswer::from(&inspect::ask::here(self, question).await),
            },
            Ok(WireCall::History(WireHistory { kind, key, after_seq, limit })) => match self.shard_of(&kind, &key) {
                Err(failure) => WireAnswer::Failed { failure },
                Ok(shard) => {
                    let target = Address { kind: kind.into(), key };
                    self.history_here(shard, &target, after_seq, limit).await.into()
                }
            },
            Ok(WireCall::Reread(WireReread { service, shard, after, until })) => {
                self.reread_here(&service, shard, after, until).await.into()
            }
        };
        wire::encode(&answer)
    }

    fn notice(&self, _from: &NodeId, notice: Bytes) {
        if self.spread.take(&notice) {
            return;
        }
        // Otherwise it says that the view has changed.
        match self.membership.get() {
            Some(membership) if notice == ACKNOWLEDGED => membership.poke_if_waiting(),
            Some(membership) => membership.poke(),
            None => {}
        }
    }
}

fn unexpected(answer: &WireAnswer) -> Failure {
    Failure::Invalid { reason: format!("the node answered something else: {answer:?}").chars().take(200).collect() }
}
