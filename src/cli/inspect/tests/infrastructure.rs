//! What works behind the shards.

use nakku_cluster::events::rebuild::Rebuilding;
use nakku_cluster::inspect::infrastructure::{
    ConsumerReport, InfrastructureReport, PublisherReport, StoreReport, WriterReport,
};
use nakku_cluster::inspect::report::CommitReport;
use nakku_cluster::status::Dependency;

use super::{NOW, PAGE, assert_shown};
use crate::cli::inspect::infrastructure;

#[test]
fn infrastructure_is_a_table_for_each_part_and_trouble_stands_below() {
    let server = |name: &str, up: bool, location: &str| Dependency {
        name: name.into(),
        location: location.into(),
        up,
        latency_us: 183,
        error: (!up).then(|| "connection refused".into()),
        ..Dependency::default()
    };
    let node = InfrastructureReport {
        node: "node-1@1".into(),
        writers: vec![WriterReport {
            location: "mysql://127.0.0.1:3306".into(),
            queue: 3,
            queue_max: 8192,
            under_way_ms: Some(2_300),
            commits: CommitReport {
                commits: 40,
                commits_per_s: 12.5,
                commands_each: 4.2,
                rows_each: 6.0,
                p50_us: 900,
                p99_us: 21_000,
            },
            failures: [("repeat".to_owned(), 2)].into(),
            last_failure: Some("a deadlock".into()),
            last_failure_at_ms: Some(NOW - 12_000),
            ..WriterReport::default()
        }],
        stores: vec![StoreReport {
            server: server("database default-1", true, "mysql://127.0.0.1:3306"),
            incarnations: [("order".to_owned(), 1), ("user".to_owned(), 2)].into(),
            refused: vec!["user".into()],
        }],
        publishers: vec![PublisherReport {
            service: "order".into(),
            unpublished: 12,
            unpublished_ms: 3_400,
            published: 400,
            failures: 1,
            trouble: Some("the broker is away".into()),
        }],
        consumers: vec![ConsumerReport {
            group: "nakku-analytics".into(),
            consumed: 390,
            lag: 12,
            rebuilding: Some(Rebuilding {
                intakes: 320,
                intakes_left: 12,
                rows_read: 400,
                rows: 1_200,
                ..Default::default()
            }),
            ..Default::default()
        }],
        others: vec![server("redis", false, "127.0.0.1:6379")],
    };
    assert_shown(
        &infrastructure::text(&[node], &PAGE),
        "
  journal writer           node       lane       queue   transactions a second   commands each   rows each     p50      p99   failed
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  mysql://127.0.0.1:3306   node-1@1      0   3 of 8192                    12.5             4.2         6.0   900µs   21.0ms        2

  server               node       state   last use   location                 incarnation
────────────────────────────────────────────────────────────────────────────────────────────
  database default-1   node-1@1   up         183µs   mysql://127.0.0.1:3306   1, 2
  redis                node-1@1   down       183µs   127.0.0.1:6379

  publisher   node       rows behind   for   published   failed rounds
────────────────────────────────────────────────────────────────────────
  order       node-1@1            12    3s         400               1

  consumer          node       behind   consumed   dead letters   gaps   stuck   rebuilding
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  nakku-analytics   node-1@1       12        390              0      0       0   12 of 320 left, 400 of 1200 rows read

node-1@1: writer 0 of mysql://127.0.0.1:3306 has had a transaction under way for 2s
node-1@1: writer 0 of mysql://127.0.0.1:3306 failed last 12s ago: a deadlock (repeat 2)
node-1@1: database default-1 is an older copy of user, which is not served
node-1@1: redis can't be used: connection refused
node-1@1: events of order wait: the broker is away
",
    );
}
