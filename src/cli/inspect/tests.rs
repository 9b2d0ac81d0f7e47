//! Texts that are made of reports, as people see them, and what is refused before anything is sent.

use clap::Parser;
use nakku_cluster::Timestamp;
use nakku_cluster::inspect::report::{
    Branch, Change, CommandReport, CommitReport, EffectReport, EntityReport, EventReport, HistoryReport, LinkReport,
    MoveReport, NodeReport, RecentReport, ShardReport, TailEntry, TopEntry, TypeReport, WaitingReport,
};
use nakku_cluster::status::{ClusterStatus, Dependency, NodeStatus, ServiceStatus};
use serde_json::{Value, json};

use super::types::By;
use super::watch::{Page, Silent};
use super::{entity, nodes, shards, tail, tree, types, watch};
use crate::cli::arguments::Arguments;

mod infrastructure;
mod path;

/// 2026-11-22 23:53:50.123 UTC.
const NOW: i64 = 1_795_391_630_123;
const PAGE: Page = Page { width: None, now: Timestamp(NOW) };

/// Compares line by line; what stands behind the last word of a line is nobody's concern, nor how long a rule is.
#[track_caller]
fn assert_shown(text: &str, wanted: &str) {
    let line = |line: &str| line.trim_end_matches([' ', '─']).to_owned();
    let lines = |text: &str| text.trim_matches('\n').lines().map(line).collect::<Vec<_>>().join("\n");
    assert!(lines(text) == lines(wanted), "shown:\n{text}\n\nwanted:\n{wanted}");
}

#[test]
fn nodes_are_a_line_each_and_trouble_stands_below() {
    let quiet = node("node-1@1", 3);
    let mut troubled = NodeReport { cpu_percent: 187.6, loaded: 70_000, ..node("node-2@3", 415) };
    troubled.lease_valid = false;
    troubled.links[0].connected = false;
    troubled.status.view_version = 6;
    troubled.status.quarantined = vec!["order.order/u-1.o-2".into()];
    troubled.status.dependencies = vec![Dependency {
        name: "database default-1".into(),
        location: "mysql://127.0.0.1:3306".into(),
        error: Some("connection refused".into()),
        ..Dependency::default()
    }];
    let table = "
cluster nakku, view 7, feature level 1, version 0.1.0

  node       state          up for   shards   loaded   in flight    cpu    memory    clock   links
─────────────────────────────────────────────────────────────────────────────────────────────────────────
  node-1@1   up              3m12s       32      120           3    12%   412 MiB     +0ms   1 of 1, 430µs
  node-2@3   up, no lease    3m12s       32    70000           3   188%   412 MiB   +412ms   0 of 1, 430µs
";
    let below = "
node-2@3 knows view 6 only
node-2@3 has no link to node-1@1 for 1m30s
node-2@3 can't use database default-1 at mysql://127.0.0.1:3306: connection refused
node-2@3 has quarantined order.order/u-1.o-2; see nakku entity, nakku release
";
    let both = [quiet, troubled];
    assert_shown(&nodes::text(&both, false, &PAGE), &format!("{table}{below}"));
    let links = "
  from       to         link       for   round trip   in flight   bytes in flight
───────────────────────────────────────────────────────────────────────────────────
  node-1@1   node-9@1   stands   1m30s        430µs           2           1.5 KiB
  node-2@3   node-1@1   down     1m30s        430µs           2           1.5 KiB
";
    assert_shown(&nodes::text(&both, true, &PAGE), &format!("{table}{links}{below}"));
    assert_shown(&nodes::text(&[], false, &PAGE), "(none)");
}

#[test]
fn silent_nodes_stand_below() {
    let silent = [Silent { node: "node-3@1".into(), reason: "the link is down".into() }];
    assert_eq!(watch::silent_lines(&silent), "\nno answer from node-3@1: the link is down");
}

