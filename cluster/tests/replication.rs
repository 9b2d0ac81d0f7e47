//! MariaDB with a semi-synchronous replica: what lists show, what happens without the replica, and a promotion under
//! load.
//!
//! A process can have one set of links in its life, so this is one test with one node.

#[path = "support/gaps.rs"]
mod gaps;
#[path = "support/pair.rs"]
mod pair;
#[path = "runtime/sample.rs"]
#[allow(dead_code, reason = "made for the tests of the runtime")]
mod sample;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/settings.rs"]
mod settings;

use std::time::{Duration, Instant};

use nakku_cluster::promotion::{Promotion, PromotionError};
use nakku_cluster::store::{self, Store};
use nakku_cluster::{AskError, Cluster, Failure, Query};
use pair::{
    Folder, PATIENCE, Proxy, SERVICE, STALENESS, Writers, assert_contiguous, comes_from_replica, eventually, kill,
    listed, lists_from, make_primary, new_and_old, number, operator, own, promotion, receive, receive_and_see, restart,
    run, start, total, uses_replica,
};
use servers::Pair;

/// Counters that are written to while the replica is promoted.
const WRITERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_read_waited_for_and_promoted() {
    let pair = servers::mariadb_pair();
    let proxy = Proxy::before(&pair.url).await;
    let folder = Folder(std::env::temp_dir().join(format!("nakku-replication-{:016x}", rand::random::<u64>())));
    let node = start(&folder, &proxy, pair).await;
    let cluster = node.cluster();

    lists_are_read_from_the_replica_and_show_ones_own(&cluster).await;
    a_replica_that_lags_is_not_read(&cluster, pair).await;
    without_the_replica_nothing_is_committed(&cluster, pair).await;
    what_a_primary_recovered_counts_once_the_replica_has_it(&cluster, pair).await;
    nothing_acknowledged_is_lost_in_a_promotion(&cluster, pair, &proxy).await;
    node.stop().await;
}

async fn lists_are_read_from_the_replica_and_show_ones_own(cluster: &Cluster) {
    eventually("the replica is used", async || uses_replica(cluster).await).await;
    receive_and_see(cluster, "c-1", 1..=50).await;
    tokio::time::sleep(STALENESS).await;
    comes_from_replica(cluster, "c-1", own("c-1"), 50).await;
    comes_from_replica(cluster, "c-1", Query::new().recent(), 50).await;
    let before = lists_from("replica");
    assert_eq!(listed(cluster, "c-1", Query::new()).await, 50);
    assert_eq!(lists_from("replica"), before, "what must be the latest is not");
}

