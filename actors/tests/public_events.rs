//! Everything that a running shop tells the outside, held against the schemas that it gives out: people come
//! and go, prices change, goods run out, orders are delivered, declined, cancelled and brought in vain.

mod node;
mod schemas;

use std::collections::BTreeMap;

use nakku_actors::delivery::{self, Delivery};
use nakku_actors::inventory::{self, Line as StockLine, Stock};
use nakku_actors::notification::command::Email;
use nakku_actors::notification::{self, Inbox};
use nakku_actors::order::command::Line as OrderLine;
use nakku_actors::order::{self, Order, PaymentMethod, Placement, Status};
use nakku_actors::payment::provider::{TOKEN_APPROVE, TOKEN_DECLINE};
use nakku_actors::product::command::{Details, Price};
use nakku_actors::product::{self, Product};
use nakku_actors::user::command::{Address, ErasedBy, ErasureReason, NewSession, PasswordHash, Role, TokenHash};
use nakku_actors::user::{self, User};
use nakku_actors::{cart, demo};
use nakku_cluster::events::{Envelope, PublicEvent};
use nakku_cluster::store::{self, Store};
use nakku_cluster::{Cluster, Key, Timestamp};

use node::{SHARDS, ask, key, until};

/// No shop makes these: cards are charged at once, and nothing went wrong with a consumer.
const NEVER: [&str; 2] = ["payment.authorized", "nakku.dead_lettered"];
/// Enough for all rows of a shard.
const ROWS_MAX: u32 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_shop_tells_is_as_documented() {
    let only = node::start("events").await;
    let cluster = only.node.cluster();
    demo::seed(&cluster).await.expect("the shop is seeded");
    let store = demo::STORES[0].key();
    people(&cluster).await;
    farewell(&cluster).await;
    goods(&cluster, &store).await;
    orders(&cluster, &store).await;
    let list = || notification::Command::List { before: None, limit: 100 };
    until::<Inbox>(&cluster, &key("u-demo-customer"), list, "told by e-mail in vain", |reply| {
        let notification::Reply::Messages { messages, .. } = reply else { return false };
        messages.iter().any(|message| matches!(message.email, Email::Failed { .. }))
    })
    .await;
    only.node.stop().await;

    let told = published(&node::database(&only.folder)).await;
    let all = nakku_actors::events();
    let schemas =
        schemas::Schemas::new(all.iter().map(|event| (event.event_type, event.version, event.schema.clone())));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (event, envelope) in &told {
        schemas.check(event);
        *counts.entry(event.event_type).or_default() += 1;
        let topic = format!("nakku.{}", envelope.service);
        assert!(all.iter().any(|one| one.event_type == event.event_type && one.topic == topic), "{envelope:?}");
        let text = envelope.data.to_string();
        for private in ["@", "100 Feet Road", "Asha", "card_", "argon2", "changed my mind", "nobody at home"] {
            assert!(!text.contains(private), "{} tells {private:?}: {text}", event.event_type);
        }
    }
    println!("{counts:#?}");
    for event in all.iter().filter(|event| !NEVER.contains(&event.event_type)) {
        assert!(counts.contains_key(event.event_type), "{} was not seen", event.event_type);
    }
    totals_agree(&told);
    std::fs::remove_dir_all(only.folder).expect("the data folder can be removed");
}

/// What consumers compute from events is right: what was captured for confirmed orders and not given back is
/// what the orders cost that came.
fn totals_agree(told: &[(PublicEvent, Envelope)]) {
    let sum = |event_type: &str, field: &str| -> i64 {
        let of_type = told.iter().filter(|(event, _)| event.event_type == event_type);
        of_type.map(|(_, envelope)| envelope.data[field].as_i64().expect("an amount")).sum()
    };
    assert_eq!(sum("order.refunded", "amount_minor"), sum("payment.refunded", "amount_minor"));
    let kept = sum("payment.completed", "amount_minor") - sum("payment.refunded", "amount_minor");
    assert_eq!(kept, sum("order.completed", "total_minor"));
    let promised_back = sum("order.cancelled", "refund_minor");
    assert_eq!(promised_back, sum("order.refunded", "amount_minor"));
}

