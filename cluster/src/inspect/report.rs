//! What a node answers. Times are milliseconds since 1970 where they end in `_at_ms`, durations have their unit last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::infrastructure::InfrastructureReport;
use super::path::HopReport;
use crate::status::ClusterStatus;

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "report", content = "of", rename_all = "snake_case")]
pub enum Report {
    /// See [`Question::Node`](super::Question::Node).
    Node(Box<NodeReport>),
    /// See [`Question::Shards`](super::Question::Shards).
    Shards(Vec<ShardReport>),
    /// See [`Question::Moves`](super::Question::Moves).
    Moves(Vec<MoveReport>),
    /// See [`Question::Types`](super::Question::Types).
    Types(Vec<TypeReport>),
    /// See [`Question::Entity`](super::Question::Entity).
    Entity(Box<EntityReport>),
    /// See [`Question::History`](super::Question::History).
    History(HistoryReport),
    /// See [`Question::Top`](super::Question::Top).
    Top(Vec<TopEntry>),
    /// See [`Question::Tail`](super::Question::Tail).
    Tail(TailReport),
    /// See [`Question::Path`](super::Question::Path).
    Hops {
        /// As they ended.
        hops: Vec<HopReport>,
        /// So many more are not told of.
        left_out: u64,
    },
    /// See [`Question::Tree`](super::Question::Tree).
    Tree(Branch),
    /// See [`Question::Infrastructure`](super::Question::Infrastructure).
    Infrastructure(Box<InfrastructureReport>),
    /// See [`Question::Points`](super::Question::Points).
    Points(Vec<Point>),
    /// How many entities an act concerned.
    Acted {
        /// So many.
        entities: u64,
    },
    /// The shard is not here, or not yet: nothing was done. The asking side asks its owner again.
    Moved,
    /// See [`Question::Profile`](super::Question::Profile).
    Profiled {
        /// By which its parts are asked for.
        number: u64,
        /// How long it is.
        bytes: u64,
    },
    /// See [`Question::ProfilePart`](super::Question::ProfilePart).
    ProfilePart {
        /// As base64.
        base64: String,
    },
    /// There is no such entity, or its shard is not here.
    Absent {
        /// What is missing.
        what: String,
    },
    /// The question can't be answered.
    Refused {
        /// Why.
        reason: String,
    },
}

/// The answers of all nodes to one question.
#[derive(Clone, Debug, Default)]
pub struct Everywhere {
    /// By node, `name@generation`.
    pub answers: Vec<(String, Report)>,
    /// Nodes that did not answer in time, and what is known of the reason.
    pub silent: Vec<(String, String)>,
}

/// One node, as it sees itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct NodeReport {
    /// `name@generation`.
    pub node: String,
    /// Of the program.
    pub version: String,
    /// How long it has been running.
    pub uptime_s: u64,
    /// Its clock when it answered.
    pub now_at_ms: i64,
    /// Whether its lease holds.
    pub lease_valid: bool,
    /// False while it joins or drains.
    pub ready: bool,
    /// By how much its clock is before that of the node that was asked, as well as a question and its answer tell.
    #[serde(default)]
    pub clock_offset_ms: i64,
    /// Where its admin API listens, `host:port`, if it has one.
    #[serde(default)]
    pub admin: Option<String>,
    /// Processor time of the process over the last few seconds, in percent of one processor.
    pub cpu_percent: f64,
    /// Resident memory of the process.
    pub memory_bytes: u64,
    /// Entities in memory.
    pub loaded: u64,
    /// Commands under way for its own entities.
    pub in_flight: u64,
    /// Its links.
    pub links: Vec<LinkReport>,
    /// What it knows of the cluster.
    pub status: ClusterStatus,
}

/// A link to another node.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct LinkReport {
    /// `name@generation`.
    pub node: String,
    /// Whether requests can be sent.
    pub connected: bool,
    /// Through both nodes' actors and back.
    pub round_trip_us: Option<u64>,
    /// Requests that are not answered.
    pub in_flight: u32,
    /// Their bytes.
    pub in_flight_bytes: u64,
    /// For how long it has been so.
    pub since_s: u64,
}

