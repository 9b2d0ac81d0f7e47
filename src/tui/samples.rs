//! A small cluster for the tests of what is drawn and what keys do.

use std::collections::{BTreeMap, VecDeque};

use nakku_cluster::events::rebuild::Rebuilding;
use nakku_cluster::inspect::infrastructure::{
    ConsumerReport, InfrastructureReport, PublisherReport, StoreReport, WriterReport,
};
use nakku_cluster::inspect::path::{HopReport, PathReport};
use nakku_cluster::inspect::report::{
    Change, CommandReport, CommitReport, EffectReport, EntityReport, EventReport, HistoryReport, LinkReport,
    MoveReport, NodeReport, RecentReport, ShardReport, TailEntry, TopEntry, TypeReport, WaitingReport,
};
use nakku_cluster::status::{ClusterStatus, Dependency, NodeStatus, ServiceStatus};
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use serde_json::{Value, json};

use super::answers::{Content, Listed, Looked, Moved, Silent, Tail, Tailed, Traced};
use super::place::{Ask, EntityName};
use super::state::{Effect, Event, State};
use super::update::update;

/// When everything here happens.
pub const NOW: i64 = 1_800_000_000_000;
/// The node that is asked.
pub const ENDPOINT: &str = "http://127.0.0.1:7947";

/// A state, and what it asked for last.
pub struct Reader {
    pub state: State,
    pub effects: Vec<Effect>,
}

impl Reader {
    pub fn new() -> Self {
        let mut reader = Self { state: State::new(NOW, ENDPOINT.into()), effects: Vec::new() };
        reader.after(0);
        reader
    }

    pub fn happens(&mut self, event: Event) {
        self.effects = update(&mut self.state, event);
    }

    /// So many milliseconds later.
    pub fn after(&mut self, ms: i64) {
        self.happens(Event::Tick { now_at_ms: self.state.now_at_ms + ms });
    }

    pub fn key(&mut self, code: KeyCode) {
        self.happens(Event::Key(KeyEvent::from(code)));
    }

    /// Types.
    pub fn keys(&mut self, text: &str) {
        text.chars().for_each(|character| self.key(KeyCode::Char(character)));
    }

    /// Answers the question that is open, out of the sample.
    pub fn answered(&mut self) {
        let asked = self.state.asked.clone().expect("a question is open");
        self.happens(Event::Looked { number: asked.number, result: Ok(content(&asked.ask)) });
    }

    /// The same with no answer.
    pub fn unanswered(&mut self, reason: &str) {
        let number = self.state.asked.as_ref().expect("a question is open").number;
        self.happens(Event::Looked { number, result: Err(reason.into()) });
    }

    pub fn title(&self) -> String {
        self.state.page().place.title()
    }

    /// What the last event had asked for.
    pub fn asked(&self) -> Option<&Ask> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Look { ask, .. } => Some(ask),
            _ => None,
        })
    }
}

/// What a cluster would answer.
pub fn content(ask: &Ask) -> Content {
    let silent = || vec![Silent { node: "node-3@1".into(), reason: "no answer within 1 s".into() }];
    match ask {
        Ask::Nodes => Content::Nodes(Listed { items: vec![node("node-1@1"), node("node-2@4")], silent: silent() }),
        Ask::Shards => {
            let items = (0..30).map(|number| shard("order", number)).chain([shard("user", 0)]).collect();
            Content::Shards(Listed { items, silent: Vec::new() })
        }
        Ask::Types => {
            let items =
                ["node-1@1", "node-2@4"].iter().flat_map(|node| [kind("order.order", node), kind("user.user", node)]);
            Content::Types(Listed { items: items.collect(), silent: silent() })
        }
        Ask::Top(_) => {
            let entry = |entity: &str, value: f64| TopEntry { entity: entity.into(), node: "node-2@4".into(), value };
            let long = "user.user/u-a-customer-whose-name-is-much-longer-than-any-terminal-could-ever-show-on-one-line";
            let items = vec![entry(long, 1_280.4), entry("order.order/u-1.o-2", 12.3), entry("cart.cart/u-1", 0.4)];
            Content::Top(Listed { items, silent: Vec::new() })
        }
        Ask::Moves => {
            let moved = |what: &str, node: &str| Moved {
                node: node.into(),
                report: MoveReport {
                    shard: "order/7".into(),
                    what: what.into(),
                    cause: "death".into(),
                    other: Some("node-3@1".into()),
                    view_version: 12,
                    at_ms: NOW - 61_000,
                    took_ms: 23,
                },
            };
            let items = vec![moved("opened", "node-2@4"), moved("released", "node-1@1"), moved("lost", "node-3@1")];
            Content::Moves(Listed { items, silent: Vec::new() })
        }
        Ask::Infrastructure => {
            let items = vec![infrastructure("node-1@1", true), infrastructure("node-2@4", false)];
            Content::Infrastructure(Listed { items, silent: silent() })
        }
        Ask::Path(trace) => {
            let hop = |span: &str, parent: &str, what: &str, name: &str| HopReport {
                span: span.into(),
                parent: parent.into(),
                what: what.into(),
                name: name.into(),
                began_at_us: NOW * 1_000,
                took_us: 1_240,
                details: [("outcome".to_owned(), "accepted".to_owned())].into(),
            };
            let ask = hop("b", "a", "ask", "order.order/u-1.o-2");
            let hops = vec![hop("a", "", "request", "POST /api/v1/orders"), ask];
            let hops = hops.into_iter().map(|hop| ("node-1@1".to_owned(), hop)).collect();
            Content::Path(Box::new(Traced { path: PathReport::of(trace.clone(), hops, 0), silent: silent() }))
        }
        Ask::Entity { entity, version, .. } => Content::Entity(Box::new(looked(entity, *version))),
    }
}

