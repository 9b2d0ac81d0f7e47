//! Throughput, latency and CPU time (of both processes, per request) of requests beside derived calls over
//! ractor_cluster's own TCP, same payload. CPU time is what still compares when the machine is busy:
//! `cargo test --release -p nakku-cluster --test link_nodes figures -- --ignored --nocapture`.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use ractor_cluster::{NodeServer, RactorClusterMessage};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::child::{Order, VARIABLE};
use crate::node::{Node, start};

const BODY_BYTES: usize = 1024;
const WARM_UP_MS: u64 = 1_000;
const MEASURE_MS: u64 = 3_000;
const ROUNDS: usize = 3;
const GROUP: &str = "plain";

#[tokio::test]
#[ignore = "takes a minute and wants the machine for itself"]
async fn figures() {
    for callers in [256, 1] {
        for round in 1..=ROUNDS {
            let (a, b) = Node::pair(start("a", 1), start("b", 1)).await;
            let to = b.id.clone();
            let (warm_up_ms, measure_ms) = (WARM_UP_MS, MEASURE_MS);
            let mut links = a.order(Order::Load { to, callers, body_bytes: BODY_BYTES, warm_up_ms, measure_ms }).await;
            note_cpu(&mut links, a.cpu_us() + b.cpu_us());
            drop((a, b));
            let plain = plain(callers).await;
            println!("{callers} callers, round {round}: links {links}, derived call {plain}");
        }
    }
}

/// Runs callers one after another each, and measures the middle of it.
pub async fn load<F>(
    callers: usize,
    body_bytes: usize,
    warm_up_ms: u64,
    measure_ms: u64,
    request: impl Fn(Bytes) -> F + Send + Sync + 'static,
) -> Value
where
    F: Future<Output = usize> + Send,
{
    const MEASURE: u8 = 1;
    const STOP: u8 = 2;
    let (phase, request) = (Arc::new(AtomicU8::new(0)), Arc::new(request));
    let caller = || {
        let (phase, request) = (phase.clone(), request.clone());
        tokio::spawn(async move {
            let (mut latencies_us, mut requests) = (Vec::new(), 0_u64);
            loop {
                requests += 1;
                let begun = Instant::now();
                let measured = phase.load(Ordering::Relaxed) == MEASURE;
                assert_eq!(request(vec![b'x'; body_bytes].into()).await, body_bytes);
                match phase.load(Ordering::Relaxed) {
                    STOP => return (latencies_us, requests),
                    MEASURE if measured => latencies_us.push(begun.elapsed().as_micros() as u64),
                    _ => {}
                }
            }
        })
    };
    let running: Vec<_> = (0..callers).map(|_| caller()).collect();
    tokio::time::sleep(Duration::from_millis(warm_up_ms)).await;
    phase.store(MEASURE, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(measure_ms)).await;
    phase.store(STOP, Ordering::Relaxed);
    let (mut latencies_us, mut requests) = (Vec::new(), 0);
    for caller in running {
        let (of_caller, more) = caller.await.unwrap();
        latencies_us.extend(of_caller);
        requests += more;
    }
    latencies_us.sort_unstable();
    let at = |share: f64| latencies_us[((latencies_us.len() - 1) as f64 * share) as usize];
    json!({
        "per_s": latencies_us.len() as u64 * 1000 / measure_ms,
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "requests": requests,
    })
}

/// What a process has used so far, in user and kernel mode.
pub fn cpu_us_of(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts them in hundredths of a second.
    ticks * 10_000
}

fn note_cpu(figures: &mut Value, cpu_us: u64) {
    let requests = figures["requests"].as_u64().unwrap();
    figures["cpu_us"] = json!((cpu_us as f64 / requests as f64 * 10.0).round() / 10.0);
}

async fn plain(callers: usize) -> Value {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = |role: String| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child_process", "--exact", "--nocapture"]).env(VARIABLE, role).stderr(Stdio::null());
        command.kill_on_drop(true);
        command
    };
    let server = child(format!("plain server {port}")).stdout(Stdio::null()).spawn().unwrap();
    let client = child(format!("plain client {port} {callers}")).output().await.unwrap();
    let server_cpu_us = cpu_us_of(&server.id().unwrap().to_string());
    drop(server);
    let output = String::from_utf8(client.stdout).unwrap();
    let json = output.split_once("figures: ").unwrap_or_else(|| panic!("no figures in {output}")).1;
    let mut figures: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let client_cpu_us = figures["own_cpu_us"].take().as_u64().unwrap();
    note_cpu(&mut figures, client_cpu_us + server_cpu_us);
    figures
}

#[derive(RactorClusterMessage)]
enum PlainMessage {
    #[rpc]
    Echo(Vec<u8>, RpcReplyPort<Vec<u8>>),
}

struct Plain;

impl Actor for Plain {
    type Msg = PlainMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<PlainMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        ractor::pg::join(GROUP.to_owned(), vec![myself.get_cell()]);
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<PlainMessage>,
        PlainMessage::Echo(body, reply): PlainMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        reply.send(body)?;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<PlainMessage>,
        _event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// The other side of the comparison.
pub fn run_plain_child(role: &str) {
    let words: Vec<&str> = role.split(' ').collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let is_server = words[1] == "server";
        let port = words[2].parse().unwrap();
        let (own_port, name) = if is_server { (port, "server") } else { (0, "client") };
        let node = NodeServer::new(own_port, "cookie".to_owned(), name.to_owned(), name.to_owned(), None, None)
            .with_listen_addr("127.0.0.1".parse().unwrap());
        let (node, ended) = Actor::spawn(None, node, ()).await.unwrap();
        if is_server {
            let _plain = Actor::spawn(None, Plain, ()).await.unwrap();
            ended.await.unwrap();
            return;
        }
        while ractor_cluster::client_connect(&node, ("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let target = loop {
            if let Some(target) = ractor::pg::get_members(&GROUP.to_owned()).pop() {
                break ActorRef::<PlainMessage>::from(target);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let request = move |body: Bytes| {
            let target = target.clone();
            async move { ractor::call_t!(target, PlainMessage::Echo, 10_000, body.into()).unwrap().len() }
        };
        let mut figures = load(words[3].parse().unwrap(), BODY_BYTES, WARM_UP_MS, MEASURE_MS, request).await;
        figures["own_cpu_us"] = json!(cpu_us_of("self"));
        println!("figures: {figures}");
    });
    std::process::exit(0);
}
