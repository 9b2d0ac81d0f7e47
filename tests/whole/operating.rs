//! What an operator does to a running shop by the admin API: moves shards, drains a node and gives it back, pauses
//! rebalancing, sends entities out of the memory, sees to what they have outstanding, profiles a node. No request fails,
//! and nothing is lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::history;
use crate::processes::{ADMIN_TOKEN, Cluster};
use crate::seed;
use crate::shop::Shop;

const CUSTOMERS: usize = 12;
/// How long shards may take to be where they should be.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_an_operator_moves_drains_and_passivates() {
    let seed = seed();
    let cluster = Cluster::start(3).await;
    let shop = Shop::open(&cluster, 8, 100_000).await;
    let customers: Vec<_> =
        (0..CUSTOMERS).map(|number| tokio::spawn(Arc::clone(&shop).customer(number, seed))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;

    let desk = Desk { client: reqwest::Client::new(), url: cluster.nodes["node-1"].admin.clone() };
    // Round about, so that some stay where they are and most do not.
    for (turn, service) in ["order", "cart", "inventory", "payment", "user"].into_iter().enumerate() {
        for number in 0..2 {
            let node = format!("node-{}", (turn + number) % 3 + 1);
            desk.act(&format!("shards/{service}/{number}/move"), json!({ "node": node })).await;
            desk.until("the shard is there", |shards| {
                shards.iter().any(|shard| {
                    (&shard["service"], &shard["number"], &shard["pinned"])
                        == (&json!(service), &json!(number), &json!(true))
                        && on(shard, &node)
                })
            })
            .await;
        }
    }
    for kind in ["cart.cart", "order.order", "inventory.stock", "user.user"] {
        let all = json!({ "kind": kind, "idle_ms": 0 });
        desk.act("entities/passivate", all).await;
    }

    // While customers shop, and of another node than the one that is asked.
    for format in ["folded", "flamegraph"] {
        let profile = desk.profile("node-2", 3, format).await;
        let text = String::from_utf8_lossy(&profile);
        assert!(text.contains("nakku_cluster::"), "{text}");
        assert!(format == "folded" || text.starts_with("<?xml") && text.contains("</svg>"), "{text}");
    }
    let both = tokio::join!(desk.ask("nodes/node-3/profile?seconds=4", json!({})), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        desk.ask("nodes/node-3/profile?seconds=1", json!({})).await
    });
    assert_eq!((both.0.0, both.1.0), (200, 409), "one at a time: {}", both.1.1);

    desk.act("nodes/node-2/drain", json!({})).await;
    desk.until("the node has no shards", |shards| {
        !shards.is_empty() && !shards.iter().any(|shard| on(shard, "node-2"))
    })
    .await;
    desk.act("nodes/node-2/undrain", json!({})).await;
    desk.until("the node has shards again", |shards| shards.iter().filter(|shard| on(shard, "node-2")).count() > 10)
        .await;

    desk.act("rebalancing/pause", json!({})).await;
    desk.until("all are pinned", |shards| shards.iter().all(|shard| shard["pinned"] == true)).await;
    desk.act("rebalancing/resume", json!({})).await;
    desk.until("only those that were moved are", |shards| {
        shards.iter().filter(|shard| shard["pinned"] == true).count() == 10
    })
    .await;

    shop.stop.store(true, Ordering::Relaxed);
    let mut placed = Vec::new();
    for customer in customers {
        placed.extend(customer.await.expect("no customer gives up"));
    }
    let troubles = shop.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(troubles.is_empty(), "{} requests failed, such as:\n{}", troubles.len(), troubles.join("\n"));
    history::check(&cluster, &shop, &placed).await;
}

