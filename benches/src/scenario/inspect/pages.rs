//! Every view of five nodes with many loaded entities, asked of one of them over HTTP again and again while commands go
//! on and a console and a tail are open.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use super::carts;
use super::shoppers::{Bought, CHANGE_EVERY, CHANGING, ORDER_EVERY, ORDERING, Shoppers};
use crate::arguments::BenchArguments;
use crate::database::Database;
use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::{ADMIN_TOKEN, Server};
use crate::machine::{anonymous_bytes, resident_bytes};
use crate::report::Figure;
use crate::scenario::checkout::prepare_for;
use crate::scenario::idle;
use crate::statistics::{Latencies, Series};

/// Nodes with every role.
pub(super) const NODES: usize = 5;
/// Who asks for pages: one page after another, without a pause.
const LOOKING: usize = 2;
/// How often each view is asked for.
const PAGES: usize = 250;
/// Streams that are open meanwhile.
const STREAMS: [&str; 2] = ["watch?view=shards", "tail?seconds=600"];
/// How long the nodes may take to come to rest: all shards served, all events consumed.
const REST_PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked whether they have.
const REST_LOOK_EVERY: Duration = Duration::from_millis(500);
/// Before memory is counted, so that what came last is freed.
const SETTLE: Duration = Duration::from_secs(3);
/// For how long a node is profiled.
const PROFILE_S: u32 = 5;
/// The version as of which an order is shown.
const PAST_VERSION: u64 = 3;

/// What a page shows.
#[derive(Clone, Copy)]
enum Page {
    /// A list over all nodes.
    List(&'static str),
    /// One of the loaded carts.
    Cart,
    /// The last order.
    Order,
    /// Its events with what they changed.
    History,
    /// Its state as of an earlier version.
    Past,
    /// The path of the request that made it.
    Trace,
}

const VIEWS: [(&str, Page); 16] = [
    ("nodes", Page::List("nodes")),
    ("shards", Page::List("shards")),
    ("types", Page::List("types")),
    ("top by messages", Page::List("top?by=messages&limit=50")),
    ("top by time", Page::List("top?by=time&limit=50")),
    ("top by mailbox", Page::List("top?by=mailbox&limit=50")),
    ("top by state", Page::List("top?by=state&limit=50")),
    ("moves", Page::List("moves")),
    ("graphs", Page::List("points")),
    ("tree", Page::List("tree")),
    ("infrastructure", Page::List("infrastructure")),
    ("one cart of all", Page::Cart),
    ("one order", Page::Order),
    ("an order's history", Page::History),
    ("an order as of a version", Page::Past),
    ("a trace", Page::Trace),
];

impl Page {
    fn path(self, number: usize, newest: &Bought) -> String {
        let Bought { order, trace } = newest;
        match self {
            Self::List(view) => format!("/admin/v1/{view}"),
            Self::Cart => format!("/admin/v1/entities/cart.cart/{}", idle::cart(number % carts::COUNT)),
            Self::Order => format!("/admin/v1/entities/order.order/{order}"),
            Self::History => format!("/admin/v1/entities/order.order/{order}/history"),
            Self::Past => format!("/admin/v1/entities/order.order/{order}?version={PAST_VERSION}"),
            Self::Trace => format!("/admin/v1/traces/{trace}"),
        }
    }
}

/// What was found.
pub(super) struct Pages {
    seen: Seen,
    loading_s: f64,
    loaded: u64,
    /// Of the node that is asked, in MiB: before carts are loaded, before anybody looks, after.
    asked: [f64; 3],
    /// Of a node that only answers: before anybody looks, after, and after its processor was profiled.
    other: [f64; 3],
    /// Of that node, what of it is not the contents of files: before the profile and after.
    anonymous: [f64; 2],
}

/// What those who looked have seen.
struct Seen {
    latencies: Vec<Latencies>,
    /// Bytes of each view's largest page.
    bytes: Vec<usize>,
    /// Pages that named a node that did not answer.
    lacking: u64,
}

impl Seen {
    fn new() -> Self {
        Self { latencies: vec![Latencies::new(); VIEWS.len()], bytes: vec![0; VIEWS.len()], lacking: 0 }
    }