async fn people(cluster: &Cluster) {
    let customer = key("u-demo-customer");
    let session = NewSession {
        family: "f1".into(),
        token_hash: TokenHash::new("0a"),
        expires_at: Timestamp(Timestamp::now().0 + 60_000),
    };
    let moved = Address {
        label: "home".into(),
        line: "7, MG Road".into(),
        city: "Pune".into(),
        pin_code: "411001".into(),
        position: None,
    };
    for command in [
        user::Command::LoggedIn { session },
        user::Command::AddAddress { id: "home".into(), address: moved },
        user::Command::RemoveAddress { id: "home".into() },
        user::Command::ChangePassword { password_hash: PasswordHash::new("$argon2id$another") },
    ] {
        ask::<User>(cluster, &customer, command).await;
    }
}

/// Somebody comes and wants to be forgotten.
async fn farewell(cluster: &Cluster) {
    let leaving = key("u-leaving");
    let register = user::Command::Register {
        email: "leaving@example.com".into(),
        name: "Asha".into(),
        password_hash: PasswordHash::new("$argon2id$one"),
        roles: vec![Role::Customer],
        store: None,
    };
    ask::<User>(cluster, &leaving, register).await;
    let erase = user::Command::Erase { by: ErasedBy::User, reason: ErasureReason::Requested };
    ask::<User>(cluster, &leaving, erase).await;
}

/// Makes goods that run low, run out and come back.
async fn goods(cluster: &Cluster, store: &Key) {
    let details = Details {
        name: "Ghee".into(),
        brand: "Nandi".into(),
        barcode: "8901063010215".into(),
        unit: "500 g".into(),
        category: "dairy".into(),
    };
    let price = Price { mrp_minor: 40_000, price_minor: 39_000, tax_basis_points: 500 };
    for (sku, archived) in [("p-ghee", false), ("p-gone", true)] {
        ask::<Product>(cluster, &key(sku), product::Command::Create { details: details.clone(), price }).await;
        let details = Details { name: "Cow ghee".into(), ..details.clone() };
        ask::<Product>(cluster, &key(sku), product::Command::Update { details }).await;
        let price = Price { price_minor: 38_000, ..price };
        ask::<Product>(cluster, &key(sku), product::Command::ChangePrice { price }).await;
        if archived {
            ask::<Product>(cluster, &key(sku), product::Command::Archive).await;
        }
    }
    let line = |quantity| vec![StockLine { sku: "p-ghee".into(), quantity }];
    let supply = inventory::Command::Supply { receipt: "r-1".into(), lines: line(7) };
    ask::<Stock>(cluster, store, supply).await;
    let adjust = inventory::Command::Adjust { adjustment: "a-1".into(), lines: line(2), reason: "broken".into() };
    ask::<Stock>(cluster, store, adjust).await;
}

async fn orders(cluster: &Cluster, store: &Key) {
    let card = |token: &str| PaymentMethod::Card { token: token.into() };

    // The last five, taken and given back.
    let all = place(cluster, store, "u-1", 5, card(TOKEN_APPROVE)).await;
    reaches(cluster, &all, Status::Confirmed).await;
    ask::<Order>(cluster, &all, order::Command::Cancel { reason: "changed my mind".into() }).await;
    reaches(cluster, &all, Status::Cancelled).await;
    let is_refunded = |reply: &order::Reply| matches!(reply, order::Reply::Order(order) if order.refunded_minor > 0);
    until::<Order>(cluster, &all, || order::Command::Get, "refunded", is_refunded).await;
    let get = || inventory::Command::Get { skus: vec!["p-ghee".into()] };
    let is_back =
        |reply: &inventory::Reply| matches!(reply, inventory::Reply::Levels { levels, .. } if levels[0].available == 5);
    until::<Stock>(cluster, store, get, "there again", is_back).await;

    let declined = place(cluster, store, "u-2", 1, card(TOKEN_DECLINE)).await;
    reaches(cluster, &declined, Status::Cancelled).await;

    for (user, payment) in [("u-3", PaymentMethod::Cash), ("u-4", card(TOKEN_APPROVE))] {
        let order = place(cluster, store, user, 1, payment).await;
        let (rider, cash_collected_minor) = offered(cluster, &order).await;
        for step in [
            delivery::Command::Accept { rider: rider.clone() },
            delivery::Command::PickUp { rider: rider.clone() },
            delivery::Command::Deliver { rider: rider.clone(), cash_collected_minor },
        ] {
            ask::<Delivery>(cluster, &order, step).await;
        }
        reaches(cluster, &order, Status::Delivered).await;
    }

    let in_vain = place(cluster, store, "u-5", 1, PaymentMethod::Cash).await;
    let (rider, _) = offered(cluster, &in_vain).await;
    ask::<Delivery>(cluster, &in_vain, delivery::Command::Accept { rider: rider.clone() }).await;
    let reason = "nobody at home".to_owned();
    ask::<Delivery>(cluster, &in_vain, delivery::Command::Fail { rider, reason }).await;
    reaches(cluster, &in_vain, Status::Cancelled).await;

    // The cash of the delivered order is noted a moment after it has been delivered.
    let paid = key("u-3");
    let payment = order::order_key(&paid, "only");
    let is_noted = |reply: &nakku_actors::payment::Reply| matches!(reply, nakku_actors::payment::Reply::Payment(details) if details.captured_minor > 0);
    let get = || nakku_actors::payment::Command::Get;
    until::<nakku_actors::payment::Payment>(cluster, &payment, get, "paid", is_noted).await;

    let idle = key("u-6");
    ask::<cart::Cart>(cluster, &idle, add(store, 2)).await;
    let remove = cart::Command::SetQuantity { sku: "p-ghee".into(), quantity: 0 };
    ask::<cart::Cart>(cluster, &idle, remove).await;
    ask::<cart::Cart>(cluster, &idle, add(store, 1)).await;
    ask::<cart::Cart>(cluster, &idle, cart::Command::Empty).await;
}

