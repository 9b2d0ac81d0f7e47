//! The demo shop on a real node with a real SQLite file: it is seeded in time, and an order for cash goes all
//! the way to the door.

use std::time::{Duration, Instant};

use nakku_actors::delivery::rider::{self, Rider};
use nakku_actors::delivery::{self, Delivery};
use nakku_actors::order::command::Line as OrderLine;
use nakku_actors::order::{self, Order, PaymentMethod, Placement, Status};
use nakku_actors::product::{self, Product};
use nakku_actors::{cart, demo};
use nakku_cluster::link::LinkCredits;
use nakku_cluster::membership::Roles;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::topology::{ServiceTopology, Topology};
use nakku_cluster::{Ask, Cluster, Entity, Key, Ref};

/// Seeding may take so long, hashing included, with nothing else to do on two cores; a test may share them
/// with others.
const SEED_EXPECTED: Duration = Duration::from_secs(1);
/// Tests wait five times as long as expected.
const SLACK: u32 = 5;
/// How long any one step of an order takes at most.
const STEP_EXPECTED: Duration = Duration::from_secs(2);

async fn start() -> (Node, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!("nakku-demo-{}", std::process::id()));
    let url = format!("sqlite://{}/nakku.db", folder.display());
    let services = nakku_actors::services();
    let settings = NodeSettings {
        name: "only".into(),
        roles: Roles::new(services.iter().map(|service| service.name)),
        cluster_database: url.clone(),
        databases: [("main".to_owned(), url)].into(),
        topology: Topology::new("demo", ServiceTopology::spread(8, ["main"])),
        link_listen: "127.0.0.1:0".parse().expect("an address"),
        link_advertise: None,
        link_cookie: "test".into(),
        link_tls: None,
        link_credits: LinkCredits::default(),
        http_address: None,
        lease: Duration::from_secs(2),
        renew: Duration::from_millis(250),
        runtime: nakku_cluster::runtime::RuntimeSettings::default(),
        journal: nakku_cluster::journal::JournalSettings::default(),
        journal_keep_rows: None,
        version: "test".into(),
    };
    (Node::start(settings, services, Vec::new()).await.expect("the node starts"), folder)
}

async fn ask<E: Entity>(cluster: &Cluster, key: &Key, command: E::Command) -> E::Reply {
    let target = Ref::<E>::new(key.clone());
    let answered = cluster.ask(&target, &command, Ask::within(STEP_EXPECTED * SLACK)).await;
    answered.unwrap_or_else(|error| panic!("{target:?}: {error}")).reply
}

/// Asks until the answer is as wanted.
async fn until<E: Entity>(
    cluster: &Cluster,
    key: &Key,
    command: impl Fn() -> E::Command,
    wanted: &str,
    is_wanted: impl Fn(&E::Reply) -> bool,
) {
    let began = Instant::now();
    loop {
        let reply = ask::<E>(cluster, key, command()).await;
        if is_wanted(&reply) {
            return;
        }
        assert!(began.elapsed() < STEP_EXPECTED * SLACK, "{key} was to be {wanted} and is {reply:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeded_shop_delivers() {
    let (node, folder) = start().await;
    let cluster = node.cluster();

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
    };
    ask::<Order>(&cluster, &order, order::Command::Place(Box::new(placement))).await;
    let is =
        |status: Status| move |reply: &order::Reply| matches!(reply, order::Reply::Status(now) if now.status == status);
    until::<Order>(&cluster, &order, || order::Command::Status, "confirmed", is(Status::Confirmed)).await;
    println!("confirmed after {:?}", began.elapsed());

    let offered = |reply: &delivery::Reply| matches!(reply, delivery::Reply::Delivery(view) if view.rider.is_some());
    let found = async {
        let began = Instant::now();
        while cluster
            .ask(&Ref::<Delivery>::new(order.clone()), &delivery::Command::Get, Ask::within(STEP_EXPECTED))
            .await
            .is_err()
        {
            assert!(began.elapsed() < STEP_EXPECTED * SLACK, "{order} was to have a delivery");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        until::<Delivery>(&cluster, &order, || delivery::Command::Get, "offered", offered).await;
    };
    found.await;
    let delivery::Reply::Delivery(view) = ask::<Delivery>(&cluster, &order, delivery::Command::Get).await else {
        panic!("{order} has a delivery")
    };
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

    node.stop().await;
    std::fs::remove_dir_all(folder).expect("the data folder can be removed");
}