#[test]
fn shards_are_told_in_ranges_unless_each_is_wanted() {
    let shard = |number: u32, node: &str, rate: f64| ShardReport {
        service: "order".into(),
        number,
        node: node.into(),
        term: 7,
        seq: 1200 + u64::from(number),
        loaded: 3,
        commands: 40,
        commands_per_s: rate,
        pinned: number == 5,
        hot: number == 5,
        commits: CommitReport {
            commits_per_s: rate / 2.0,
            commands_each: 4.0,
            p50_us: 900,
            p99_us: 4_200,
            ..Default::default()
        },
        unpublished: u64::from(number / 5),
        unpublished_ms: 340,
    };
    let mut all: Vec<_> = (0..5).map(|number| shard(number, "node-1@1", 0.25)).collect();
    all.push(shard(5, "node-2@1", 12.5));
    all.push(shard(7, "node-2@1", 0.0));
    assert_shown(
        &shards::shards_text(&all, false, &PAGE),
        "
  service   node       shards   which   loaded   commands   a second   commits/s   slowest p99   behind   busiest      hot   pinned
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  order     node-1@1        5   0-4         15        200        1.2         0.6         4.2ms        0   4 (0.2/s)
  order     node-2@1        2   5, 7         6         80       12.5         6.2         4.2ms        2   5 (12.5/s)   5     5
",
    );
    assert_shown(
        &shards::shards_text(&all[5..], true, &PAGE),
        "
  shard     node       epoch   last row   loaded   commands   a second   commits/s   batch     p50     p99        behind   marks
─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  order/5   node-2@1       7       1205        3         40       12.5         6.2     4.0   900µs   4.2ms   1 for 340ms   hot, pinned
  order/7   node-2@1       7       1207        3         40          0           0     4.0   900µs   4.2ms   1 for 340ms
",
    );
}

#[test]
fn moves_of_one_view_are_told_together() {
    let moved = |shard: &str, what: &str, view_version, ms_ago: i64, took_ms| shards::Moved {
        node: "node-1@1".into(),
        report: MoveReport {
            shard: shard.into(),
            what: what.into(),
            cause: if what == "opened" { "death" } else { "pin" }.into(),
            other: Some("node-2@1".into()),
            view_version,
            at_ms: NOW - ms_ago,
            took_ms,
        },
    };
    let moves = [
        moved("order/3", "released", 9, 4_000, 31),
        moved("cart/2", "opened", 8, 60_000, 12),
        moved("cart/1", "opened", 8, 61_000, 420),
        moved("cart/0", "opened", 8, 62_000, 9),
        moved("user/0", "opened", 7, 62_000, 9),
        moved("order/0", "opened", 7, 62_000, 20),
        moved("product/0", "opened", 7, 62_000, 9),
    ];
    assert_shown(
        &shards::moves_text(&moves, false, &PAGE),
        "
  when        node       what       because of             view   service      shards   which   took at most
──────────────────────────────────────────────────────────────────────────────────────────────────────────────
  4s ago      node-1@1   released   pin, to node-2@1          9   order             1   3               31ms
  1m00s ago   node-1@1   opened     death, from node-2@1      8   cart              3   0-2            420ms
  1m02s ago   node-1@1   opened     death, from node-2@1      7   3 services        3   0               20ms
",
    );
    assert_eq!(shards::moves_text(&moves, true, &PAGE).lines().count(), 2 + moves.len());
}

#[test]
fn types_are_summed_over_nodes_and_commands_are_not() {
    let add = |count, refused, p99_us| CommandReport {
        command: "add_item".into(),
        count,
        per_s: 2.5,
        outcomes: [("accepted".to_owned(), count - refused), ("rejected".to_owned(), refused)].into(),
        p50_us: 850,
        p95_us: 4_200,
        p99_us,
    };
    let of = |node: &str, loaded, commands| TypeReport {
        kind: "cart.cart".into(),
        node: node.into(),
        loaded,
        passivated: 4,
        commands,
        ..TypeReport::default()
    };
    let idle = TypeReport { kind: "user.email".into(), node: "node-1@1".into(), ..TypeReport::default() };
    let all = [of("node-1@1", 12, vec![add(100, 3, 9_000)]), of("node-2@1", 8, vec![add(50, 0, 21_000)]), idle];
    let summed = "
  kind        loaded   waiting   commands   a second   not accepted   slowest p99   passivated   restarted   quarantined
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  cart.cart       20         0        150        5.0              3        21.0ms            8           0             0

asked nothing so far: user.email
";
    assert_shown(&types::types_text(&all, false, &PAGE), summed);
    let commands = "
  kind        command    node       commands   a second     p50     p95      p99   not accepted
──────────────────────────────────────────────────────────────────────────────────────────────────
  cart.cart   add_item   node-1@1        100        2.5   850µs   4.2ms    9.0ms   rejected 3
  cart.cart   add_item   node-2@1         50        2.5   850µs   4.2ms   21.0ms
";
    assert_shown(&types::types_text(&all, true, &PAGE), &format!("{summed}{commands}"));
}