fn add(store: &Key, quantity: u32) -> cart::Command {
    let line = cart::Line { sku: "p-ghee".into(), name: "Cow ghee".into(), quantity, price_minor: 38_000 };
    cart::Command::Add { store: store.clone(), line }
}

async fn place(cluster: &Cluster, store: &Key, user: &str, quantity: u32, payment: PaymentMethod) -> Key {
    let user = key(user);
    let added = ask::<cart::Cart>(cluster, &user, add(store, quantity)).await;
    let cart::Reply::Cart(cart::Contents { version, total_minor, .. }) = added else { panic!("{added:?}") };
    let order = order::order_key(&user, "only");
    let name = "Cow ghee".to_owned();
    let line = OrderLine { sku: "p-ghee".into(), name, quantity, price_minor: 38_000, tax_minor: 1_810 };
    let placement = Placement {
        store: store.clone(),
        cart_version: version,
        lines: vec![line],
        delivery_fee_minor: 2_500,
        total_minor: total_minor + 2_500,
        payment,
        address: "12, 100 Feet Road, Bengaluru 560038".into(),
        fingerprint: "only".into(),
        deadline_ms: None,
        promised_minutes: Some(15),
    };
    ask::<Order>(cluster, &order, order::Command::Place(Box::new(placement))).await;
    order
}

async fn reaches(cluster: &Cluster, order: &Key, status: Status) {
    let is = |reply: &order::Reply| matches!(reply, order::Reply::Status(now) if now.status == status);
    until::<Order>(cluster, order, || order::Command::Status, status.as_str(), is).await;
}

/// The rider whom a delivery is offered to, and the cash that is due.
async fn offered(cluster: &Cluster, order: &Key) -> (Key, i64) {
    let is = |reply: &delivery::Reply| matches!(reply, delivery::Reply::Delivery(view) if view.rider.is_some());
    let delivery::Reply::Delivery(view) =
        until::<Delivery>(cluster, order, || delivery::Command::Get, "offered", is).await
    else {
        panic!("{order} has a delivery")
    };
    (view.rider.expect("an offer has a rider"), view.cash_due_minor)
}

/// What the journals of all services say to the outside.
async fn published(url: &str) -> Vec<(PublicEvent, Envelope)> {
    let store = store::open(url).await.expect("the database opens");
    let mut told = Vec::new();
    for service in nakku_actors::services() {
        for shard in 0..SHARDS {
            let rows = store.journal(service.name, shard, 1, ROWS_MAX).await.expect("the journal can be read");
            let mut previous = 0;
            for row in rows {
                let (entity, key) = row.entity.split_once('/').unwrap_or_default();
                let Some(of_kind) = service.types.iter().find(|one| one.kind().entity == entity) else { continue };
                let key = Key::new(key).expect("a journal names keys");
                let event = of_kind.publish(&key, &row.payload).expect("an event of this version");
                assert!(event.is_none() || !row.event_type.starts_with(user::event::PRIVATE_PREFIX), "{row:?}");
                if let Some(event) = event {
                    told.push((event.clone(), Envelope::new(service.name, 1, &row, event, previous)));
                    previous = row.seq;
                }
            }
        }
    }
    told
}