/// A command of a tail.
pub fn tailed(number: u64) -> Tailed {
    Tailed {
        node: "node-1@1".into(),
        entry: TailEntry {
            number,
            at_ms: NOW + number as i64,
            entity: format!("order.order/u-1.o-{number}"),
            command: "Confirm".into(),
            outcome: if number.is_multiple_of(2) { "accepted".into() } else { "rejected".into() },
            took_us: 1_234,
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        },
    }
}

/// A tail with some commands.
pub fn tail(count: u64) -> Tail {
    let commands: VecDeque<Tailed> = (0..count).rev().map(tailed).collect();
    Tail { commands, missed: 7, silent: Vec::new() }
}

fn node(name: &str) -> NodeReport {
    let other = if name == "node-1@1" { "node-2@4" } else { "node-1@1" };
    let status = |name: &str, generation: u64| NodeStatus {
        name: name.into(),
        generation,
        state: "up".into(),
        silent_ms: if name == "node-3" { 4_200 } else { 100 },
        roles: vec!["gateway".into(), "order".into()],
        ..NodeStatus::default()
    };
    let owners = BTreeMap::from([("node-1".to_owned(), 11), ("node-2".to_owned(), 11), ("node-3".to_owned(), 10)]);
    NodeReport {
        node: name.into(),
        version: "0.1.0".into(),
        uptime_s: 7_322,
        now_at_ms: NOW,
        lease_valid: true,
        ready: true,
        cpu_percent: if name == "node-1@1" { 97.4 } else { 12.0 },
        memory_bytes: 312 << 20,
        loaded: 12_345,
        in_flight: 7,
        clock_offset_ms: 0,
        admin: None,
        links: vec![
            LinkReport { node: other.into(), connected: true, round_trip_us: Some(410), ..LinkReport::default() },
            LinkReport { node: "node-3@1".into(), connected: false, ..LinkReport::default() },
        ],
        status: ClusterStatus {
            view_version: 12,
            nodes: vec![status("node-1", 1), status("node-2", 4), status("node-3", 1)],
            services: vec![ServiceStatus { name: "order".into(), shards: 32, owners, ..ServiceStatus::default() }],
            ..ClusterStatus::default()
        },
    }
}

