//! Reservations per second on one SKU of one store, by asks on the node that has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nakku_actors::inventory::command::SUPPLY_QUANTITY_MAX;
use nakku_actors::inventory::{self, Command, Line, Reply, Stock};
use nakku_cluster::{Ask, Cluster, Key, Ref, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::load::{Achieved, closed_loop};
use crate::node::{self, PATIENCE};
use crate::peer;

/// Buyers who wait for an answer at the same time.
pub const CALLERS: usize = 512;
const SKU: &str = "butter-500g";
/// A store takes 100,000 reservations at a time; before that all buyers go on to the next one.
const RESERVATIONS: u64 = 80_000;
/// So many stores are enough for any measurement of a few seconds.
const STORES: u64 = 8;
/// Reservations outlive the measurement.
const DUE_AFTER: Duration = Duration::from_secs(3600);

/// How to measure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Before it is measured.
    pub warmup_ms: u64,
    /// While it is.
    pub duration_ms: u64,
    /// How often, each time in a new store.
    pub repeats: u32,
}

/// Peer: a node with the inventory, and its buyers.
///
/// # Errors
/// When an ask fails.
pub async fn reserve(url: &str, timing: Timing) -> Result<(), BenchError> {
    let node = node::start("stock", &["inventory"], url, vec![inventory::service()]).await?;
    for repeat in 0..timing.repeats {
        peer::say(&measure(&node.cluster(), &format!("s-{repeat}"), timing).await?)?;
    }
    peer::until_released().await;
    Ok(())
}

async fn measure(cluster: &Cluster, name: &str, timing: Timing) -> Result<Achieved, BenchError> {
    let stocks: Vec<Ref<Stock>> = (0..STORES).map(|number| Ref::new(key(format!("{name}-{number}")))).collect();
    for stock in &stocks {
        let lines = vec![Line { sku: SKU.into(), quantity: SUPPLY_QUANTITY_MAX }];
        ask(cluster, stock, &Command::Supply { receipt: "first".into(), lines }, &Reply::Supplied).await?;
    }
    let orders = Arc::new(AtomicU64::new(0));
    let due_at = Timestamp::now().plus(DUE_AFTER);
    let achieved = closed_loop(
        CALLERS,
        Duration::from_millis(timing.warmup_ms),
        Duration::from_millis(timing.duration_ms),
        |_| {
            let (cluster, stocks, orders) = (cluster.clone(), stocks.clone(), Arc::clone(&orders));
            move || {
                let number = orders.fetch_add(1, Ordering::Relaxed);
                let stock = stocks.get((number / RESERVATIONS) as usize).cloned();
                let cluster = cluster.clone();
                async move {
                    let stock = stock.ok_or_else(|| BenchError::failed("the stock", "measure for a shorter time"))?;
                    let order = key(format!("u-{:06}.o-{number:016x}", number % 997));
                    let lines = vec![Line { sku: SKU.into(), quantity: 1 }];
                    ask(&cluster, &stock, &Command::Reserve { order, lines, due_at }, &Reply::Reserved).await
                }
            }
        },
    )
    .await?;
    // What was answered is there, neither more nor less.
    let (mut reserved, asked) = (0, orders.load(Ordering::Relaxed));
    for stock in &stocks {
        let Reply::Levels { levels, .. } = answer(cluster, stock, &Command::Get { skus: vec![SKU.into()] }).await?
        else {
            return Err(BenchError::failed("the levels", "not told"));
        };
        reserved += levels.first().map_or(0, |level| level.reserved);
    }
    if reserved == asked {
        Ok(achieved)
    } else {
        Err(BenchError::failed("the stock", format!("{reserved} units are reserved, {asked} were acknowledged")))
    }
}

async fn ask(cluster: &Cluster, stock: &Ref<Stock>, command: &Command, expected: &Reply) -> Result<(), BenchError> {
    let reply = answer(cluster, stock, command).await?;
    if reply == *expected { Ok(()) } else { Err(BenchError::failed("the stock", format!("answered {reply:?}"))) }
}

async fn answer(cluster: &Cluster, stock: &Ref<Stock>, command: &Command) -> Result<Reply, BenchError> {
    let answered = cluster.ask(stock, command, Ask::within(PATIENCE)).await;
    answered.map(|answered| answered.reply).map_err(|error| BenchError::failed("the stock", error))
}

fn key(text: String) -> Key {
    Key::new(text).expect("letters, digits, dashes and a dot")
}
