//! A pair of servers, a node before it, and a proxy between them that can be turned from one server to the other, as a
//! load balancer or a name does.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nakku_cluster::membership::Roles;
use nakku_cluster::metrics::define;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::promotion::Promotion;
use nakku_cluster::store::{self, SqlStore};
use nakku_cluster::{Ask, AskError, Cluster, Key, Query};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::gaps;
use super::sample::{self, Command as Asked, Counter, Total, counter};
use super::servers::Pair;
use super::settings;

pub const SERVICE: &str = "sample";
pub const SERVER: &str = "main";
pub const SHARDS: u32 = 4;
/// Five times what the slowest step takes on a busy machine: a look every five seconds and what follows from it.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// What the node is allowed to read from a replica.
pub const STALENESS: Duration = Duration::from_millis(1500);

/// Hands connections on to a server; those that stand stay where they are.
pub struct Proxy {
    pub url: String,
    to: Arc<Mutex<String>>,
}

impl Proxy {
    /// Before the server of an address.
    pub async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("a port").to_string();
        let to = Arc::new(Mutex::new(host(url).to_owned()));
        let target = Arc::clone(&to);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = target.lock().expect("nobody panics with it").clone();
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(&server).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { url: url.replace(host(url), &own), to }
    }

    /// New connections go to the server of this address.
    pub fn turn_to(&self, url: &str) {
        host(url).clone_into(&mut self.to.lock().expect("nobody panics with it"));
    }
}

fn host(url: &str) -> &str {
    let rest = url.rsplit_once('@').expect("the address has a user").1;
    rest.split('?').next().expect("a first piece")
}

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A node whose databases, that of the cluster as well, are behind the proxy.
pub async fn start(folder: &Folder, proxy: &Proxy, pair: &Pair) -> Node {
    let settings = NodeSettings {
        cluster_database: proxy.url.clone(),
        databases: [(SERVER.to_owned(), proxy.url.clone())].into(),
        replicas: [(SERVER.to_owned(), pair.replica_url.clone())].into(),
        replica_staleness: STALENESS,
        ..settings::settings("only", Roles::new([SERVICE]), &folder.0, SHARDS)
    };
    Node::start(settings, vec![sample::service()], Vec::new()).await.expect("it starts")
}

/// A session of the account that may do everything.
pub async fn operator(url: &str) -> MySqlConnection {
    MySqlConnection::connect(url).await.expect("the operator may log in")
}

