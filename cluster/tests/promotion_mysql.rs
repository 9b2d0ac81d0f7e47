//! MySQL replicates asynchronously: a promoted replica may lack what was acknowledged. Nodes notice, write nothing behind
//! the gap, and go on with what is there once an operator has said so.

#[path = "support/gaps.rs"]
mod gaps;
#[path = "support/pair.rs"]
#[allow(dead_code, reason = "the test on MariaDB uses the rest")]
mod pair;
#[path = "runtime/sample.rs"]
#[allow(dead_code, reason = "made for the tests of the runtime")]
mod sample;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/settings.rs"]
mod settings;

use std::time::Duration;

use nakku_cluster::store;
use pair::{
    Folder, Proxy, STALENESS, assert_contiguous, eventually, make_primary, new_and_old, operator, promotion, receive,
    receive_and_see, run, start, total, uses_replica,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lacks_something_is_served_only_once_that_was_seen() {
    let pair = servers::mysql_pair();
    let proxy = Proxy::before(&pair.url).await;
    let folder = Folder(std::env::temp_dir().join(format!("nakku-promotion-{:016x}", rand::random::<u64>())));
    let node = start(&folder, &proxy, pair).await;
    let cluster = node.cluster();
    eventually("the replica is used", async || uses_replica(&cluster).await).await;
    receive_and_see(&cluster, "c-1", 1..=20).await;
    let copied = total(&cluster, "c-1").await;
    let mut replica = operator(&pair.replica_operator_url).await;
    let mut primary = operator(&pair.operator_url).await;
    let wait = "SELECT WAIT_FOR_EXECUTED_GTID_SET(@@GLOBAL.gtid_executed, 1)";
    eventually("the replica has it all", async || {
        let executed: String =
            sqlx::query_scalar("SELECT @@GLOBAL.gtid_executed").fetch_one(&mut primary).await.expect("a set");
        let wait = wait.replace("@@GLOBAL.gtid_executed", &format!("'{executed}'"));
        pair::number(&mut replica, &wait).await == 0
    })
    .await;
    run(&mut replica, &["STOP SLAVE IO_THREAD"]).await;

    // Acknowledged, and on its way to nowhere.
    receive_and_see(&cluster, "c-1", 21..=40).await;
    tokio::time::sleep(STALENESS).await;
    assert!(!uses_replica(&cluster).await);

    run(&mut primary, &["SET GLOBAL super_read_only = ON", "SET GLOBAL offline_mode = ON"]).await;
    make_primary(pair).await;
    run(&mut replica, &["SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF"]).await;
    // Nodes get there before anybody has said that they may.
    proxy.turn_to(&pair.replica_url);
    let rows = assert_contiguous(&pair.replica_operator_url).await;
    for _ in 0..10 {
        let outcome = receive(&cluster, "c-1", 41, Duration::from_millis(700)).await;
        assert!(outcome.is_err(), "it was written behind a gap: {outcome:?}");
    }
    // A shard that lacks nothing may have been claimed anew.
    let claims = assert_contiguous(&pair.replica_operator_url).await - rows;
    assert!(claims <= 64, "{claims} rows were written");

    let (new, old) = new_and_old(pair).await;
    let promotion = promotion(&new, &old);
    let promoted = promotion.perform().await.expect("one primary");
    assert!(promoted.view_version.is_some_and(|version| version > store::LEAP), "{promoted:?}");
    eventually("the node goes on with what is there", async || {
        receive(&cluster, "c-1", 41, Duration::from_secs(1)).await.is_ok()
    })
    .await;
    assert_eq!(total(&cluster, "c-1").await, copied + 1);
    assert_contiguous(&pair.replica_operator_url).await;
    node.stop().await;
}
