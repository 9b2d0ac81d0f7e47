//! Steady orders while nodes and the database are killed, frozen and brought back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::history;
use crate::processes::Cluster;
use crate::seed;
use crate::shop::Shop;

const CUSTOMERS: usize = 12;
/// Kinds of faults.
const KINDS: usize = 4;
/// More than a lease and what follows from its end.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_lose_nothing_when_any_of_them_or_the_database_dies() {
    run(3, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_lose_nothing_when_any_of_them_or_the_database_dies() {
    run(5, 6).await;
}

async fn run(nodes: usize, faults: usize) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(nodes).await;
    let shop = Shop::open(&cluster, 8, 100_000).await;
    let customers: Vec<_> =
        (0..CUSTOMERS).map(|number| tokio::spawn(Arc::clone(&shop).customer(number, seed))).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for number in 0..faults {
        // Each kind at least once, the rest at random.
        let kind = if number < KINDS { number } else { random.random_range(0..KINDS) };
        let victim = format!("node-{}", random.random_range(1..=nodes));
        match kind {
            0 => {
                eprintln!("SIGKILL of {victim}");
                cluster.kill(&victim);
                shop.use_gateways(&cluster);
                tokio::time::sleep(Duration::from_secs(random.random_range(1..5))).await;
                cluster.launch(&victim).await;
            }
            1 => {
                eprintln!("SIGSTOP of {victim}");
                cluster.freeze(&victim);
                shop.use_gateways(&cluster);
                tokio::time::sleep(LONGER_THAN_A_LEASE).await;
                cluster.thaw(&victim);
            }
            2 => {
                eprintln!("the links to {victim} are cut");
                cluster.wire(&victim).cut();
                tokio::time::sleep(LONGER_THAN_A_LEASE).await;
                cluster.wire(&victim).mend();
            }
            _ => {
                eprintln!("SIGKILL of the database");
                cluster.database.kill();
                tokio::time::sleep(Duration::from_secs(random.random_range(1..4))).await;
                cluster.database.restart();
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.all_ready().await;
        shop.use_gateways(&cluster);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    shop.stop.store(true, Ordering::Relaxed);
    let mut placed = Vec::new();
    for customer in customers {
        placed.extend(customer.await.expect("no customer gives up"));
    }
    eprintln!("{} orders, {} of them confirmed", placed.len(), shop.confirmed.load(Ordering::Relaxed));
    history::check(&cluster, &shop, &placed).await;
}
