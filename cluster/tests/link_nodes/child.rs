//! A child process: one node that does what its parent says, one JSON line per order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use nakku_cluster::link::{
    Inbound, LinkCredits, LinkFailure, LinkSettings, Links, Peer, Recipients, Request, TlsFiles,
};
use nakku_cluster::membership::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// The environment variable that makes a child of a process.
pub const VARIABLE: &str = "NAKKU_TEST_LINK_NODE";

/// What a child is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    pub control: String,
    pub cluster_id: String,
    pub cookie: String,
    pub node: NodeId,
    pub listen: String,
    pub tls: Option<[String; 3]>,
    pub connect_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub write_timeout_ms: u64,
    pub credit_messages: u32,
    pub credit_bytes: u64,
    pub message_bytes_max: usize,
}

/// What a child is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    Peers(Vec<(NodeId, String)>),
    Request { to: NodeId, service: String, header: String, body: String, epoch: u64, deadline_ms: u64 },
    Burst { to: NodeId, service: String, header: String, count: usize, body_bytes: usize, deadline_ms: u64 },
    Raw { to: NodeId, kind: String, header: Vec<u8>, body: String, deadline_ms: u64 },
    Notice { to: Option<NodeId>, text: String },
    Status,
    Release,
    Load { to: NodeId, callers: usize, body_bytes: usize, warm_up_ms: u64, measure_ms: u64 },
    Stop,
}

pub fn run() {
    let Ok(start) = std::env::var(VARIABLE) else { return };
    if start.starts_with("plain") {
        return crate::figures::run_plain_child(&start);
    }
    tracing_subscriber::fmt()
        .with_env_filter("info,ractor=warn,ractor_cluster=warn")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let start: Start = serde_json::from_str(&start).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(serve(start));
    // What a test left behind must not hold the process.
    std::process::exit(0);
}

