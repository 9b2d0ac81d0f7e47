//! What an operator does to a running shop by the admin API: moves shards, drains a node and gives it back, pauses
//! rebalancing, sends entities out of the memory. No request fails, and nothing is lost.

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
