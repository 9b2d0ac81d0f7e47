//! A local cluster of three processes, as `nakku dev --nodes 3` starts it, with somebody who orders.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Five times what it takes to start on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Five times what it takes to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const SERVICES: [&str; 10] =
    ["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location", "analytics"];

/// The cluster and who orders there.
pub struct Dev {
    process: Child,
    orders: Option<Child>,
    folder: PathBuf,
    /// What it left for clients.
    pub local: Value,
}

impl Dev {
    /// Starts it and waits until all nodes are up.
    pub async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-console-{:016x}", rand::random::<u64>()));
        let mut command = Self::nakku(&folder, &["dev", "--nodes", "3"]);
        for listener in ["GATEWAY", "LINKS", "ADMIN"] {
            command.env(format!("NAKKU_LISTEN_{listener}"), format!("127.0.0.1:{}", free_port()));
        }
        for service in SERVICES {
            command.env(format!("NAKKU_SERVICE_PORTS_{}", service.to_uppercase()), "0");
        }
        command.env("NAKKU_LIMITS_ENABLED", "false");
        let process = command.spawn().expect("nakku dev starts");
        let mut dev = Self { process, orders: None, folder, local: Value::Null };
        let begun = Instant::now();
        while !dev.is_up().await {
            assert!(begun.elapsed() < START_PATIENCE, "nakku dev is not up in time");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        dev
    }

    fn nakku(folder: &std::path::Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nakku"));
        command.args(arguments).arg("--data").arg(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    async fn is_up(&mut self) -> bool {
        let Ok(text) = std::fs::read(self.folder.join("dev.json")) else { return false };
        let Ok(local) = serde_json::from_slice::<Value>(&text) else { return false };
        self.local = local;
        let nodes = self.get("/nodes").await;
        nodes["items"]
            .as_array()
            .is_some_and(|items| items.len() == 3 && items.iter().all(|node| node["ready"] == true))
    }

    /// What its first node says on the admin listener; null when it says nothing.
    pub async fn get(&self, path: &str) -> Value {
        let token = self.local["admin_token"].as_str().unwrap_or_default();
        let request = reqwest::Client::new().get(format!("{}/admin/v1{path}", self.admin())).bearer_auth(token);
        match request.timeout(Duration::from_secs(10)).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }

    /// Base URL of the admin listener of the first node.
    pub fn admin(&self) -> String {
        self.local["nodes"][0]["admin"].as_str().unwrap_or_default().to_owned()
    }

    /// The key of a customer who has just registered.
    pub async fn customer(&self) -> String {
        let email = format!("customer-{:016x}@example.com", rand::random::<u64>());
        let body = json!({ "email": email, "password": "correct horse", "name": "Asha Rao" });
        let register = format!("{}/api/v1/auth/register", self.local["nodes"][0]["api"].as_str().unwrap());
        let answer = reqwest::Client::new().post(register).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        let body: Value = answer.json().await.unwrap();
        body["user"]["id"].as_str().expect("an id").to_owned()
    }

    /// Begins to order, so that there is something to see.
    pub fn order(&mut self) {
        let order = Self::nakku(&self.folder, &["order"]).stderr(Stdio::null()).spawn();
        if let Some(mut earlier) = self.orders.replace(order.expect("nakku order starts")) {
            earlier.wait().expect("it ends");
        }
    }

    /// SIGKILL for one of the further nodes.
    pub fn kill(&self, name: &str) {
        let nodes = self.local["nodes"].as_array().expect("nodes");
        let node = nodes.iter().find(|node| node["name"] == name).expect("a node of that name");
        signal(&node["pid"], Signal::KILL);
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(mut order) = self.orders.take() {
            let _ = order.kill();
            let _ = order.wait();
        }
        signal(&json!(self.process.id()), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < STOP_PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn signal(pid: &Value, signal: Signal) {
    let pid = pid.as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    // It may have ended already.
    let _ = pid.map(|pid| kill_process(pid, signal));
}

/// A port that was free a moment ago, below those that the system gives to outgoing connections.
fn free_port() -> u16 {
    let candidates = std::iter::repeat_with(|| rand::random_range(10_000..30_000));
    candidates.take(1000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