    fn add(&mut self, other: &Self) {
        for (view, latencies) in other.latencies.iter().enumerate() {
            self.latencies[view].add(latencies);
            self.bytes[view] = self.bytes[view].max(other.bytes[view]);
        }
        self.lacking += other.lacking;
    }
}

/// Starts the nodes, fills them and looks.
///
/// # Errors
/// When a page is refused, or a node or the database fails.
pub(super) async fn measure(arguments: &BenchArguments, database: &Database) -> Result<Pages, BenchError> {
    eprintln!("starting {NODES} nodes");
    let servers = start(arguments, database).await?;
    let admin = servers[0].admin;
    let sessions = prepare_for(&servers[0], ORDERING + CHANGING).await?;
    at_rest(admin).await?;
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let memory = |number: usize| mebibytes(resident_bytes(servers[number].pid()));
    let without_files = |number: usize| mebibytes(anonymous_bytes(servers[number].pid()));
    let empty = memory(0);
    eprintln!("loading {} carts", carts::COUNT);
    let loading_s = carts::have_loaded(&arguments.executable, &database.url).await?;
    at_rest(admin).await?;
    let loaded = sum(&listed(admin, "nodes").await?, "/loaded");
    if loaded < carts::COUNT as u64 {
        return Err(BenchError::failed("loading", format!("only {loaded} of {} are loaded", carts::COUNT)));
    }
    let shoppers = Shoppers::start(&servers, sessions).await?;
    tokio::time::sleep(SETTLE).await;
    let before = [memory(0), memory(1)];
    eprintln!("{LOOKING} look at {} views, each {PAGES} times", VIEWS.len());
    let streams = STREAMS.map(|path| open_stream(admin, path));
    let mut looking = JoinSet::new();
    for number in 0..LOOKING {
        looking.spawn(look(admin, number, shoppers.newest()));
    }
    let mut seen = Seen::new();
    while let Some(ended) = looking.join_next().await {
        seen.add(&ended.map_err(|error| BenchError::failed("looking", error))??);
    }
    for (stream, path) in streams.into_iter().zip(STREAMS) {
        if stream.is_finished() {
            return Err(BenchError::failed(path, format!("the stream ended: {:?}", stream.await)));
        }
        stream.abort();
    }
    tokio::time::sleep(SETTLE).await;
    let after = [memory(0), memory(1)];
    let unprofiled = without_files(1);
    profile(admin, &name(1)).await?;
    tokio::time::sleep(SETTLE).await;
    let (profiled, anonymous) = (memory(1), [unprofiled, without_files(1)]);
    shoppers.stop().await?;
    Ok(Pages {
        seen,
        loading_s,
        loaded,
        asked: [empty, before[0], after[0]],
        other: [before[1], after[1], profiled],
        anonymous,
    })
}

impl Pages {
    /// How it was measured.
    pub fn settings(&self) -> Vec<(String, String)> {
        let shopping = format!(
            "{CHANGING} customers change their carts every {} ms, one order every {} ms",
            CHANGE_EVERY.as_millis(),
            ORDER_EVERY.as_millis()
        );
        let looking =
            format!("{LOOKING} clients without a pause, {PAGES} pages of each view; open: {}", STREAMS.join(", "));
        vec![("commands meanwhile".into(), shopping), ("looking".into(), looking)]
    }

    /// What was measured.
    pub fn figures(&self) -> Vec<Figure> {
        let one =
            |name: String, unit: &'static str, value: f64| Figure::new(name, unit, &[value].into_iter().collect());
        let mut figures = vec![
            one(format!("{NODES} nodes: entities loaded"), "", self.loaded as f64),
            one(format!("loading {} of them", carts::COUNT), "s", self.loading_s),
        ];
        for ((name, _), (latencies, bytes)) in VIEWS.iter().zip(self.seen.latencies.iter().zip(&self.seen.bytes)) {
            figures.push(one(format!("{name}: p50"), "ms", latencies.millis(0.5)));
            figures.push(one(format!("{name}: p99"), "ms", latencies.millis(0.99)));
            figures.push(one(format!("{name}: largest page"), "KiB", *bytes as f64 / 1024.0));
        }
        for (name, value) in ["before loading", "before looking", "after looking"].iter().zip(self.asked) {
            figures.push(one(format!("memory of the node that is asked, {name}"), "MiB", value));
        }
        for (name, value) in ["before looking", "after looking", "after a profile"].iter().zip(self.other) {
            figures.push(one(format!("memory of another node, {name}"), "MiB", value));
        }
        for (name, value) in ["before a profile", "after a profile"].iter().zip(self.anonymous) {
            figures.push(one(format!("its memory without files, {name}"), "MiB", value));
        }
        figures
    }

    /// The largest p99 of all views, in milliseconds.
    pub fn slowest(&self) -> Series {
        let all = self.seen.latencies.iter().map(|latencies| latencies.millis(0.99));
        [all.fold(0.0, f64::max)].into_iter().collect()
    }