async fn a_replica_that_lags_is_not_read(cluster: &Cluster, pair: &Pair) {
    let mut replica = operator(&pair.replica_operator_url).await;
    run(&mut replica, &["STOP SLAVE SQL_THREAD"]).await;
    // The replica receives it, if it does not apply it.
    receive_and_see(cluster, "c-1", 51..=60).await;
    let written = Instant::now();
    while written.elapsed() < STALENESS {
        assert!(listed(cluster, "c-1", Query::new().recent()).await >= 50);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(listed(cluster, "c-1", Query::new().recent()).await, 60, "nothing is older than it may be");
    assert!(!uses_replica(cluster).await);
    run(&mut replica, &["START SLAVE SQL_THREAD"]).await;
    eventually("the replica is used again", async || uses_replica(cluster).await).await;
    comes_from_replica(cluster, "c-1", own("c-1"), 60).await;
}

async fn without_the_replica_nothing_is_committed(cluster: &Cluster, pair: &Pair) {
    kill(pair, 2);
    for query in [Query::new().recent(), own("c-1"), Query::new()] {
        let began = Instant::now();
        assert_eq!(listed(cluster, "c-1", query).await, 60);
        assert!(began.elapsed() < Duration::from_secs(5), "lists go on: {:?}", began.elapsed());
    }
    let began = Instant::now();
    let outcome = receive(cluster, "c-1", 61, Duration::from_secs(2)).await;
    let Err(AskError::Failed(failure)) = &outcome else { panic!("{outcome:?}") };
    assert!(matches!(failure, Failure::TimedOut | Failure::Unavailable { .. }), "{failure:?}");
    assert!(failure.retry_after().is_some() && began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let mut primary = operator(&pair.operator_url).await;
    let visible = "SELECT COUNT(*) FROM nakku_sample.counter_state WHERE part = 'received/61'";
    assert_eq!(number(&mut primary, visible).await, 0, "nobody sees what the replica has not");
    eventually("the node says so", async || !uses_replica(cluster).await).await;
    restart(pair, 2).await;
    // Nobody does anything more: what hung goes on by itself.
    eventually("what was on its way is there", async || number(&mut primary, visible).await == 1).await;
    receive(cluster, "c-1", 61, PATIENCE).await.expect("it goes on");
    assert_eq!(total(cluster, "c-1").await, 61, "once");
    eventually("the replica is used again", async || uses_replica(cluster).await).await;
}

/// A primary that died while it waited for its replica commits what it had written when it starts again, without
/// waiting for anybody. Who asked must not hear of it before the replica has it, or a promotion would lose it.
async fn what_a_primary_recovered_counts_once_the_replica_has_it(cluster: &Cluster, pair: &Pair) {
    kill(pair, 2);
    let asking = cluster.clone();
    let asked = tokio::spawn(async move { receive(&asking, "c-1", 62, PATIENCE).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    kill(pair, 1);
    restart(pair, 1).await;
    let mut primary = operator(&pair.operator_url).await;
    let visible = "SELECT COUNT(*) FROM nakku_sample.counter_state WHERE part = 'received/62'";
    eventually("the primary has recovered it", async || number(&mut primary, visible).await == 1).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(!asked.is_finished(), "it was acknowledged without a replica");
    restart(pair, 2).await;
    asked.await.expect("no panic").expect("the replica has it");
    assert_eq!(total(cluster, "c-1").await, 62, "once");
}

async fn nothing_acknowledged_is_lost_in_a_promotion(cluster: &Cluster, pair: &Pair, proxy: &Proxy) {
    let writers = Writers::start(cluster, WRITERS);
    writers.have("every writer writes", 20).await;

    let (new, old) = new_and_old(pair).await;
    let promotion = promotion(&new, &old);
    let refused = promotion.perform().await.expect_err("two primaries");
    assert!(matches!(refused, PromotionError::OldIsWritable(_)), "{refused}");
    let same = Promotion { old: &new, ..promotion };
    let refused = same.perform().await.expect_err("one server");
    assert!(matches!(refused, PromotionError::Same { .. }), "{refused}");

    // The fence, in this order: with a replica away, read_only would wait for commits that wait for it.
    let mut primary = operator(&pair.operator_url).await;
    let lock = ["SET SESSION sql_log_bin = 0", "ALTER USER 'nakku'@'%' ACCOUNT LOCK"];
    run(&mut primary, &lock).await;
    run(&mut primary, &["KILL HARD CONNECTION USER nakku", "SET GLOBAL read_only = ON"]).await;
    let before = writers.acknowledged();
    let refused = promotion.perform().await.expect_err("a replica still");
    assert!(matches!(refused, PromotionError::Receives { .. }), "{refused}");
    make_primary(pair).await;
    let mut replica = operator(&pair.replica_operator_url).await;
    run(&mut replica, &["SET GLOBAL read_only = ON"]).await;
    let refused = promotion.perform().await.expect_err("read-only");
    assert!(matches!(refused, PromotionError::NewIsReadOnly(_)), "{refused}");
    run(&mut replica, &["SET GLOBAL read_only = OFF"]).await;
    for (writer, count) in before.iter().enumerate() {
        let key = Writers::key(writer);
        let there = format!("SELECT COUNT(*) FROM nakku_sample.counter_state WHERE entity = '{key}' AND part <> ''");
        assert!(number(&mut replica, &there).await >= i64::try_from(*count).expect("small"), "of writer {writer}");
    }
    let promoted = promotion.perform().await.expect("one primary, which has all");
    assert_eq!(promoted.incarnations, [(SERVICE, 2)]);
    proxy.turn_to(&pair.replica_url);

    let highest = before.iter().max().copied().unwrap_or_default();
    writers.have("all writers go on, without a restart", highest + 20).await;
    let view_version = promoted.view_version.expect("the cluster database is there too");
    eventually("the node has followed the view", async || cluster.status().await.view_version >= view_version).await;
    writers.end().await;
    assert_eq!(total(cluster, "c-1").await, 62);
    assert_contiguous(&pair.replica_operator_url).await;
    // The old primary takes nothing more of a node.
    let late = store::open(&pair.url).await.expect("an address");
    assert!(late.ping().await.is_err(), "the nodes' account may still log in at the old primary");
    let newest = "SELECT MAX(incarnation) FROM nakku_sample.incarnation";
    assert_eq!((number(&mut primary, newest).await, number(&mut replica, newest).await), (1, 2));
}