/// A shard that a node serves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ShardReport {
    /// The service.
    pub service: String,
    /// Its number.
    pub number: u32,
    /// The node that serves it.
    pub node: String,
    /// Of this hold on it.
    pub term: u64,
    /// Its last journal row.
    pub seq: u64,
    /// Entities in memory.
    pub loaded: u32,
    /// Commands since it was opened.
    pub commands: u64,
    /// Commands a second over the last few seconds.
    pub commands_per_s: f64,
    /// Whether an operator has put it there.
    #[serde(default)]
    pub pinned: bool,
    /// Whether it is asked much more than the other shards of its service are.
    #[serde(default)]
    pub hot: bool,
    /// The transactions that it was part of; their rows are its own.
    #[serde(default)]
    pub commits: CommitReport,
    /// Rows that are not published yet.
    #[serde(default)]
    pub unpublished: u64,
    /// How long the oldest of them has waited.
    #[serde(default)]
    pub unpublished_ms: u64,
}

/// Transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommitReport {
    /// Since the beginning.
    pub commits: u64,
    /// A second, over the last few seconds.
    pub commits_per_s: f64,
    /// Decisions in one, on average over the last few seconds: the size of batches.
    pub commands_each: f64,
    /// Rows in one.
    pub rows_each: f64,
    /// Half took at most so long, of the last half minute or minute.
    pub p50_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
}

/// A shard is hot when it is asked so many times as often as the others of its service are on average,
const HOT_TIMES: f64 = 4.0;
/// and at least so often a second.
const HOT_PER_S: f64 = 5.0;

/// Marks the shards that stand out; all shards of their services have to be there.
pub fn mark_hot(shards: &mut [ShardReport]) {
    let mut services: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    for shard in &*shards {
        let (sum, count) = services.entry(shard.service.clone()).or_default();
        *sum += shard.commands_per_s;
        *count += 1;
    }
    for shard in shards {
        let (sum, count) = services[&shard.service];
        let others = (sum - shard.commands_per_s).max(0.0) / f64::from(count.saturating_sub(1).max(1));
        shard.hot = shard.commands_per_s >= HOT_PER_S && count > 1 && shard.commands_per_s > HOT_TIMES * others;
    }
}

/// A shard that came or went.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MoveReport {
    /// `service/number`.
    pub shard: String,
    /// `opened`, `released` or `lost`.
    pub what: String,
    /// Why: `join`, `leave`, `death`, `drain`, `undrain`, `pin`, `unpin`, `resume` (of rebalancing), `rebalance`,
    /// `fault` (its actor failed, or another node has written to it) or `incarnation` (of its database).
    #[serde(default)]
    pub cause: String,
    /// The node, `name@generation`, that had it before, or has it now, if there is one.
    #[serde(default)]
    pub other: Option<String>,
    /// Under which view.
    pub view_version: u64,
    /// When.
    pub at_ms: i64,
    /// How long it took: from the view to the first command that may be decided here, or to the last that was.
    pub took_ms: u64,
}

/// One kind of entity on one node.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct TypeReport {
    /// `service.entity`.
    pub kind: String,
    /// The node.
    pub node: String,
    /// In memory.
    pub loaded: u64,
    /// Waiting in front of their entities.
    pub waiting: u64,
    /// Since the node started.
    pub passivated: u64,
    /// Since the node started.
    pub restarted: u64,
    /// Set aside right now.
    pub quarantined: u64,
    /// By command.
    pub commands: Vec<CommandReport>,
}

/// One command of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandReport {
    /// Its name.
    pub command: String,
    /// How often since the node started.
    pub count: u64,
    /// A second, over the last half minute or minute.
    pub per_s: f64,
    /// How they ended since the node started: `accepted`, `rejected`, or the failure.
    pub outcomes: BTreeMap<String, u64>,
    /// Half were answered within, of the last half minute or minute.
    pub p50_us: u64,
    /// 95 of 100.
    pub p95_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
}

/// One entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct EntityReport {
    /// `service.entity`.
    pub kind: String,
    /// Which one.
    pub key: String,
    /// The shard.
    pub shard: String,
    /// The node that serves it.
    pub node: String,
    /// `loaded`, `passivated`, `quarantined`, `busy` (it does not answer; what is shown is as last committed) or
    /// `past` (as of a version).
    pub presence: String,
    /// How many events it has had.
    pub version: u64,
    /// Of these, durable.
    pub durable_version: u64,
    /// Its last journal row.
    pub seq: u64,
    /// How long it has been in memory.
    pub loaded_s: Option<u64>,
    /// When it was asked last, in this memory.
    pub idle_ms: Option<u64>,
    /// Commands that wait.
    pub waiting: u32,
    /// The first of them, in the order in which they came.
    #[serde(default)]
    pub waiting_commands: Vec<WaitingReport>,
    /// Bytes of its head.
    pub state_bytes: u64,
    /// What was decided last, newest first.
    pub recent: Vec<RecentReport>,
    /// What is outstanding elsewhere.
    pub effects: Vec<EffectReport>,
    /// When it must be awake.
    pub wake_at_ms: Option<i64>,
    /// Members that were masked in `state`.
    pub masked: Vec<String>,
    /// The state.
    pub state: Value,
}

