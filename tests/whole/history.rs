//! What the customers' notes and the databases must agree on, whatever happened in between.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use sqlx::Row;

use crate::processes::{Cluster, SERVICES};
use crate::shop::{Note, Placed, Shop};
use crate::sums;

/// How long the last compensations may take once the faults are over.
const QUIET_PATIENCE: Duration = Duration::from_secs(180);

/// Checks everything after the customers have stopped and the cluster is whole again.
pub async fn check(cluster: &Cluster, shop: &Shop, placed: &[Placed]) {
    let confirmed = placed.iter().filter(|order| order.confirmed).count();
    assert!(confirmed > 0, "no order was confirmed: the test has tested nothing");
    let held = acknowledged_orders_are_there(shop, placed).await;
    nothing_is_oversold(shop, held).await;
    histories_are_linearizable(&shop.notes.lock().unwrap_or_else(PoisonError::into_inner));
    sums::equal_those_of_the_orders(cluster, shop).await;
    journals_are_contiguous(cluster).await;
}

/// Every acknowledged order is there as it was acknowledged; prepaid ones are captured in full. Returns how
/// many units of each SKU the confirmed ones hold.
async fn acknowledged_orders_are_there(shop: &Shop, placed: &[Placed]) -> BTreeMap<String, u64> {
    let mut held: BTreeMap<String, u64> = shop.skus.iter().map(|sku| (sku.clone(), 0)).collect();
    for order in placed {
        let body = shop.settled(&order.id, &order.token).await;
        let is_confirmed = body["status"] != "cancelled";
        assert_eq!(order.confirmed, is_confirmed, "{} was answered otherwise: {body}", order.id);
        let total = body["total_minor"].as_i64().expect("a total");
        let captured = body["captured_minor"].as_i64().expect("what was captured");
        let refunded = body["refunded_minor"].as_i64().expect("what was refunded");
        assert!(refunded <= captured, "{body}");
        match (is_confirmed, order.card) {
            (true, true) => assert_eq!((captured, refunded), (total, 0), "{body}"),
            (true, false) => {}
            (false, _) => assert_eq!(captured, refunded, "{body}"),
        }
        for line in body["lines"].as_array().expect("lines").iter().filter(|_| is_confirmed) {
            let sku = line["sku"].as_str().expect("a sku").to_owned();
            *held.entry(sku).or_default() += line["quantity"].as_u64().expect("a quantity");
        }
    }
    held
}

/// What is sold or reserved is what the confirmed orders hold, and the rest is on the shelf.
async fn nothing_is_oversold(shop: &Shop, held: BTreeMap<String, u64>) {
    let began = Instant::now();
    for (sku, quantity) in held {
        loop {
            let level = shop.stock(&sku).await;
            let field = |name: &str| level[name].as_u64().unwrap_or_else(|| panic!("{name} in {level}"));
            let (on_hand, available, reserved) = (field("on_hand"), field("available"), field("reserved"));
            let (sold, supplied) = (field("sold"), field("supplied"));
            assert_eq!(on_hand, available + reserved, "{level}");
            assert!(sold <= supplied, "{level}");
            assert_eq!(supplied, shop.supplied, "{level}");
            assert_eq!(on_hand + sold, supplied, "{level}");
            if sold == quantity && reserved == 0 {
                break;
            }
            // A reservation whose order was cancelled, or a commit that is still being repeated.
            assert!(began.elapsed() < QUIET_PATIENCE, "{quantity} of {sku} are acknowledged: {level}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// An answer that came before another was asked for rests on no later version. In the order of real time,
/// at linear cost after sorting: the highest version answered so far is a lower bound for what is asked next.
fn histories_are_linearizable(notes: &[Note]) {
    let mut by_entity: BTreeMap<&str, Vec<&Note>> = BTreeMap::new();
    for note in notes {
        by_entity.entry(&note.entity).or_default().push(note);
    }
    assert!(!by_entity.is_empty(), "no answer carried a version");
    for (entity, notes) in by_entity {
        let mut asked: Vec<&Note> = notes.clone();
        asked.sort_by_key(|note| note.asked_at);
        let mut answered = notes;
        answered.sort_by_key(|note| note.answered_at);
        let mut highest = 0;
        let mut answered = answered.into_iter().peekable();
        for note in asked {
            while let Some(earlier) = answered.next_if(|earlier| earlier.answered_at < note.asked_at) {
                highest = highest.max(earlier.entity_version);
            }
            assert!(
                note.entity_version >= highest,
                "{entity} answered {note:?} after version {highest} had been answered"
            );
        }
    }
}

/// Rows of a shard are contiguous, epochs never fall, an entity's rows are linked and its versions rise by one.
async fn journals_are_contiguous(cluster: &Cluster) {
    for service in SERVICES {
        let pool = sqlx::MySqlPool::connect(cluster.database_of(service)).await.expect("the database answers");
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT shard, seq, epoch, entity, entity_version, previous_seq FROM nakku_{service}.journal ORDER BY shard, seq"
        )));
        let rows = rows.fetch_all(&pool).await.expect("a journal");
        let mut last: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        let mut entities: BTreeMap<(i64, Vec<u8>), (i64, i64)> = BTreeMap::new();
        for row in rows {
            let integer = |column: &str| {
                row.try_get::<i64, _>(column)
                    .or_else(|_| row.try_get::<i32, _>(column).map(i64::from))
                    .expect("a number")
            };
            let (shard, seq, epoch) = (integer("shard"), integer("seq"), integer("epoch"));
            let (last_seq, last_epoch) = last.insert(shard, (seq, epoch)).unwrap_or((0, 0));
            assert_eq!(seq, last_seq + 1, "{service}/{shard} has a gap");
            assert!(epoch >= last_epoch, "{service}/{shard}: epoch {epoch} after {last_epoch} at {seq}");
            let entity: Vec<u8> = row.get("entity");
            if entity.is_empty() {
                continue;
            }
            let (version, previous) = (integer("entity_version"), integer("previous_seq"));
            let (known_version, known_seq) = entities.insert((shard, entity.clone()), (version, seq)).unwrap_or((0, 0));
            let name = String::from_utf8_lossy(&entity).into_owned();
            assert_eq!((version, previous), (known_version + 1, known_seq), "{service}/{shard} at {seq}: {name}");
        }
    }
}
