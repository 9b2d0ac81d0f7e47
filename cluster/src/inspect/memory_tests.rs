//! What the inspector of a node holds when everything that it keeps is full, with values as long as they may be: counted
//! by the allocator, in a process of its own, since other tests of this program allocate as well.

use std::alloc::System;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use super::commits::{LaneSeen, ShardSeen};
use super::counts::NAMES_MAX;
use super::entity::HISTORY_BYTES_MAX;
use super::hitters::{FOLLOWED_MAX, Hitters};
use super::hops::{self, Begun, HOPS};
use super::inspector::ANSWERS_KIB_MAX;
use super::moves::REMEMBERED_MAX;
use super::observe::Observer;
use super::points::POINTS_MAX;
use super::profile::{self, PROFILE_BYTES_MAX};
use super::question::{ENTRIES_MAX, EntityAt, Question, TopBy};
use super::report::{
    Branch, Change, EventReport, HistoryReport, MoveReport, Point, Report, ShardReport, TopEntry, TypeReport,
};
use super::tail::{KEPT_MAX, TOLD_MAX};
use crate::handle::Outcome;
use crate::membership::view::NODE_NAME_BYTES_MAX;
use crate::reference::{KEY_BYTES_MAX, Key, Kind};
use crate::store::CommitError;
use crate::trace::Traceparent;
use crate::wire::{self, WireAnswer};

#[global_allocator]
static ALLOCATED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What must hold, whatever is watched.
const INSPECTOR_BYTES_MAX: usize = 32 << 20;
/// Kinds of entities on one node: half as many again as the shop has.
const KINDS: usize = 32;
/// Shards on one node: three times as many as the shop's ten services have on a single one.
const SHARDS: usize = 960;
/// Lanes of all journals of one node: eight servers with eight each.
const LANES: usize = 64;
/// The longest name of a service or an entity that there is, and then some.
const NAME_BYTES: usize = 32;
/// What a database says when it refuses something.
const ERROR_BYTES: usize = 1_024;
/// Set in the process that is measured.
const ALONE: &str = "NAKKU_TEST_ALONE";
const NAME: &str = "inspect::memory_tests::everything_that_is_kept_fits_32_mib";

#[test]
fn everything_that_is_kept_fits_32_mib() {
    if std::env::var_os(ALONE).is_some() {
        return fill();
    }
    let program = std::env::current_exe().expect("this program has a path");
    let alone = Command::new(program).args([NAME, "--exact", "--nocapture"]).env(ALONE, "1").output();
    let alone = alone.expect("this program can be started again");
    let said = String::from_utf8_lossy(&alone.stdout);
    println!("{said}");
    assert!(alone.status.success(), "{said}{}", String::from_utf8_lossy(&alone.stderr));
    assert!(said.contains("1 passed"), "the test was not found under its name: {said}");
}

