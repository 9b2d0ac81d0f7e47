//! A child process as the tests see it.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nakku_cluster::membership::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::child::{Order, Start, VARIABLE};

/// How long anything may take that is expected within a second or two.
pub const PATIENCE: Duration = Duration::from_secs(10);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A running child; killed when dropped.
pub struct Node {
    pub id: NodeId,
    pub address: String,
    child: Child,
    orders: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Waiting,
    numbers: AtomicU64,
    log: Arc<Mutex<String>>,
}

/// Settings that let tests see deadlines pass soon, but not so soon that two busy cores trip over them.
pub fn start(name: &str, generation: u64) -> Start {
    Start {
        control: String::new(),
        cluster_id: "test".to_owned(),
        cookie: "cookie".to_owned(),
        node: NodeId::new(name, generation),
        listen: "127.0.0.1:0".to_owned(),
        tls: None,
        connect_timeout_ms: 2_000,
        idle_timeout_ms: 2_000,
        write_timeout_ms: 2_000,
        credit_messages: 4096,
        credit_bytes: 32 << 20,
        message_bytes_max: 1 << 20,
    }
}

impl Node {
    pub async fn spawn(mut start: Start) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        start.control = listener.local_addr().unwrap().to_string();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_process", "--exact", "--nocapture"])
            .env(VARIABLE, serde_json::to_string(&start).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (kept, who) = (log.clone(), start.node.to_string());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("{who} | {line}");
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("the child connects");
        let (reader, orders) = accepted.unwrap().0.into_split();
        let mut answers = BufReader::new(reader).lines();
        let first: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
        let waiting = Waiting::default();
        tokio::spawn({
            let waiting = waiting.clone();
            async move {
                while let Ok(Some(line)) = answers.next_line().await {
                    let mut answer: Value = serde_json::from_str(&line).unwrap();
                    let number = answer["number"].as_u64().unwrap();
                    if let Some(waiting) = waiting.lock().unwrap().remove(&number) {
                        let _ = waiting.send(answer["result"].take());
                    }
                }
            }
        });
        Self {
            id: start.node,
            address: first["address"].as_str().unwrap().to_owned(),
            child,
            orders: tokio::sync::Mutex::new(orders),
            waiting,
            numbers: AtomicU64::new(1),
            log,
        }
    }

    /// Two nodes that have a link; `a` dials.
    pub async fn pair(a: Start, b: Start) -> (Self, Self) {
        let (a, b) = tokio::join!(Self::spawn(a), Self::spawn(b));
        a.list(&[&b]).await;
        b.list(&[&a]).await;
        a.wait_linked(&b.id, true).await;
        b.wait_linked(&a.id, true).await;
        (a, b)
    }

    pub async fn order(&self, order: Order) -> Value {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(number, answer);
        let line = format!("{}\n", json!((number, order)));
        self.orders.lock().await.write_all(line.as_bytes()).await.unwrap();
        answered.await.expect("the child lives")
    }

    pub async fn list(&self, peers: &[&Node]) {
        let peers = peers.iter().map(|peer| (peer.id.clone(), peer.address.clone())).collect();
        self.order(Order::Peers(peers)).await;
    }

    pub async fn request(&self, to: &Node, service: &str, header: &str, body: &str, deadline: Duration) -> Ended {
        let order = Order::Request {
            to: to.id.clone(),
            service: service.to_owned(),
            header: header.to_owned(),
            body: body.to_owned(),
            epoch: 42,
            deadline_ms: deadline.as_millis() as u64,
        };
        Ended::of(&self.order(order).await)
    }

    pub async fn burst(
        &self,
        to: &Node,
        service: &str,
        (count, body_bytes): (usize, usize),
        deadline: Duration,
    ) -> (HashMap<String, u64>, Duration) {
        let order = Order::Burst {
            to: to.id.clone(),
            service: service.to_owned(),
            header: "100".to_owned(),
            count,
            body_bytes,
            deadline_ms: deadline.as_millis() as u64,
        };
        let answer = self.order(order).await;
        let ended = serde_json::from_value(answer["ended"].clone()).unwrap();
        (ended, Duration::from_millis(answer["ms"].as_u64().unwrap()))
    }

    pub async fn raw(&self, to: &Node, kind: &str, header: Vec<u8>) -> Ended {
        let (to, kind, body) = (to.id.clone(), kind.to_owned(), "body".to_owned());
        let deadline_ms = PATIENCE.as_millis() as u64;
        Ended::of(&self.order(Order::Raw { to, kind, header, body, deadline_ms }).await)
    }

    pub async fn status(&self) -> Value {
        self.order(Order::Status).await
    }

    /// What this node knows of a peer; null when it is not listed.
    pub async fn peer(&self, peer: &NodeId) -> Value {
        let status = self.status().await;
        let peers = status["peers"].as_array().unwrap();
        peers.iter().find(|known| known["node"] == peer.to_string()).cloned().unwrap_or_default()
    }

    pub async fn wait_linked(&self, peer: &NodeId, linked: bool) {
        let what = format!("{} to have a link to {peer}: {linked}", self.id);
        wait_for(&what, async || self.peer(peer).await["connected"] == linked).await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().expect("the child lives") as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The CPU time that it has used.
    pub fn cpu_us(&self) -> u64 {
        crate::figures::cpu_us_of(&self.child.id().expect("the child lives").to_string())
    }

    pub fn has_logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().contains(text)
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Ended {
    pub how: String,
    pub text: String,
    pub after: Duration,
}

impl Ended {
    fn of(answer: &Value) -> Self {
        Self {
            how: answer["ended"].as_str().unwrap().to_owned(),
            text: answer["text"].as_str().unwrap().to_owned(),
            after: Duration::from_millis(answer["ms"].as_u64().unwrap()),
        }
    }
}

/// Waits for a condition.
pub async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
