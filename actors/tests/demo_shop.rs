//! The demo shop on a real node with a real SQLite file: it is seeded in time, and an order for cash goes all
//! the way to the door.

mod node;

use std::time::{Duration, Instant};

use nakku_actors::delivery::rider::{self, Rider};
use nakku_actors::delivery::{self, Delivery};
use nakku_actors::order::command::Line as OrderLine;
use nakku_actors::order::{self, Order, PaymentMethod, Placement, Status};
use nakku_actors::product::{self, Product};
use nakku_actors::{cart, demo};

use node::{SLACK, ask, key, until};

/// Seeding may take so long, hashing included, with nothing else to do on two cores; a test may share them
/// with others.
const SEED_EXPECTED: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeded_shop_delivers() {
    let only = node::start("demo").await;
    let cluster = only.node.cluster();

    let began = Instant::now();
    let seeded = demo::seed(&cluster).await.expect("the shop is seeded");
    println!("seeded {} products, {} accounts in {:?}", seeded.products, seeded.accounts, began.elapsed());
    assert!(seeded.fresh && began.elapsed() < SEED_EXPECTED * SLACK, "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(!demo::seed(&cluster).await.expect("the shop is there").fresh);
    println!("found it seeded in {:?}", began.elapsed());

    let (user, sku, store) = (key("u-demo-customer"), key(demo::catalogue::SCARCE), demo::STORES[0].key());
    let product::Reply::Product(butter) = ask::<Product>(&cluster, &sku, product::Command::Get).await;
    let price_minor = butter.price.price_minor;
    let line = cart::Line { sku: sku.to_string(), name: butter.details.name.clone(), quantity: 2, price_minor };
    let added = ask::<cart::Cart>(&cluster, &user, cart::Command::Add { store: store.clone(), line }).await;
    let cart::Reply::Cart(cart::Contents { version, total_minor, .. }) = added else { panic!("{added:?}") };

    let began = Instant::now();
    let order = order::order_key(&user, "first");
    let line = OrderLine { sku: sku.to_string(), name: butter.details.name, quantity: 2, price_minor, tax_minor: 0 };
    let placement = Placement {
        store: store.clone(),
        cart_version: version,
        lines: vec![line],
        delivery_fee_minor: 0,
        total_minor,
        payment: PaymentMethod::Cash,
        address: "12, 100 Feet Road, Bengaluru 560038".into(),
        fingerprint: "first".into(),
        deadline_ms: None,
        promised_minutes: None,
    };
    ask::<Order>(&cluster, &order, order::Command::Place(Box::new(placement))).await;
    let is =
        |status: Status| move |reply: &order::Reply| matches!(reply, order::Reply::Status(now) if now.status == status);
    until::<Order>(&cluster, &order, || order::Command::Status, "confirmed", is(Status::Confirmed)).await;
    println!("confirmed after {:?}", began.elapsed());

    let offered = |reply: &delivery::Reply| matches!(reply, delivery::Reply::Delivery(view) if view.rider.is_some());
    let found = until::<Delivery>(&cluster, &order, || delivery::Command::Get, "offered", offered).await;
    let delivery::Reply::Delivery(view) = found else { panic!("{order} has a delivery") };
    let rider = view.rider.expect("an offer has a rider");
    let has_job = |reply: &rider::Reply| matches!(reply, rider::Reply::Rider(view) if view.job.is_some());
    until::<Rider>(&cluster, &rider, || rider::Command::Get, "offered the delivery", has_job).await;
    let cash_collected_minor = view.cash_due_minor;
    for step in [
        delivery::Command::Accept { rider: rider.clone() },
        delivery::Command::PickUp { rider: rider.clone() },
        delivery::Command::Deliver { rider: rider.clone(), cash_collected_minor },
    ] {
        ask::<Delivery>(&cluster, &order, step).await;
    }
    until::<Order>(&cluster, &order, || order::Command::Status, "delivered", is(Status::Delivered)).await;
    let is_free = |reply: &rider::Reply| matches!(reply, rider::Reply::Rider(view) if view.job.is_none());
    until::<Rider>(&cluster, &rider, || rider::Command::Get, "free again", is_free).await;
    println!("delivered after {:?}", began.elapsed());

    only.node.stop().await;
    std::fs::remove_dir_all(only.folder).expect("the data folder can be removed");
}