/// Bytes that are allocated and not freed.
fn held() -> usize {
    let stats = ALLOCATED.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What is held, part by part.
struct Parts {
    before: usize,
    all: usize,
}

impl Parts {
    /// What the work before this has left.
    fn note(&mut self, what: &str) -> usize {
        let now = held();
        let bytes = now.saturating_sub(self.before);
        println!("{:>9.1} KiB  {what}", bytes as f64 / 1024.0);
        self.all += bytes;
        self.before = held();
        bytes
    }
}

fn fill() {
    // Names of kinds are part of the program.
    let kinds: Vec<Kind> = (0..KINDS).map(|number| Kind { service: leaked(number), entity: leaked(number) }).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut parts = Parts { before: held(), all: 0 };

    let observer = Arc::new(Observer::new(kinds.iter().copied()));
    for (number, kind) in kinds.iter().enumerate() {
        for name in 0..NAMES_MAX + 5 {
            answer(&observer, *kind, number, name);
        }
    }
    parts.note("counts of commands by kind and name");
    for hitters in [&observer.messages, &observer.time_us, &observer.state_bytes] {
        fill_hitters(hitters, kinds[0]);
    }
    parts.note("entities that stand out");
    assert_eq!(observer.messages.sums(usize::MAX).len(), 2 * FOLLOWED_MAX);
    // Somebody follows, and takes nothing.
    let started = observer.tail.look(0, ENTRIES_MAX, |_| true).last;
    for number in 0..KEPT_MAX + 1_000 {
        answer(&observer, kinds[number % KINDS], number, number % NAMES_MAX);
    }
    parts.note("commands as they were answered");
    (0..POINTS_MAX * 2).for_each(|_| observer.points.push(Point::default()));
    (0..REMEMBERED_MAX * 2).for_each(|number| observer.moves.note(moved(number)));
    parts.note("the last quarter of an hour, moves of shards");
    let shards: Vec<Arc<ShardSeen>> = (0..SHARDS).map(|_| Arc::default()).collect();
    let lanes: Vec<Arc<LaneSeen>> = (0..LANES).map(|_| Arc::default()).collect();
    for lane in &lanes {
        lane.begins();
        lane.ends(Some(&CommitError::Refused("x".repeat(ERROR_BYTES))));
    }
    parts.note("transactions of shards and lanes");

    HOPS.begin();
    // Many short hops leave room behind that longer ones don't need.
    (0..200_000).for_each(|number| drop(hop(number, 0)));
    let short = parts.note("hops of requests, all short");
    (0..50_000).for_each(|number| drop(hop(number, hops::TEXT_BYTES_MAX)));
    parts.note("what they hold more when they get longer");
    (0..hops::TOLD_MAX as u128 * 2).for_each(|_| drop(hop(7, hops::TEXT_BYTES_MAX)));
    parts.note("the same, one trace has many");
    assert!(short <= hops::BYTES_MAX);
    let mut under_way = Vec::new();
    while HOPS.wants(trace(0)) {
        under_way.push(Box::new(hop(under_way.len() as u128, hops::TEXT_BYTES_MAX)));
    }
    parts.note("hops under way");
    assert_eq!(under_way.len(), hops::UNDER_WAY_MAX);

    let _within = runtime.enter();
    let Report::Profiled { bytes, .. } = profile::keep(vec![7; PROFILE_BYTES_MAX]) else { panic!("it is kept") };
    assert_eq!(bytes, PROFILE_BYTES_MAX as u64);
    parts.note("a profile that is fetched");

    answers_keep_to_their_room(&observer, &kinds, started);
    let room = ANSWERS_KIB_MAX * 1024;
    println!("{:>9.1} KiB  answers that are made at the same time", room as f64 / 1024.0);
    parts.all += room;
    println!("{:>9.1} KiB  together", parts.all as f64 / 1024.0);
    assert!(parts.all < INSPECTOR_BYTES_MAX, "{} bytes are more than {INSPECTOR_BYTES_MAX}", parts.all);
    drop((shards, lanes, under_way));
}

/// Each answer takes at most what its question is given.
fn answers_keep_to_their_room(observer: &Arc<Observer>, kinds: &[Kind], started: u64) {
    let entity = || EntityAt { kind: kinds[0].to_string(), key: key(1), version: None, reveal: false };
    let types = || {
        let of_kind = |kind: &Kind| TypeReport {
            kind: kind.to_string(),
            node: node(),
            commands: observer.kind(*kind).map(|seen| seen.counts.report(60.0)).unwrap_or_default(),
            ..TypeReport::default()
        };
        Report::Types(kinds.iter().map(of_kind).collect())
    };
    let top = || {
        let entry =
            |number: usize| TopEntry { entity: format!("{}/{}", kinds[0], key(number)), node: node(), value: 1.7 };
        Report::Top((0..ENTRIES_MAX).map(entry).collect())
    };
    let shard = |number: usize| format!("shard {}/{number}", kinds[0].service);
    let tree = || {
        let leaf = |number: usize| Branch { name: shard(number), detail: "12345 entities".into(), ..Branch::default() };
        Report::Tree(Branch { children: (0..SHARDS).map(leaf).collect(), ..Branch::default() })
    };
    let shards = || {
        let report = |number: usize| ShardReport {
            service: kinds[number % KINDS].service.to_owned(),
            node: node(),
            ..ShardReport::default()
        };
        Report::Shards((0..SHARDS).map(report).collect())
    };
    let (limit, trace) = (ENTRIES_MAX as u32, "7".to_owned());
    let tail = Question::Tail { after: started, kind: None, key: None, trace: None, limit };
    let answers: [(Question, &dyn Fn() -> Report); 9] = [
        (Question::Path { trace }, &|| Report::Hops { hops: HOPS.of(7 << 16).0, left_out: 0 }),
        (Question::History { entity: entity(), after_version: 0, limit }, &history),
        (Question::Types, &types),
        (Question::Shards, &shards),
        (Question::Moves, &|| Report::Moves(observer.moves.all())),
        (tail, &|| Report::Tail(observer.tail.look(started + 1, TOLD_MAX, |_| true))),
        (Question::Top { by: TopBy::Messages, limit }, &top),
        (Question::Tree, &tree),
        (Question::Points, &|| Report::Points(observer.points.all())),
    ];
    for (question, answer) in answers {
        let before = held();
        let made = made(answer());
        let (bytes, room) = (held() - before, question.answer_kib() as usize * 1024);
        println!(
            "{:>9.1} KiB  of {room} bytes, {} of them on the link: {question:?}",
            bytes as f64 / 1024.0,
            made.2.len()
        );
        assert!(bytes <= room, "{question:?} takes {bytes} bytes of {room}");
    }
}

/// As long as it may be, of small events with many members: they take most beside their JSON.
fn history() -> Report {
    let mut history = HistoryReport::default();
    let mut bytes = 0;
    while bytes < HISTORY_BYTES_MAX && history.events.len() < ENTRIES_MAX {
        let payload = json!({ "sku": "p-1", "quantity": 1, "price": { "minor": 100, "currency": "INR" } });
        let change =
            |member: &str| Change { path: format!("/head/{member}"), before: payload.clone(), after: 2.into() };
        let told = EventReport {
            writer: node(),
            changes: vec![change("a"), change("b")],
            payload: payload.clone(),
            ..EventReport::default()
        };
        bytes += serde_json::to_vec(&told).map_or(0, |json| json.len());
        history.events.push(told);
    }
    Report::History(history)
}

/// An answer, and what becomes of it on its way to another node: all of it is there at the same time.
fn made(report: Report) -> (Report, WireAnswer, bytes::Bytes) {
    let answer = WireAnswer::from(&report);
    let encoded = wire::encode(&answer);
    (report, answer, encoded)
}

/// A command of this name comes and is answered.
fn answer(observer: &Arc<Observer>, kind: Kind, number: usize, name: usize) {
    let command = format!(r#"{{"command":"{name:x<64}"}}"#);
    let seen = observer.arrived(kind, &key(number), command.as_bytes(), Some(Traceparent::start()));
    seen.ended(&Outcome::Reply { json: Vec::new(), entity_version: 1 });
    observer.decided(kind, &key(number), Duration::from_micros(7));
    observer.written(kind, &key(number), 1_000);
}

/// Both windows, each with other entities.
fn fill_hitters(hitters: &Hitters, kind: Kind) {
    for window in 0..2 {
        hitters.turn();
        for number in 0..FOLLOWED_MAX * 4 {
            hitters.add(&(kind, key(window * 1_000_000 + number)), 7);
            hitters.set(&(kind, key(window * 1_000_000 + number)), 7);
        }
    }
}

fn moved(number: usize) -> MoveReport {
    MoveReport {
        shard: format!("{}/{}", "s".repeat(NAME_BYTES), 65_535),
        what: "released".into(),
        cause: "incarnation".into(),
        other: Some(node()),
        view_version: number as u64,
        at_ms: 0,
        took_ms: 0,
    }
}

/// A hop with a text of so many bytes.
fn hop(number: u128, bytes: usize) -> Begun {
    let hop = Begun::new(trace(number), 7, "decide", "n".repeat(bytes / 2));
    // What does not fit any more is left out.
    (0..bytes / 16).for_each(|field| hop.note("field", format_args!("{field:0>24}")));
    hop
}

/// Traces of all rings, and always kept.
fn trace(number: u128) -> Traceparent {
    Traceparent { trace_id: number << 16, span_id: 7, flags: 1 }
}

fn node() -> String {
    format!("{}@{}", "n".repeat(NODE_NAME_BYTES_MAX), u64::MAX)
}

fn key(number: usize) -> Key {
    Key::new(format!("{number:0>KEY_BYTES_MAX$}")).expect("digits")
}

fn leaked(number: usize) -> &'static str {
    Box::leak(format!("{number:s>NAME_BYTES$}").into_boxed_str())
}
