//! Planned moves: a node joins, another drains, and no request fails.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::history;
use crate::processes::Cluster;
use crate::seed;
use crate::shop::Shop;

const CUSTOMERS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_nodes_join_and_drain() {
    let seed = seed();
    let mut cluster = Cluster::start(3).await;
    let shop = Shop::open(&cluster, 8, 100_000).await;
    let customers: Vec<_> =
        (0..CUSTOMERS).map(|number| tokio::spawn(Arc::clone(&shop).customer(number, seed))).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;

    cluster.launch("node-4").await;
    cluster.ready("node-4").await;
    shop.use_gateways(&cluster);
    tokio::time::sleep(Duration::from_secs(2)).await;

    for leaving in ["node-2", "node-1"] {
        // As behind a load balancer: it is told first, and takes no new connections to the node.
        let node = cluster.nodes.get(leaving).expect("it is there");
        let api = node.api.clone();
        let mut others = cluster.apis();
        others.retain(|one| *one != api);
        shop.use_only(others);
        cluster.drain(leaving).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    shop.stop.store(true, Ordering::Relaxed);
    let mut placed = Vec::new();
    for customer in customers {
        placed.extend(customer.await.expect("no customer gives up"));
    }
    let troubles = shop.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(troubles.is_empty(), "{} requests failed, such as:\n{}", troubles.len(), troubles.join("\n"));
    history::check(&cluster, &shop, &placed).await;
}
