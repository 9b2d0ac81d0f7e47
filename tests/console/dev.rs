//! The cluster that the console shows, with somebody who orders.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support;

/// Five times what it takes until all nodes are ready on a busy machine.
const READY_PATIENCE: Duration = Duration::from_secs(120);

/// The cluster and who orders there.
pub struct Dev {
    cluster: support::Dev,
    orders: Option<Child>,
}

impl Dev {
    /// Starts it and waits until all nodes are ready.
    pub async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(|| support::Dev::start("console")).await.expect("it starts");
        let dev = Self { cluster, orders: None };
        let begun = Instant::now();
        while !dev.is_ready().await {
            assert!(begun.elapsed() < READY_PATIENCE, "nakku dev is not ready in time");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        dev
    }

    async fn is_ready(&self) -> bool {
        let nodes = self.get("/nodes").await;
        let nodes = nodes["items"].as_array();
        nodes.is_some_and(|items| items.len() == 3 && items.iter().all(|node| node["ready"] == true))
    }

    /// What its first node says on the admin listener; null when it says nothing.
    pub async fn get(&self, path: &str) -> Value {
        let url = format!("{}/admin/v1{path}", self.admin());
        let request = reqwest::Client::new().get(url).bearer_auth(self.cluster.admin_token());
        match request.timeout(Duration::from_secs(10)).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }

    /// Base URL of the admin listener of the first node.
    pub fn admin(&self) -> String {
        self.cluster.admin(0)
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    /// The key of a customer who has just registered.
    pub async fn customer(&self) -> String {
        let email = format!("customer-{:016x}@example.com", rand::random::<u64>());
        let body = json!({ "email": email, "password": "correct horse", "name": "Asha Rao" });
        let api = self.cluster.local["nodes"][0]["api"].as_str().expect("a node has an API");
        let register = reqwest::Client::new().post(format!("{api}/api/v1/auth/register")).json(&body);
        let answer = register.send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        let body: Value = answer.json().await.expect("JSON");
        body["user"]["id"].as_str().expect("an id").to_owned()
    }

    /// Begins to order, so that there is something to see.
    pub fn order(&mut self) {
        let order = self.cluster.nakku(&["order"]).stderr(Stdio::null()).spawn();
        if let Some(mut earlier) = self.orders.replace(order.expect("nakku order starts")) {
            earlier.wait().expect("it ends");
        }
    }

    /// SIGKILL for one of the further nodes.
    pub fn kill(&self, name: &str) {
        self.cluster.kill(name);
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(mut order) = self.orders.take() {
            let _ = order.kill();
            let _ = order.wait();
        }
    }
}