#[test]
fn top_has_the_unit_of_what_it_is_by() {
    let entry = |value| TopEntry { entity: "inventory.stock/s-1".into(), node: "node-1@1".into(), value };
    assert_shown(
        &types::top_text(&[entry(1840.2), entry(0.3)], By::Messages, &PAGE),
        "
  #   commands a second   entity                node
────────────────────────────────────────────────────────
  1                1840   inventory.stock/s-1   node-1@1
  2                 0.3   inventory.stock/s-1   node-1@1
",
    );
    for (by, told) in [(By::Time, "1.8ms"), (By::Mailbox, "1840"), (By::State, "1.8 KiB")] {
        let text = types::top_text(&[entry(1840.0)], by, &PAGE);
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn shards_of_a_tree_are_folded_unless_each_is_wanted() {
    let leaf = |name: &str, detail: &str| Branch { name: name.into(), detail: detail.into(), ..Branch::default() };
    let shards = (0..3).map(|number| leaf(&format!("shard order/{number}"), "2 entities")).collect();
    let region = Branch { restarts: 2, children: shards, ..leaf("region order", "3 shards, 6 entities") };
    let all = [Branch { children: vec![region, leaf("links", "2 ready")], ..leaf("node node-1@1", "") }];
    assert_shown(
        &tree::text(&all, false, &PAGE),
        "
node node-1@1
├─ region order: 3 shards, 6 entities, 2 restarts
│  └─ shards order/0-2
└─ links: 2 ready
",
    );
    assert_shown(
        &tree::text(&all, true, &PAGE),
        "
node node-1@1
├─ region order: 3 shards, 6 entities, 2 restarts
│  ├─ shard order/0: 2 entities
│  ├─ shard order/1: 2 entities
│  └─ shard order/2: 2 entities
└─ links: 2 ready
",
    );
}

#[test]
fn an_entity_shows_where_it_lives_and_what_it_waits_for() {
    let report = EntityReport {
        kind: "order.order".into(),
        key: "u-1.o-2".into(),
        shard: "order/3".into(),
        node: "node-1@1".into(),
        presence: "loaded".into(),
        version: 7,
        durable_version: 6,
        seq: 1234,
        loaded_s: Some(192),
        idle_ms: Some(12_000),
        waiting: 1,
        waiting_commands: vec![WaitingReport { command: "cancel".into(), age_ms: 340 }],
        state_bytes: 2150,
        recent: vec![RecentReport {
            command: "place".into(),
            outcome: "accepted".into(),
            at_ms: NOW - 12_000,
            decided_us: 42,
        }],
        effects: vec![EffectReport {
            step: "authorise".into(),
            ordinal: 1,
            running: false,
            attempts: 3,
            calls: vec!["payment.payment/u-1.o-2".into()],
        }],
        wake_at_ms: Some(NOW + 60_000),
        masked: vec!["address".into()],
        state: json!({ "address": "•••", "status": "placed" }),
    };
    assert_shown(
        &entity::entity_text(&report, &PAGE),
        r#"
order.order/u-1.o-2
loaded on node-1@1, shard order/3, in memory for 3m12s, asked 12s ago
version 7 (6 durable), last journal row 1234, head 2.1 KiB, 1 commands waiting
wakes in 1m00s, at 2026-11-22 23:54:50.123 UTC
masked: address (--reveal REASON shows all but secrets)

  waiting     for
───────────────────
  cancel    340ms

  last commands   outcome       when   decided in
───────────────────────────────────────────────────
  place           accepted   12s ago         42µs

  outstanding   state   failed attempts   calls
──────────────────────────────────────────────────────────────
  authorise 1   waits                 3   payment.payment/u-1.o-2

{
  "address": "•••",
  "status": "placed"
}
"#,
    );
}

#[test]
fn a_history_shows_what_each_event_has_changed() {
    let change = |path: &str, before: Value, after: Value| Change { path: path.into(), before, after };
    let event = |version, changes| EventReport {
        version,
        seq: 10 + version,
        event: "item_added".into(),
        at_ms: NOW - 192_000,
        writer: "node-1@1".into(),
        payload: json!({ "sku": "p-1", "quantity": 2 }),
        changes,
        ..EventReport::default()
    };
    let first = event(
        1,
        vec![
            change("/store", Value::Null, json!("s-1")),
            change("/quantity", json!(0), json!(2)),
            change("/old", json!("x".repeat(200)), Value::Null),
        ],
    );
    let second = EventReport { cause: "tab-1".into(), trace: "0af7".into(), ..event(2, Vec::new()) };
    let mut history = HistoryReport { events: vec![first, second], more: false, incomplete: None };
    let (cut, whole) = ("x".repeat(99), "x".repeat(200));
    let heads = [
        "1  item_added  2026-11-22 23:50:38.123 UTC (3m12s ago), row 11 by node-1@1",
        "2  item_added  2026-11-22 23:50:38.123 UTC (3m12s ago), row 12 by node-1@1",
    ];
    let origin = "   because of tab-1, trace 0af7";
    let payload = r#"   {"quantity":2,"sku":"p-1"}"#;
    let changes = |old: &str| format!("   /store     + \"s-1\"\n   /quantity  0 → 2\n   /old       - \"{old}");
    assert_shown(
        &entity::history_text(&history, false, &PAGE),
        &format!("{}\n{}…\n{}\n{origin}", heads[0], changes(&cut), heads[1]),
    );
    assert_shown(
        &entity::history_text(&history, true, &PAGE),
        &format!("{}\n{payload}\n{}\"\n{}\n{origin}\n{payload}", heads[0], changes(&whole), heads[1]),
    );
    history.events.remove(0);
    history.incomplete = Some("older rows are pruned".into());
    assert_shown(
        &entity::history_text(&history, false, &PAGE),
        &format!("{}\n{origin}\n{payload}\n\nchanges are not shown: older rows are pruned", heads[1]),
    );
}

#[test]
fn a_command_is_a_line() {
    let entry = TailEntry {
        number: 7,
        at_ms: NOW,
        entity: "cart.cart/u-1".into(),
        command: "add_item".into(),
        outcome: "accepted".into(),
        took_us: 1_240,
        trace: String::new(),
    };
    let told = tail::Told { node: "node-1@1".into(), entry };
    assert_eq!(tail::line(&told), "23:53:50.123  node-1@1  cart.cart/u-1  add_item  accepted in 1.2ms");
}

#[test]
fn acts_need_a_reason_and_a_target() {
    for line in [
        "nakku move order 3 node-1",
        "nakku move order three node-1 --reason why",
        "nakku drain node-1 --reason=",
        "nakku rebalancing pause",
        "nakku passivate cart u-1",
        "nakku effect retry cart u-1 mail",
        "nakku effect give-up cart u-1 --reason why",
        "nakku effect retry cart u-1 :1 --reason why",
        "nakku reminder fire cart u-1",
        "nakku reminder cancel cart u-1 --reason why",
        "nakku profile node-1",
        "nakku profile node-1 --reason why --seconds 61",
        "nakku dead-letters replay g i 1",
        "nakku passivate-matching",
        "nakku passivate-matching --yes --reason room",
        "nakku passivate-matching --kind cart --yes",
        "nakku top --by luck",
        "nakku nodes --watch 0",
        "nakku completion tcsh",
    ] {
        let error = Arguments::try_parse_from(line.split(' ')).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    for line in [
        "nakku nodes --watch",
        "nakku nodes --watch 5 --json",
        "nakku passivate-matching --kind cart",
        "nakku passivate-matching --idle-ms 0 --yes --reason room",
        "nakku rebalancing resume --reason done",
        "nakku effect retry inbox u-1 mail:3 --reason mended",
        "nakku profile node-1 --reason slow --seconds 60 --format folded --output cpu.txt",
        "nakku openapi --admin",
    ] {
        assert!(Arguments::try_parse_from(line.split(' ')).is_ok(), "{line}");
    }
}

fn node(name: &str, clock_offset_ms: i64) -> NodeReport {
    let (plain, generation) = name.split_once('@').expect("a name and a generation");
    let own = NodeStatus {
        name: plain.into(),
        generation: generation.parse().expect("a number"),
        state: "up".into(),
        ..NodeStatus::default()
    };
    let order = ServiceStatus { name: "order".into(), shards: 64, serving_here: 32, ..ServiceStatus::default() };
    let link = LinkReport {
        node: if plain == "node-1" { "node-9@1" } else { "node-1@1" }.into(),
        connected: true,
        round_trip_us: Some(430),
        in_flight: 2,
        in_flight_bytes: 1536,
        since_s: 90,
    };
    NodeReport {
        node: name.into(),
        version: "0.1.0".into(),
        uptime_s: 192,
        now_at_ms: NOW,
        clock_offset_ms,
        admin: Some("127.0.0.1:7947".into()),
        lease_valid: true,
        ready: true,
        cpu_percent: 12.3,
        memory_bytes: 412 << 20,
        loaded: 120,
        in_flight: 3,
        links: vec![link],
        status: ClusterStatus {
            cluster: "nakku".into(),
            node: name.into(),
            view_version: 7,
            feature_level: 1,
            nodes: vec![own],
            services: vec![order],
            ..ClusterStatus::default()
        },
    }
}