/// Statements without a result, by the text protocol.
pub async fn run(session: &mut MySqlConnection, statements: &[&str]) {
    for statement in statements {
        (&mut *session).execute(AssertSqlSafe(*statement)).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

pub async fn number(session: &mut MySqlConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(session).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Adds one to a counter, however often it comes with this id.
pub async fn receive(
    cluster: &Cluster,
    key: &str,
    id: u64,
    within: Duration,
) -> Result<Total, AskError<sample::Negative>> {
    let command = Asked::Receive { id, amount: 1 };
    cluster.ask(&counter(key), &command, Ask::within(within)).await.map(|answered| answered.reply)
}

/// Adds one with each of these ids; who has written sees it in a list at once. Nothing else was added before the first.
pub async fn receive_and_see(cluster: &Cluster, key: &str, ids: RangeInclusive<u64>) {
    for id in ids {
        receive(cluster, key, id, PATIENCE).await.expect("committed");
        assert_eq!(listed(cluster, key, own(key)).await, i64::try_from(id).expect("small"), "one's own is there");
    }
}

/// Tasks that write each to a counter of its own, without a pause, until they are ended.
pub struct Writers {
    cluster: Cluster,
    acknowledged: Arc<[AtomicU64]>,
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// So many.
    pub fn start(cluster: &Cluster, count: usize) -> Self {
        let acknowledged: Arc<[AtomicU64]> = (0..count).map(|_| AtomicU64::new(0)).collect();
        let over = Arc::new(AtomicBool::new(false));
        let tasks = (0..count).map(|writer| {
            let (cluster, acknowledged, over) = (cluster.clone(), Arc::clone(&acknowledged), Arc::clone(&over));
            tokio::spawn(async move {
                let key = Self::key(writer);
                for id in 1.. {
                    while receive(&cluster, &key, id, Duration::from_secs(1)).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    acknowledged[writer].store(id, Ordering::SeqCst);
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            })
        });
        let tasks = tasks.collect();
        Self { cluster: cluster.clone(), acknowledged, over, tasks }
    }

    /// The counter of one of them.
    pub fn key(writer: usize) -> String {
        format!("w-{writer}")
    }

    /// How many were acknowledged of each.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.iter().map(|one| one.load(Ordering::SeqCst)).collect()
    }

    /// Waits until each has so many acknowledged.
    pub async fn have(&self, what: &str, count: u64) {
        eventually(what, async || self.acknowledged().iter().all(|one| *one >= count)).await;
    }

    /// Ends them; each counter then has what was acknowledged, once.
    pub async fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        let acknowledged = Arc::clone(&self.acknowledged);
        for task in self.tasks {
            task.await.expect("no panic");
        }
        for (writer, count) in acknowledged.iter().enumerate() {
            let count = i64::try_from(count.load(Ordering::SeqCst)).expect("small");
            assert_eq!(total(&self.cluster, &Self::key(writer)).await, count, "each once");
        }
    }
}

pub async fn total(cluster: &Cluster, key: &str) -> i64 {
    let answered = cluster.ask(&counter(key), &Asked::Get, Ask::within(PATIENCE)).await;
    let Total(total) = answered.expect("it answers").reply;
    total
}

/// The total that a list shows.
pub async fn listed(cluster: &Cluster, key: &str, query: Query) -> i64 {
    let key = Key::new(key).expect("a key");
    let rows = cluster.list::<Counter>(&query.limit(500)).await.expect("a list");
    rows.iter().find(|row| row.key == key).map_or(0, |row| row.head.total)
}

pub fn own(key: &str) -> Query {
    Query::new().own(&Key::new(key).expect("a key"))
}

/// Lists that this process has read from there.
pub fn lists_from(place: &str) -> u64 {
    let line = format!("nakku_lists_total{{from=\"{place}\",service=\"{SERVICE}\"}} ");
    let text = define::text();
    text.lines().find_map(|one| one.strip_prefix(&line)).map_or(0, |count| count.parse().expect("a number"))
}

/// Waits until a list with this total has come from the replica.
pub async fn comes_from_replica(cluster: &Cluster, key: &str, query: Query, expected: i64) {
    eventually("the list is read from the replica", async || {
        let before = lists_from("replica");
        assert_eq!(listed(cluster, key, query.clone()).await, expected);
        lists_from("replica") > before
    })
    .await;
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the node says that it reads from the replica.
pub async fn uses_replica(cluster: &Cluster) -> bool {
    let status = cluster.status().await;
    let replica = status.dependencies.iter().find(|one| one.name == format!("replica {SERVER}"));
    let replica = replica.expect("it is named");
    assert!(replica.is_optional && replica.up == replica.error.is_none(), "{replica:?}");
    replica.up
}

/// The node's journals on a server have no gaps. Returns how many rows there are.
pub async fn assert_contiguous(url: &str) -> usize {
    let store = store::open(url).await.expect("an address");
    gaps::assert_contiguous(store.as_ref(), SERVICE, SHARDS).await
}

/// Sends a server of a pair a signal, by the number of its folder.
pub fn kill(pair: &Pair, number: u32) {
    let file = pair.folder.join(format!("node-{number}/pid"));
    let pid = std::fs::read_to_string(file).expect("a file with the process's id");
    let status = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill can be started");
    assert!(status.success(), "server {number} was not there");
}

/// Starts a server of a pair again, and returns when it answers.
pub async fn restart(pair: &Pair, number: u32) {
    let folder = pair.folder.join(format!("node-{number}"));
    let restart = move || {
        let script = super::servers::script();
        Command::new(script).arg("restart").arg(folder).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let status = tokio::task::spawn_blocking(restart).await.expect("no panic").expect("the script can be started");
    assert!(status.success(), "server {number} does not start again");
}

/// The replica, which is to be the new primary, and the old one, as an operator reaches them.
pub async fn new_and_old(pair: &Pair) -> (Arc<SqlStore>, Arc<SqlStore>) {
    let open = async |url| store::open(url).await.expect("an address");
    (open(&pair.replica_operator_url).await, open(&pair.operator_url).await)
}

/// The promotion of a server that holds the service and the cluster database.
pub fn promotion<'a>(new: &'a SqlStore, old: &'a SqlStore) -> Promotion<'a> {
    let services = &[SERVICE];
    Promotion { server: SERVER, new, old, old_is_gone: false, services, cluster: new, holds_cluster: true }
}

/// Waits until a replica has applied all that it received, and makes it a primary that takes writes.
pub async fn make_primary(pair: &Pair) {
    let store = store::open(&pair.replica_operator_url).await.expect("an address");
    eventually("the replica has applied what it received", async || {
        let standing = store.standing().await.expect("it says how it stands");
        standing.following.expect("it is a replica").has_applied_all
    })
    .await;
    let mut replica = operator(&pair.replica_operator_url).await;
    run(&mut replica, &["STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = OFF"]).await;
}