async fn serve(start: Start) {
    let mut settings =
        LinkSettings::new(start.cluster_id, start.node, start.listen.parse().unwrap(), start.cookie.clone());
    settings.tls = start.tls.map(|[certificate, key, authority]| TlsFiles {
        certificate: certificate.into(),
        key: key.into(),
        authority: authority.into(),
    });
    settings.connect_timeout = Duration::from_millis(start.connect_timeout_ms);
    settings.idle_timeout = Duration::from_millis(start.idle_timeout_ms);
    settings.write_timeout = Duration::from_millis(start.write_timeout_ms);
    settings.credits = LinkCredits { messages: start.credit_messages, bytes: start.credit_bytes };
    settings.message_bytes_max = start.message_bytes_max;

    let target = Arc::new(Target::default());
    let links = Links::start(settings.clone(), target.clone()).await.unwrap();
    let suspected = Arc::new(Mutex::new(Vec::new()));
    let mut suspicions = links.suspicions();
    tokio::spawn({
        let suspected = suspected.clone();
        async move {
            while let Ok(node) = suspicions.recv().await {
                suspected.lock().unwrap().push(node.to_string());
            }
        }
    });

    let (from_parent, mut to_parent) = TcpStream::connect(&start.control).await.unwrap().into_split();
    let (answers, mut answered) = mpsc::unbounded_channel::<Value>();
    answers.send(json!({ "address": links.local_address().to_string() })).unwrap();
    tokio::spawn(async move {
        while let Some(answer) = answered.recv().await {
            let line = format!("{answer}\n");
            if to_parent.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut lines = BufReader::new(from_parent).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (number, order): (u64, Order) = serde_json::from_str(&line).unwrap();
        let (links, target, suspected, answers) = (links.clone(), target.clone(), suspected.clone(), answers.clone());
        tokio::spawn(async move {
            let result = follow(order, &links, &target, &suspected).await;
            answers.send(json!({ "number": number, "result": result })).unwrap();
        });
    }
}

async fn follow(order: Order, links: &Arc<Links>, target: &Arc<Target>, suspected: &Mutex<Vec<String>>) -> Value {
    match order {
        Order::Peers(peers) => {
            links.set_peers(peers.into_iter().map(|(node, address)| Peer { node, address }).collect());
            json!(null)
        }
        Order::Request { to, service, header, body, epoch, deadline_ms } => {
            let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
            let (service, header, body) = (service.into(), header.into(), body.into());
            let request = Request { service, header, body, traceparent, epoch };
            let begun = Instant::now();
            let answer = links.request(&to, request, Duration::from_millis(deadline_ms)).await;
            outcome(answer, begun)
        }
        Order::Burst { to, service, header, count, body_bytes, deadline_ms } => {
            let body = Bytes::from(vec![b'x'; body_bytes]);
            let begun = Instant::now();
            let one = || {
                let (service, header, body) = (service.as_str().into(), header.clone().into(), body.clone());
                let request = Request { service, header, body, traceparent: None, epoch: 0 };
                links.request(&to, request, Duration::from_millis(deadline_ms))
            };
            let mut ended = BTreeMap::<String, u64>::new();
            for answer in join_all((0..count).map(|_| one())).await {
                *ended.entry(name_of(&answer)).or_default() += 1;
            }
            json!({ "ended": ended, "ms": begun.elapsed().as_millis() as u64 })
        }
        Order::Raw { to, kind, header, body, deadline_ms } => {
            let begun = Instant::now();
            let answer = links.request_raw(&to, &kind, &header, body.into(), Duration::from_millis(deadline_ms)).await;
            outcome(answer, begun)
        }
        Order::Notice { to, text } => {
            let to = to.as_ref().map_or(Recipients::All, Recipients::One);
            json!(links.notice(to, text.into()))
        }
        Order::Status => {
            let peers = links.peers().into_iter().map(|peer| {
                json!({
                    "node": peer.node.to_string(),
                    "connected": peer.connected,
                    "round_trip_us": peer.round_trip.map(|round_trip| round_trip.as_micros() as u64),
                    "in_flight": peer.in_flight,
                    "in_flight_bytes": peer.in_flight_bytes,
                    "since_ms": peer.since.elapsed().as_millis() as u64,
                })
            });
            json!({
                "peers": peers.collect::<Vec<_>>(),
                "served": target.served.load(Ordering::SeqCst),
                "notices": *target.notices.lock().unwrap(),
                "suspected": *suspected.lock().unwrap(),
                "rss_kib": resident_kib(),
            })
        }
        Order::Release => {
            target.release.notify_waiters();
            json!(null)
        }
        Order::Load { to, callers, body_bytes, warm_up_ms, measure_ms } => {
            let request = move |links: Arc<Links>, body: Bytes| {
                let to = to.clone();
                async move {
                    let header = Bytes::from_static(b"a small header of the target");
                    let service = "echo".into();
                    let request = Request { service, header, body, traceparent: None, epoch: 1 };
                    links.request(&to, request, Duration::from_secs(10)).await.unwrap().len()
                }
            };
            let links = links.clone();
            crate::figures::load(callers, body_bytes, warm_up_ms, measure_ms, move |body| request(links.clone(), body))
                .await
        }
        Order::Stop => {
            let begun = Instant::now();
            links.stop().await;
            json!(begun.elapsed().as_millis() as u64)
        }
    }
}

fn outcome(answer: Result<Bytes, LinkFailure>, begun: Instant) -> Value {
    let text = answer.as_ref().map(|answer| String::from_utf8_lossy(answer).into_owned());
    json!({
        "ended": name_of(&answer),
        "text": text.unwrap_or_else(ToString::to_string),
        "ms": begun.elapsed().as_millis() as u64,
    })
}

fn name_of(answer: &Result<Bytes, LinkFailure>) -> String {
    match answer {
        Ok(_) => "answered".to_owned(),
        Err(failure) => format!("{failure:?}").split([' ', '(', '{']).next().unwrap().to_owned(),
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Who executes requests in a child.
#[derive(Default)]
struct Target {
    served: AtomicU64,
    notices: Mutex<Vec<String>>,
    release: Notify,
}

#[async_trait]
impl Inbound for Target {
    async fn request(&self, from: &NodeId, request: Request) -> Bytes {
        self.served.fetch_add(1, Ordering::SeqCst);
        let header = || std::str::from_utf8(&request.header).unwrap();
        match request.service.as_ref() {
            "echo" => request.body,
            "describe" => json!({
                "from": from.to_string(),
                "header": header(),
                "body": String::from_utf8_lossy(&request.body),
                "traceparent": request.traceparent,
                "epoch": request.epoch,
            })
            .to_string()
            .into(),
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(header().parse().unwrap())).await;
                request.body
            }
            "hold" => {
                self.release.notified().await;
                request.body
            }
            "size" => Bytes::from(vec![b'y'; header().parse().unwrap()]),
            "panic" => panic!("as asked"),
            other => format!("no service {other}").into(),
        }
    }

    fn notice(&self, from: &NodeId, notice: Bytes) {
        let text = format!("{from}: {}", String::from_utf8_lossy(&notice));
        self.notices.lock().unwrap().push(text);
    }
}