/// Of a node to which all is well, or of one whose database repeats and whose Redis is away.
fn infrastructure(node: &str, is_well: bool) -> InfrastructureReport {
    let server = |name: &str, location: &str, up: bool| Dependency {
        name: name.into(),
        location: location.into(),
        up,
        latency_us: 183,
        error: (!up).then(|| "connection refused by the server, which has no listener at this address".into()),
        ..Dependency::default()
    };
    let location = "mysql://10.0.0.12:3306";
    let writer = |lane| WriterReport {
        location: location.into(),
        lane,
        queue: 3,
        queue_max: 8_192,
        commits: CommitReport {
            commits: 4_000,
            commits_per_s: 412.5,
            commands_each: 16.2,
            rows_each: 33.4,
            p50_us: 900,
            p99_us: 21_000,
        },
        failures: if is_well { BTreeMap::new() } else { [("repeat".to_owned(), 2)].into() },
        last_failure: (!is_well && lane == 1).then(|| "a deadlock".into()),
        last_failure_at_ms: (!is_well && lane == 1).then_some(NOW - 12_000),
        ..WriterReport::default()
    };
    InfrastructureReport {
        node: node.into(),
        writers: (0..2).map(writer).collect(),
        stores: vec![StoreReport {
            server: server("database default-1", location, true),
            incarnations: [("order".to_owned(), 1), ("user".to_owned(), 2)].into(),
            refused: Vec::new(),
        }],
        publishers: ["cart", "order"]
            .map(|service| PublisherReport {
                service: service.into(),
                unpublished: if is_well { 0 } else { 12 },
                unpublished_ms: 23_400,
                published: 400,
                failures: 1,
                trouble: (!is_well).then(|| "the broker is away".into()),
            })
            .into(),
        consumers: vec![ConsumerReport {
            group: "nakku-analytics".into(),
            sources: vec!["cart".into(), "order".into()],
            consumed: 390,
            lag: 12,
            dead_lettered: 1,
            rebuilding: (!is_well).then(|| Rebuilding {
                intakes: 110,
                intakes_left: 12,
                rows_read: 400,
                rows: 1_200,
                ..Rebuilding::default()
            }),
            ..ConsumerReport::default()
        }],
        others: vec![server("redis", "10.0.0.13:6379", is_well)],
    }
}

fn shard(service: &str, number: u32) -> ShardReport {
    ShardReport {
        service: service.into(),
        number,
        node: if number.is_multiple_of(2) { "node-1@1".into() } else { "node-2@4".into() },
        term: 3,
        seq: 40_000 + u64::from(number),
        loaded: number * 10,
        commands: 1_000,
        commands_per_s: f64::from(number),
        pinned: number == 4,
        hot: number == 29,
        ..ShardReport::default()
    }
}

fn kind(kind: &str, node: &str) -> TypeReport {
    let outcomes =
        BTreeMap::from([("accepted".to_owned(), 90), ("rejected".to_owned(), 8), ("overloaded".to_owned(), 2)]);
    let command = |name: &str| CommandReport {
        command: name.into(),
        count: 100,
        per_s: 4.5,
        outcomes: outcomes.clone(),
        p50_us: 900,
        p95_us: 4_000,
        p99_us: 18_000,
    };
    TypeReport {
        kind: kind.into(),
        node: node.into(),
        loaded: 500,
        waiting: 3,
        passivated: 40,
        restarted: 1,
        quarantined: u64::from(kind == "user.user"),
        commands: vec![command("Place"), command("Confirm")],
    }
}

fn looked(entity: &EntityName, version: Option<u64>) -> Looked {
    let event = |number: u64| EventReport {
        version: number,
        seq: 400 + number,
        event: "confirmed".into(),
        at_ms: NOW - 5_000,
        writer: "node-2@4".into(),
        cause: "request r-1".into(),
        trace: String::new(),
        payload: json!({ "total_minor": 100 }),
        changes: vec![Change { path: "/status".into(), before: json!("placed"), after: json!("confirmed") }],
    };
    let first = version.unwrap_or(1);
    let last = version.unwrap_or(3);
    Looked {
        report: EntityReport {
            kind: entity.kind.clone(),
            key: entity.key.clone(),
            shard: "order/7".into(),
            node: "node-2@4".into(),
            presence: if version.is_some() { "past".into() } else { "loaded".into() },
            version: last,
            durable_version: last,
            seq: 403,
            loaded_s: version.is_none().then_some(65),
            idle_ms: version.is_none().then_some(2_000),
            waiting: 2,
            waiting_commands: vec![WaitingReport { command: "Cancel".into(), age_ms: 340 }],
            state_bytes: 1_830,
            recent: vec![RecentReport {
                command: "Confirm".into(),
                outcome: "accepted".into(),
                at_ms: NOW - 5_000,
                decided_us: 40,
            }],
            effects: vec![EffectReport {
                step: "charge".into(),
                ordinal: 1,
                running: false,
                attempts: 2,
                calls: vec!["payment.payment/u-1.o-2".into()],
            }],
            wake_at_ms: None,
            masked: vec!["/address".into()],
            state: json!({ "status": "confirmed", "address": Value::Null, "total_minor": 100 }),
        },
        history: Ok(HistoryReport { events: (first..=last).map(event).collect(), more: false, incomplete: None }),
    }
}
