//! A node and an older copy of its service's database: refused at start, halted while running, taken anew once
//! the incarnation has been raised.
//!
//! A process can have one set of links in its life, so this is one test with one node that starts.

#[path = "support/gaps.rs"]
mod gaps;
#[path = "runtime/sample.rs"]
#[allow(dead_code, reason = "made for the tests of the runtime")]
mod sample;
#[path = "support/settings.rs"]
mod settings;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nakku_cluster::incarnation;
use nakku_cluster::membership::Roles;
use nakku_cluster::node::{Node, NodeError, NodeSettings};
use nakku_cluster::store::{self, ClusterStore, Store};
use nakku_cluster::{Ask, AskError, Cluster, Failure, Query};
use sample::{Command, Counter, Total, counter};

/// A look every five seconds and what follows from it, five times.
const PATIENCE: Duration = Duration::from_secs(30);
const SERVICE: &str = "sample";
const SERVER: &str = "main";

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-incarnation-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn url(&self, file: &str) -> String {
        format!("sqlite://{}", self.0.join(file).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(folder: &Folder) -> NodeSettings {
    NodeSettings {
        cluster_database: folder.url("cluster.db"),
        databases: [(SERVER.to_owned(), folder.url("sample.db"))].into(),
        ..settings::settings("only", Roles::new([SERVICE]), &folder.0, 4)
    }
}

async fn start(folder: &Folder) -> Result<Node, NodeError> {
    Node::start(settings(folder), vec![sample::service()], Vec::new()).await
}

/// A copy of a SQLite database at one moment, as a backup makes it.
async fn copy(from: &Path, to: &Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(from);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the file opens");
    let vacuum = sqlx::query("VACUUM INTO ?").bind(to.display().to_string());
    vacuum.execute(&mut connection).await.expect("a copy");
}

/// Whether this process has the file open (proc(5)).
fn is_open(file: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").expect("the files of this process");
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).any(|open| open == file)
}

/// What happens to a running node when somebody else's copy appears under it: the file must stay the same one,
/// so its content is taken over.
async fn set_incarnation(file: &Path, incarnation: i64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the file opens");
    let set = sqlx::query("UPDATE nakku_sample__incarnation SET incarnation = ?").bind(incarnation);
    set.execute(&mut connection).await.expect("written");
}

/// Asks once, briefly.
async fn add(cluster: &Cluster) -> Result<Total, AskError<sample::Negative>> {
    let ask = Ask::within(Duration::from_millis(500));
    cluster.ask(&counter("c-1"), &Command::Add(1), ask).await.map(|answered| answered.reply)
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_is_not_served_until_its_incarnation_is_raised() {
    let folder = Folder::new();
    let (file, backup) = (folder.0.join("sample.db"), folder.0.join("backup.db"));
    let cluster_store = store::open(&folder.url("cluster.db")).await.expect("a store");
    cluster_store.migrate_cluster().await.expect("tables");
    {
        let store = store::open(&folder.url("sample.db")).await.expect("a store");
        store.migrate(SERVICE, sample::MIGRATIONS).await.expect("tables");
        copy(&file, &backup).await;
        let raised = incarnation::raise(cluster_store.as_ref(), store.as_ref(), SERVICE, SERVER).await;
        assert_eq!(raised.expect("raised"), 2);
    }

    // The copy from before comes back, and nobody says so. A connection that is still closing would write what it has
    // over it.
    eventually("the file is closed", async || !is_open(&file)).await;
    for rest in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.0.join(format!("sample.db{rest}")));
    }
    std::fs::copy(&backup, &file).expect("restored");
    let error = start(&folder).await.expect_err("an older copy");
    let NodeError::Incarnation { service: SERVICE, found: 1, known: 2, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("`nakku migrate --raise-incarnation sample`"), "{error}");

    // An operator has looked.
    let store = store::open(&folder.url("sample.db")).await.expect("a store");
    let raised = incarnation::raise(cluster_store.as_ref(), store.as_ref(), SERVICE, SERVER).await;
    assert_eq!(raised.expect("raised"), 3, "above the one that is known");
    let node = start(&folder).await.expect("accepted");
    let cluster = node.cluster();
    assert_eq!(add(&cluster).await.expect("served"), Total(1));

    // An older copy appears under the running node.
    set_incarnation(&file, 2).await;
    eventually("the shards are halted", async || {
        matches!(add(&cluster).await, Err(AskError::Failed(Failure::Unavailable { .. })))
    })
    .await;
    let listed = cluster.list::<Counter>(&Query::new()).await;
    assert!(matches!(listed, Err(Failure::Unavailable { .. })), "{listed:?}");
    let status = cluster.status().await;
    let database = status.dependencies.iter().find(|one| one.name == "database main").expect("named");
    assert!(!database.up && database.error.as_ref().is_some_and(|error| error.contains("sample")), "{database:?}");

    // What the shards remember is not what counts then: here, that the counter's last row was lost with the copy.
    forget_counter(&file).await;
    let raised = incarnation::raise(cluster_store.as_ref(), store.as_ref(), SERVICE, SERVER).await;
    assert_eq!(raised.expect("raised"), 4);
    let mut total = None;
    eventually("the shards serve what the database holds", async || {
        total = add(&cluster).await.ok();
        total.is_some()
    })
    .await;
    assert_eq!(total, Some(Total(1)));
    // The journal goes on where the copy ends.
    gaps::assert_contiguous(store.as_ref(), SERVICE, 4).await;
    assert_eq!(cluster_store.remember_incarnation(SERVICE, SERVER, 0).await.expect("known"), 4);
    node.drain().await.expect("drained");
}

/// Takes away the counter and its rows in the journal, as a copy from before them would.
async fn forget_counter(file: &Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the file opens");
    for text in ["DELETE FROM nakku_sample__counter_state", "DELETE FROM nakku_sample__journal WHERE seq > 1"] {
        sqlx::query(text).execute(&mut connection).await.expect("forgotten");
    }
}
