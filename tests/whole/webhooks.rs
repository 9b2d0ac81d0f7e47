//! Nodes are killed while events are on their way to an integrator: each event arrives all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use serde_json::{Value, json};

use crate::processes::{ADMIN_TOKEN, Cluster};
use crate::receiver::{Receiver, answer};

/// How often a node is killed.
const KILLS: usize = 3;
/// Customers who register around each kill.
const CUSTOMERS: usize = 20;
/// Five times what it takes until the last event has arrived: a lease, and the pauses of a few failed attempts.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_when_nodes_are_killed() {
    let mut random = StdRng::seed_from_u64(crate::seed());
    let settings = ["WEBHOOKS_ENABLED", "WEBHOOKS_ALLOW_PRIVATE_ADDRESSES"].map(|name| (name, "true".to_owned()));
    let mut cluster = Cluster::start_with(2, settings.into()).await;
    let (client, receiver) = (Client::new(), Receiver::start().await);
    let made = client
        .post(format!("{}/admin/v1/webhooks", cluster.nodes["node-1"].admin))
        .bearer_auth(ADMIN_TOKEN)
        .json(&json!({ "url": receiver.url(), "types": ["user.registered"] }))
        .send()
        .await
        .expect("the admin API answers");
    let made: Value = made.error_for_status().expect("the webhook is made").json().await.expect("JSON");
    assert_eq!(made["in_force"], true, "{made}");

    let mut registered = BTreeSet::new();
    for kill in 0..KILLS {
        let victim = format!("node-{}", 1 + random.random_range(0..2));
        let killed_at = random.random_range(0..CUSTOMERS);
        for number in 0..CUSTOMERS {
            // Some attempts fail, so that retries are under way when the node dies.
            let refused = random.random_range(0..4) == 0;
            receiver.will_answer([answer(if refused { 503 } else { 204 }, "")]);
            registered.extend(register(&client, &cluster, &format!("customer-{kill}-{number}")).await);
            if number == killed_at {
                cluster.kill(&victim);
            }
        }
        cluster.launch(&victim).await;
        cluster.all_ready().await;
    }
    let users = |all: &[crate::receiver::Received]| -> BTreeSet<String> {
        all.iter().map(|one| one.json()["data"]["user"].as_str().expect("a user").to_owned()).collect()
    };
    assert!(registered.len() >= KILLS * CUSTOMERS / 2, "{registered:?}");
    let received = receiver.until("every event", PATIENCE, |all| users(all).is_superset(&registered)).await;
    eprintln!("{} registered, {} requests", registered.len(), received.len());
}

/// Somebody registers at a gateway that lives; nothing when it is not known whether they did.
async fn register(client: &Client, cluster: &Cluster, name: &str) -> Option<String> {
    let body = json!({ "email": format!("{name}@example.com"), "password": "a long enough password", "name": name });
    for api in cluster.apis() {
        let request = client.post(format!("{api}/api/v1/auth/register")).json(&body).timeout(Duration::from_secs(15));
        let Ok(answered) = request.send().await else { continue };
        if answered.status().as_u16() == 201 {
            let body: Value = answered.json().await.ok()?;
            return body["user"]["id"].as_str().map(ToOwned::to_owned);
        }
    }
    None
}
