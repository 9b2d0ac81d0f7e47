//! A backup of a shop at work, on two database servers and with a broker; the shop goes on, ends, and begins anew from
//! the backup on new servers. What was there at the moment of the backup is there, and fits together over services and
//! servers; what came later is not; new orders work and their events arrive.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::history;
use crate::processes::{Cluster, Database, temporary};
use crate::seed;
use crate::servers;
use crate::shop::{Placed, Shop};

const CUSTOMERS: usize = 8;
/// Writers wait for milliseconds; on a busy machine for more, and never for as long as a request may take.
const HELD_UP_MS_MAX: u64 = 5_000;
/// Orders of before the backup, at least.
const CONFIRMED_BEFORE: u64 = 20;
/// Consumers read the whole topic and end when nothing comes for so long.
const TOPIC_QUIET_MS: &str = "8000";

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_begins_anew_from_a_backup_that_was_made_while_it_worked() {
    let seed = seed();
    let kafka = tokio::task::spawn_blocking(servers::kafka).await.expect("Kafka starts");
    let inventory = Database::start();
    let prefix = format!("backup-{:08x}.", rand::random::<u32>());
    let mut cluster = Cluster::start_with(
        3,
        vec![
            ("KAFKA_BROKERS", kafka.brokers.clone()),
            ("KAFKA_TOPIC_PREFIX", prefix.clone()),
            ("KAFKA_PARTITIONS", "4".to_owned()),
            ("DATABASES_INVENTORY", inventory.url.clone()),
        ],
    )
    .await;
    let shop = Shop::open(&cluster, 8, 100_000).await;
    let customers = enter(&shop, 0, seed);
    // So few that consumers have heard of some shards only: of the others they hear in the time that will be lost.
    while shop.confirmed.load(Ordering::Relaxed) < CONFIRMED_BEFORE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let folder = temporary("backup");
    let backup = folder.join("monday").display().to_string();
    let began = shop.now();
    let made = succeeded(&cluster.run(&["backup", &backup]));
    let ended = shop.now();
    eprintln!("{made}");
    let manifest = manifest(Path::new(&backup));
    let held_up = manifest["writers_held_up_ms"].as_u64().expect("how long writers waited");
    assert!(held_up < HELD_UP_MS_MAX, "writers waited for {held_up} ms");
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1, "nothing unfinished is left");
    assert!(refused(&cluster.run(&["backup", &backup])).contains("it is there already"));
    assert!(refused(&cluster.run(&["restore", &backup])).contains("stop every node of the cluster first"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let placed = leave(&shop, customers).await;
    let troubles = shop.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(troubles.is_empty(), "{} requests failed, such as:\n{}", troubles.len(), troubles.join("\n"));

    cluster.kill_all();
    assert!(refused(&cluster.run(&["restore", &backup])).contains("is not empty"));
    let new_inventory = Database::start();
    cluster.database = Database::start();
    cluster.set("DATABASES_INVENTORY", new_inventory.url.clone());
    damage_is_found(&cluster, Path::new(&backup));
    eprintln!("{}", succeeded(&cluster.run(&["restore", &backup])));
    for name in ["node-1", "node-2", "node-3"] {
        cluster.launch(name).await;
    }
    cluster.all_ready().await;
    shop.use_gateways(&cluster);
    // Versions go back, which is what a restore means.
    shop.notes.lock().unwrap_or_else(PoisonError::into_inner).clear();

    let mut kept = kept(&shop, placed, began, ended).await;
    history::check(&cluster, &shop, &kept).await;
    let known = kept.len();
    let customers = enter(&shop, CUSTOMERS, seed.wrapping_add(1));
    tokio::time::sleep(Duration::from_secs(3)).await;
    kept.extend(leave(&shop, customers).await);
    assert!(kept.len() > known, "nobody has ordered after the restore");
    history::check(&cluster, &shop, &kept).await;

    let before = manifest["incarnations"]["order"].as_u64().expect("an incarnation");
    let topic = format!("{prefix}order");
    let mut read = Command::new(kafka.bin.join("kafka-console-consumer"));
    read.args(["--bootstrap-server", &kafka.brokers, "--topic", &topic, "--from-beginning"]);
    // That nothing more comes is how it ends, whatever its status.
    let events = read.args(["--timeout-ms", TOPIC_QUIET_MS]).output().expect("Kafka's tools can be started").stdout;
    let events = String::from_utf8_lossy(&events);
    let incarnations = events.lines().filter_map(|event| {
        let event: Value = serde_json::from_str(event).ok()?;
        event["id"].as_str()?.split('-').next()?.parse::<u64>().ok()
    });
    let (old, new): (Vec<u64>, Vec<u64>) = incarnations.partition(|one| *one == before);
    assert!(!old.is_empty() && !new.is_empty(), "{} events before, {} after", old.len(), new.len());
    assert!(new.iter().all(|one| *one > before), "the incarnation has risen");
    std::fs::remove_dir_all(folder).expect("it is there");
}

/// Orders that were answered before the backup are in it, those that were placed after it are not; in between either.
async fn kept(shop: &Shop, placed: Vec<Placed>, began: Duration, ended: Duration) -> Vec<Placed> {
    let mut kept = Vec::new();
    let (mut before, mut lost) = (0, 0);
    for order in placed {
        let path = format!("/orders/{}", order.id);
        let (status, body) = shop.ask(Method::GET, &path, Some(&order.token), &[], None).await;
        let is_there = status.is_success();
        assert!(is_there || status == StatusCode::NOT_FOUND, "{status} {body}");
        if order.answered_at < began {
            before += 1;
            assert!(is_there, "an order of before the backup is lost: {body}");
        } else {
            lost += usize::from(!is_there);
        }
        if is_there {
            let settled = shop.settled(&order.id, &order.token).await;
            let is_between = order.answered_at >= began;
            let confirmed = if is_between { settled["status"] != "cancelled" } else { order.confirmed };
            kept.push(Placed { confirmed, ..order });
        }
    }
    eprintln!("{before} orders before the backup, {lost} lost with what came after it ({:?} long)", ended - began);
    assert!(before > 0 && lost > 0, "the backup was not in the middle");
    kept
}

/// One byte is enough, in any file.
fn damage_is_found(cluster: &Cluster, backup: &Path) {
    let file = backup.join("nakku_order/default-1/journal.rows.gz");
    let whole = std::fs::read(&file).expect("the orders' journal");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&file, damaged).expect("it can be written");
    let told = refused(&cluster.run(&["restore", &backup.display().to_string()]));
    assert!(told.contains("journal.rows.gz is not as it was written"), "{told}");
    std::fs::write(&file, whole).expect("it can be written");
}

fn enter(shop: &Arc<Shop>, first: usize, seed: u64) -> Vec<JoinHandle<Vec<Placed>>> {
    shop.stop.store(false, Ordering::Relaxed);
    (first..first + CUSTOMERS).map(|number| tokio::spawn(Arc::clone(shop).customer(number, seed))).collect()
}

async fn leave(shop: &Shop, customers: Vec<JoinHandle<Vec<Placed>>>) -> Vec<Placed> {
    shop.stop.store(true, Ordering::Relaxed);
    let mut placed = Vec::new();
    for customer in customers {
        placed.extend(customer.await.expect("no customer gives up"));
    }
    placed
}

fn manifest(backup: &Path) -> Value {
    let text = std::fs::read(backup.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}
