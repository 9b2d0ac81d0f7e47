//! `nakku dead-letters` with a node that keeps some: one that nobody can read, and one that only an older version could
//! not.

#[path = "../actors/tests/node/mod.rs"]
#[allow(dead_code, reason = "made for the tests of the services")]
mod node;

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use nakku_actors::analytics::Analytics;
use nakku_cluster::Timestamp;
use nakku_cluster::events::intake::{Command, key_of};
use nakku_cluster::events::{Envelope, Intake};
use nakku_gateway::{AdminSettings, Secret};
use serde_json::{Value, json};

const TOKEN: &str = "an admin token that lives for one test only";
const GROUP: &str = "nakku-analytics";
const WHY: &str = "--reason=a test";
/// A source shard that no node has, so that nobody else feeds its intake.
const SHARD: u32 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_replayed_until_they_are_gone() {
    let only = node::start("dead-letters").await;
    let cluster = only.node.cluster();
    let listen = "127.0.0.1:0".parse().expect("an address");
    let settings = AdminSettings { listen, ..AdminSettings::new(Secret::new(TOKEN)) };
    let admin = nakku_gateway::start_admin(cluster.clone(), settings).await.expect("the admin listener starts");
    let at = admin.local_address();
    assert!(lines(&nakku(at, &["list"]).await).len() <= 2, "only the head");

    let now = Timestamp::now();
    let readable = json!({
        "order": "u-1.o-2", "user": "u-1", "store": "s-1", "currency": "INR", "total_minor": 100,
        "captured_minor": 0, "placed_at_ms": now, "confirmed_at_ms": now,
    });
    for (sequence, data) in [(1, json!({ "total_minor": "a lot" })), (2, readable)] {
        let event = Box::new(confirmed(sequence, data));
        let command = Command::SetAside { event, reason: format!("because of {sequence}"), attempts: 4 };
        node::ask::<Intake<Analytics>>(&cluster, &key_of("order", SHARD), command).await;
    }
    let intake = format!("order-{SHARD}");
    let listed = json(&nakku(at, &["list", "--json"]).await);
    let sequences: Vec<_> = listed.as_array().expect("a list").iter().map(|letter| &letter["sequence"]).collect();
    assert_eq!(sequences, [&json!(1), &json!(2)], "{listed}");
    assert_eq!((&listed[0]["group"], &listed[0]["intake"]), (&json!(GROUP), &json!(intake)));
    let table = lines(&nakku(at, &["list", "--group", GROUP]).await);
    assert!(table.iter().any(|line| line.contains("because of 1")), "{table:?}");
    assert!(table.iter().any(|line| line.contains("because of 2")), "{table:?}");
    let shown = json(&nakku(at, &["show", GROUP, &intake, "1"]).await);
    assert_eq!(shown["event"]["data"], json!({ "total_minor": "a lot" }));

    let refused = nakku(at, &["replay", GROUP, &intake, "1", WHY]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("still can't be processed"), "{refused:?}");
    assert_eq!(
        lines(&nakku(at, &["replay", GROUP, &intake, "2", WHY]).await),
        [format!("{GROUP} {intake} 2 was processed")]
    );
    let left = json(&nakku(at, &["list", "--json"]).await);
    assert_eq!(left.as_array().expect("a list").len(), 1, "{left}");
    assert_eq!(left[0]["sequence"], 1);
    for arguments in [&["show", GROUP, &intake, "2"][..], &["replay", GROUP, &intake, "2", WHY]] {
        let gone = nakku(at, arguments).await;
        assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    }
    let unexplained = nakku(at, &["replay", GROUP, &intake, "1"]).await;
    assert_eq!(unexplained.status.code(), Some(2), "{unexplained:?}");
    admin.drain(Duration::from_secs(5)).await;
    let _ = std::fs::remove_dir_all(only.folder);
}

/// Runs `nakku dead-letters`.
async fn nakku(admin: SocketAddr, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nakku"));
    command.arg("dead-letters").args(arguments);
    command.env("NAKKU_ENDPOINT", format!("http://{admin}")).env("NAKKU_TOKEN", TOKEN);
    command.output().await.expect("nakku runs")
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().map(str::to_owned).collect()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&lines(output).join("\n")).expect("JSON is printed")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// An event that says of itself that an order was confirmed.
fn confirmed(sequence: u64, data: Value) -> Envelope {
    let event = json!({
        "specversion": "1.0", "id": format!("1-order-{SHARD}-{sequence}"), "source": format!("/nakku/order/{SHARD}"),
        "type": "order.confirmed", "subject": format!("u-1.o-{sequence}"), "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "dataschema": "urn:nakku:event:order.confirmed:1",
        "service": "order", "shard": SHARD, "sequence": sequence.to_string(),
        "previous": (sequence - 1).to_string(), "data": data,
    });
    Envelope { time: Timestamp::now(), ..serde_json::from_value(event).expect("an envelope") }
}
