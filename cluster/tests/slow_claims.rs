//! A MariaDB that takes longer for each claim than a node would want to wait: the node starts all the same, and goes
//! on following the view while claims are under way.
//!
//! A process can have one set of links in its life, so this is one test with one node.

#[path = "support/gaps.rs"]
mod gaps;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/settings.rs"]
mod settings;
#[path = "support/tally.rs"]
mod tally;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nakku_cluster::membership::{Roles, View};
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::store::{self, CLAIM, ClusterStore, SqlStore, Store};
use nakku_cluster::{Ask, Key, Ref};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use tally::{Ask as Told, Tally};

const SERVICES: [&str; 2] = ["source", "sums"];
const SHARDS: u32 = 8;
/// What the server takes for the row of a claim. A lane claims four shards of each service, one statement a service:
/// 3.2 s for a statement, which is less than a session waits for one, and 6.4 s in all.
const ROW_SECONDS: f64 = 0.8;
/// What all claims of a node take, sent together.
const CLAIMS: Duration = Duration::from_millis(6400);
/// Five times the slowest step, which is a claim.
const PATIENCE: Duration = Duration::from_secs(32);
/// Ten times what it takes to acknowledge a view, and far less than the claims have left to do then.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(3);

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A session of the account that may do everything.
struct Operator(MySqlConnection);

impl Operator {
    async fn run(&mut self, statement: &str) {
        let done = self.0.execute(AssertSqlSafe(statement)).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn slow_claims(&mut self) {
        for service in SERVICES {
            let slow = format!("IF NEW.type = '{CLAIM}' THEN DO SLEEP({ROW_SECONDS}); END IF");
            let trigger = format!("CREATE TRIGGER nakku_{service}.slow BEFORE INSERT ON nakku_{service}.journal");
            self.run(&format!("{trigger} FOR EACH ROW {slow}")).await;
        }
    }

    /// The fewest and the most claims that a shard has had.
    async fn claims(&mut self) -> (i64, i64) {
        let counts = SERVICES.map(|service| {
            format!("SELECT COUNT(*) AS claims FROM nakku_{service}.journal WHERE type = '{CLAIM}' GROUP BY shard")
        });
        let all = format!("SELECT MIN(claims), MAX(claims) FROM ({}) AS shards", counts.join(" UNION ALL "));
        sqlx::query_as(AssertSqlSafe(all)).fetch_one(&mut self.0).await.expect("counted")
    }
}

/// Takes all shards from the node, or gives them back; returns the version of the view that says so.
async fn cordon(cluster: &SqlStore, is_cordoned: bool) -> u64 {
    loop {
        let rows = cluster.read_cluster().await.expect("readable");
        let view = View::from_json(&rows.view).expect("a view");
        let view = view.cordon("only", is_cordoned).expect("a change");
        if cluster.swap_view(rows.view_version, &view.to_json()).await.expect("the database answers") {
            return view.version;
        }
    }
}

async fn acknowledged(cluster: &SqlStore, version: u64, within: Duration) {
    let began = Instant::now();
    loop {
        let leases = cluster.read_cluster().await.expect("readable").leases;
        if leases.iter().all(|lease| lease.acknowledged_version >= version) {
            return;
        }
        assert!(began.elapsed() < within, "view {version} is not acknowledged within {within:?}: {leases:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn serves(node: &Node, shards: u32) {
    let began = Instant::now();
    loop {
        let services = node.cluster().status().await.services;
        let serving: u32 = services.iter().map(|service| service.serving_here).sum();
        if serving == shards {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{serving} shards serve");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn raise(node: &Node, key: &str, by: i64) -> i64 {
    let target: Ref<Tally> = Ref::new(Key::new(key).expect("a key"));
    let cluster = node.cluster();
    cluster.ask(&target, &Told::Raise(by), Ask::within(PATIENCE)).await.expect("raised");
    cluster.ask(&target, &Told::Read, Ask::within(PATIENCE)).await.expect("a sum").reply.sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_takes_long_is_used_when_it_is_answered() {
    let url = servers::mariadb_url();
    let mut operator = Operator(MySqlConnection::connect(url).await.expect("the operator may log in"));
    let store = store::open(url).await.expect("an address");
    for service in tally::services() {
        operator.run(&format!("DROP DATABASE IF EXISTS nakku_{}", service.name)).await;
        store.migrate(service.name, service.migrations).await.expect("migrated");
    }
    operator.slow_claims().await;
    let folder = Folder(std::env::temp_dir().join(format!("nakku-slow-claims-{:016x}", rand::random::<u64>())));
    let settings = settings::settings("only", Roles::new(SERVICES), &folder.0, SHARDS);
    let cluster = store::open(&settings.cluster_database).await.expect("an address");
    let settings = NodeSettings { databases: [("main".to_owned(), url.to_owned())].into(), ..settings };

    let began = Instant::now();
    let node = Node::start(settings, tally::services(), Vec::new()).await.expect("it starts");
    assert!(began.elapsed() > CLAIMS, "the claims were not slow: {:?}", began.elapsed());
    assert_eq!(operator.claims().await, (1, 1), "none stands behind another");
    assert_eq!(raise(&node, "t-1", 5).await, 5);

    // The view takes the shards away while they are claimed, and gives them back: what is claimed for the shards as they
    // were before is not what they are now.
    acknowledged(&cluster, cordon(&cluster, true).await, PATIENCE).await;
    serves(&node, 0).await;
    acknowledged(&cluster, cordon(&cluster, false).await, PATIENCE).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let taken = cordon(&cluster, true).await;
    acknowledged(&cluster, taken, ACKNOWLEDGED_WITHIN).await;
    assert_eq!(operator.claims().await, (1, 1), "they are still under way");
    acknowledged(&cluster, cordon(&cluster, false).await, ACKNOWLEDGED_WITHIN).await;
    serves(&node, 2 * SHARDS).await;
    assert_eq!(raise(&node, "t-1", 2).await, 7);
    assert_eq!(operator.claims().await, (3, 3), "one that came too late, and one that was wanted");
    for service in SERVICES {
        gaps::assert_contiguous(store.as_ref(), service, SHARDS).await;
    }

    node.stop().await;
    for service in SERVICES {
        operator.run(&format!("DROP DATABASE nakku_{service}")).await;
    }
}