/// A command that waits for its entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingReport {
    /// Its name.
    pub command: String,
    /// How long it has waited.
    pub age_ms: u64,
}

/// A command that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecentReport {
    /// Its name.
    pub command: String,
    /// How it ended.
    pub outcome: String,
    /// When.
    pub at_ms: i64,
    /// How long the decision took.
    pub decided_us: u64,
}

/// An effect that is outstanding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectReport {
    /// The step.
    pub step: String,
    /// Its repeat.
    pub ordinal: u64,
    /// Whether its calls are under way here.
    pub running: bool,
    /// Failed attempts here.
    pub attempts: u32,
    /// Whom it calls.
    pub calls: Vec<String>,
}

/// Events of one entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct HistoryReport {
    /// Oldest first.
    pub events: Vec<EventReport>,
    /// Whether there are more behind the last one.
    pub more: bool,
    /// Why changes are not shown, when the journal lacks the entity's beginning.
    pub incomplete: Option<String>,
}

/// One event of an entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct EventReport {
    /// The entity's version with it.
    pub version: u64,
    /// Its journal row.
    pub seq: u64,
    /// Its type.
    pub event: String,
    /// When it was decided.
    pub at_ms: i64,
    /// The node that wrote it.
    pub writer: String,
    /// What led to it, if that has an id.
    pub cause: String,
    /// Its trace, if it has one.
    pub trace: String,
    /// The event.
    pub payload: Value,
    /// What it changed in the state: JSON pointer, before, after.
    pub changes: Vec<Change>,
}

/// One member of a state that an event changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// JSON pointer.
    pub path: String,
    /// Null when it was absent.
    pub before: Value,
    /// Null when it is gone.
    pub after: Value,
}

/// An entity that stands out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopEntry {
    /// `service.entity/key`.
    pub entity: String,
    /// The node.
    pub node: String,
    /// What it stands out by: commands or microseconds a second, commands that wait, bytes.
    pub value: f64,
}

/// See [`Question::Tail`](super::Question::Tail).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TailReport {
    /// Oldest first.
    pub commands: Vec<TailEntry>,
    /// The newest number there is, to go on from.
    pub last: u64,
    /// Numbers behind `after` that are gone because they came too fast.
    pub missed: u64,
}

/// A command that was answered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TailEntry {
    /// Counts up on one node.
    pub number: u64,
    /// When it was answered.
    pub at_ms: i64,
    /// `service.entity/key`.
    pub entity: String,
    /// Its name.
    pub command: String,
    /// How it ended.
    pub outcome: String,
    /// From its arrival at the node to its answer.
    pub took_us: u64,
    /// Its trace, if it has one.
    pub trace: String,
}

/// A supervisor or what it supervises.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Branch {
    /// What it is called.
    pub name: String,
    /// What it says of itself.
    pub detail: String,
    /// Restarts of what is under it.
    pub restarts: u64,
    /// What it supervises.
    #[schema(no_recursion)]
    pub children: Vec<Branch>,
}

/// Figures of one moment, or of the five seconds before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Point {
    /// When.
    pub at_ms: i64,
    /// Commands answered a second.
    pub commands_per_s: f64,
    /// Of these, not accepted.
    pub refused_per_s: f64,
    /// 99 of 100 commands were answered within.
    pub p99_us: u64,
    /// Transactions a second.
    pub commits_per_s: f64,
    /// Rows a second.
    pub rows_per_s: f64,
    /// Entities in memory.
    pub loaded: u64,
    /// Commands under way.
    pub in_flight: u64,
    /// Rows that are not published yet.
    pub unpublished: u64,
    /// Processor time, in percent of one processor.
    pub cpu_percent: f64,
    /// Resident memory.
    pub memory_bytes: u64,
}