/// A mail server that is away: the welcome of a new user is tried again and again, wherever their inbox is.
#[tokio::test(flavor = "multi_thread")]
async fn an_effect_of_an_entity_that_has_just_moved_is_retried_and_given_up() {
    // Nobody listens at this port.
    let mail = ("NOTIFICATION_SMTP_URL", "smtp://127.0.0.1:9".to_owned());
    // And a node that is silent for a while is not declared down.
    let lease = ("CLUSTER_LEASE_MS", "60000".to_owned());
    let mut cluster = Cluster::start_with(3, vec![mail, lease]).await;
    let desk = Desk { client: reqwest::Client::new(), url: cluster.nodes["node-1"].admin.clone() };
    let body = json!({ "email": "moved@example.com", "password": "a long enough password", "name": "Moved" });
    let api = &cluster.nodes["node-1"].api;
    let made = desk.client.post(format!("{api}/api/v1/auth/register")).json(&body).send().await.expect("an answer");
    let made: Value = made.error_for_status().expect("they register").json().await.expect("JSON");
    let inbox = format!("entities/notification.inbox/{}", made["user"]["id"].as_str().expect("a user"));
    let began = Instant::now();
    let mut shown = desk.get(&inbox).await;
    while shown["effects"][0]["step"] != "mail" {
        assert!(began.elapsed() < PATIENCE, "the mail is tried: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        shown = desk.get(&inbox).await;
    }
    let shard = shown["shard"].as_str().and_then(|shard| shard.split('/').nth(1)).expect("a shard").to_owned();
    for round in 0..4 {
        let node = format!("node-{}", round % 3 + 1);
        desk.act(&format!("shards/notification/{shard}/move"), json!({ "node": node })).await;
        // At once, while it moves: whoever has it by then does it.
        desk.act(&format!("{inbox}/effects/mail/retry"), json!({})).await;
        desk.until("the shard is there", |shards| {
            shards.iter().any(|one| {
                (&one["service"], &one["number"].to_string()) == (&json!("notification"), &shard) && on(one, &node)
            })
        })
        .await;
    }
    desk.act(&format!("shards/notification/{shard}/move"), json!({ "node": "node-2" })).await;
    desk.act(&format!("{inbox}/effects/mail/give-up"), json!({})).await;
    let shown = desk.get(&inbox).await;
    assert_eq!((&shown["effects"], &shown["version"]), (&json!([]), &shown["durable_version"]), "{shown}");
    let history = desk.get(&format!("{inbox}/history")).await;
    let events: Vec<_> = history["events"].as_array().expect("events").iter().map(|one| &one["event"]).collect();
    let failed = events.iter().filter(|event| **event == "notification.failed").count();
    assert_eq!(failed, 1, "it was given up once: {events:?}");
    let (status, said) = desk.ask(&format!("{inbox}/effects/mail/retry"), json!({})).await;
    assert_eq!(status, 404, "{said}");

    a_silent_node_holds_up_no_answer(&mut cluster, &desk).await;
    let log = cluster.log_of("node-1");
    let noted = log.lines().filter(|line| line.contains("nakku::audit") && line.contains("retry_effect"));
    assert_eq!(noted.count(), 5, "every act is in the audit log");
}

/// A node that does not answer is named when its time is over, and the others are answered for all the same. That it was
/// its time, and not the link, which is given up a few seconds later, stands in the reason; on a busy machine the link
/// may be first once.
async fn a_silent_node_holds_up_no_answer(cluster: &mut Cluster, desk: &Desk) {
    for _ in 0..5 {
        cluster.freeze("node-3");
        let began = Instant::now();
        let nodes = desk.get("nodes").await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        cluster.thaw("node-3");
        let silent = nodes["silent"].as_array().expect("a list");
        assert!(
            silent.len() == 1 && silent[0]["node"].as_str().is_some_and(|node| node.starts_with("node-3@")),
            "{nodes}"
        );
        assert_eq!(nodes["items"].as_array().map(Vec::len), Some(2), "{nodes}");
        if silent[0]["reason"].as_str().is_some_and(|reason| reason.contains("within the deadline")) {
            return;
        }
        while desk.get("nodes").await["items"].as_array().map(Vec::len) != Some(3) {
            assert!(began.elapsed() < PATIENCE, "node-3 answers again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("it was waited for longer than a node may take");
}

/// Where the operator sits.
struct Desk {
    client: reqwest::Client,
    url: String,
}

impl Desk {
    async fn act(&self, path: &str, mut body: Value) {
        body["reason"] = "a test".into();
        let request = self.client.post(format!("{}/admin/v1/{path}", self.url)).bearer_auth(ADMIN_TOKEN).json(&body);
        let answer = request.send().await.expect("the node answers");
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {}", answer.text().await.unwrap_or_default());
    }

    /// What a node's processor does.
    async fn profile(&self, node: &str, seconds: u32, format: &str) -> Vec<u8> {
        let url = format!("{}/admin/v1/nodes/{node}/profile?seconds={seconds}&format={format}", self.url);
        let request = self.client.post(url).bearer_auth(ADMIN_TOKEN).json(&json!({ "reason": "a test" }));
        let answer = request.send().await.expect("the node answers");
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
        answer.bytes().await.expect("a whole profile").to_vec()
    }

    /// Status and body, whatever they are.
    async fn ask(&self, path: &str, mut body: Value) -> (u16, String) {
        body["reason"] = "a test".into();
        let request = self.client.post(format!("{}/admin/v1/{path}", self.url)).bearer_auth(ADMIN_TOKEN).json(&body);
        let answer = request.send().await.expect("the node answers");
        (answer.status().as_u16(), answer.text().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}/admin/v1/{path}", self.url)).bearer_auth(ADMIN_TOKEN);
        request.send().await.expect("the node answers").json().await.expect("JSON")
    }

    async fn until(&self, what: &str, there: impl Fn(&[Value]) -> bool) {
        let began = Instant::now();
        loop {
            let request = self.client.get(format!("{}/admin/v1/shards", self.url)).bearer_auth(ADMIN_TOKEN);
            let body: Value = request.send().await.expect("the node answers").json().await.expect("shards");
            let shards = body["items"].as_array().expect("a list");
            if there(shards) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: still not after {} s; {body}", PATIENCE.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn on(shard: &Value, node: &str) -> bool {
    shard["node"].as_str().is_some_and(|owner| owner.split('@').next() == Some(node))
}