    /// How many pages named a node that did not answer in time.
    pub fn lacking(&self) -> Series {
        [self.seen.lacking as f64].into_iter().collect()
    }
}

async fn start(arguments: &BenchArguments, database: &Database) -> Result<Vec<Server>, BenchError> {
    let mut servers: Vec<Server> = Vec::with_capacity(NODES);
    for number in 0..NODES {
        let (program, first) = (&arguments.node_executable, servers.first());
        let server = Server::member(program, &database.url, first, &name(number)).await?;
        servers.push(server);
    }
    Ok(servers)
}

fn name(number: usize) -> String {
    format!("bench-{number}")
}

/// What a node's processor does for a few seconds.
async fn profile(admin: SocketAddr, node: &str) -> Result<(), BenchError> {
    let mut client = Client::new(admin).with_token(ADMIN_TOKEN);
    let path = format!("/admin/v1/nodes/{node}/profile?seconds={PROFILE_S}");
    let answer = client.send("POST", &path, "", r#"{"reason":"a benchmark"}"#).await?;
    if answer.status == 200 { Ok(()) } else { Err(answer.unexpected("a profile")) }
}

/// One after the other, all views in turn.
async fn look(admin: SocketAddr, number: usize, newest: Arc<Mutex<Bought>>) -> Result<Seen, BenchError> {
    let mut client = Client::new(admin).with_token(ADMIN_TOKEN);
    let mut seen = Seen::new();
    for round in 0..PAGES.div_ceil(LOOKING) {
        for place in 0..VIEWS.len() {
            // Not in step with each other.
            let view = (place + number * VIEWS.len() / LOOKING) % VIEWS.len();
            let (name, page) = VIEWS[view];
            let bought = newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // A prime, so that carts of all shards have their turn.
            let path = page.path((LOOKING * round + number) * 7_919, &bought);
            let began = Instant::now();
            let answer = client.send("GET", &path, "", "").await?;
            seen.latencies[view].record(began.elapsed());
            if answer.status != 200 {
                return Err(answer.unexpected(name));
            }
            seen.bytes[view] = seen.bytes[view].max(answer.body.len());
            if let Page::List(_) | Page::Trace = page {
                let shown: Value = serde_json::from_slice(&answer.body)?;
                seen.lacking += u64::from(shown["silent"].as_array().is_none_or(|silent| !silent.is_empty()));
            }
        }
    }
    Ok(seen)
}

/// Reads a stream to its end; whoever holds the task may end it.
fn open_stream(admin: SocketAddr, path: &'static str) -> JoinHandle<std::io::Result<()>> {
    tokio::spawn(async move {
        let mut stream = TcpStream::connect(admin).await?;
        let head =
            format!("GET /admin/v1/{path} HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut taken = vec![0; 64 * 1024];
        let length = stream.read(&mut taken).await?;
        if !taken[..length].starts_with(b"HTTP/1.1 200") {
            return Err(std::io::Error::other(String::from_utf8_lossy(&taken[..length])));
        }
        while stream.read(&mut taken).await? > 0 {}
        Ok(())
    })
}

/// Waits until all nodes are there, every shard has one owner, and nothing waits to be published or consumed.
async fn at_rest(admin: SocketAddr) -> Result<(), BenchError> {
    let began = Instant::now();
    loop {
        let nodes = listed(admin, "nodes").await?;
        let infrastructure = listed(admin, "infrastructure").await?;
        let ready = nodes.iter().filter(|node| node["ready"] == true).count();
        let waiting: u64 = infrastructure
            .iter()
            .map(|node| sum(&of(node, "publishers"), "/unpublished") + sum(&of(node, "consumers"), "/lag"))
            .sum();
        let shards = listed(admin, "shards").await?;
        let mut names: Vec<String> =
            shards.iter().map(|shard| format!("{}/{}", shard["service"], shard["number"])).collect();
        names.sort();
        let served = names.len();
        names.dedup();
        let owners: HashSet<&str> = shards.iter().filter_map(|shard| shard["node"].as_str()).collect();
        if ready == NODES && nodes.len() == NODES && owners.len() == NODES && names.len() == served && waiting == 0 {
            return Ok(());
        }
        if began.elapsed() > REST_PATIENCE {
            let what = format!("{ready} of {} ready, {served} shards served, {waiting} events wait", nodes.len());
            return Err(BenchError::failed("the nodes did not come to rest", what));
        }
        tokio::time::sleep(REST_LOOK_EVERY).await;
    }
}

async fn listed(admin: SocketAddr, view: &str) -> Result<Vec<Value>, BenchError> {
    let mut client = Client::new(admin).with_token(ADMIN_TOKEN);
    let shown: Value = client.json("GET", &format!("/admin/v1/{view}"), "", "", &[200]).await?;
    Ok(of(&shown, "items"))
}

fn of(value: &Value, member: &str) -> Vec<Value> {
    value[member].as_array().cloned().unwrap_or_default()
}

fn sum(items: &[Value], pointer: &str) -> u64 {
    items.iter().filter_map(|item| item.pointer(pointer)?.as_u64()).sum()
}
