//! What is personal or secret is not shown of any entity unless there is a reason, and secrets not even then: an entity
//! of every kind is filled with what can be recognised, and looked at from all sides.

use std::collections::BTreeSet;
use std::time::Duration;

use nakku_actors::analytics::Analytics;
use nakku_actors::delivery::{self, Delivery, rider, roster};
use nakku_actors::location::{self, directory, rider as whereabouts};
use nakku_actors::notification::mailer::MailAnswer;
use nakku_actors::notification::webhook::{self, SigningSecret, Webhook};
use nakku_actors::notification::{self, Inbox, Notices, webhook_directory, webhook_intake};
use nakku_actors::order::{self, Line, Order, PaymentMethod};
use nakku_actors::payment::Payment;
use nakku_actors::position::Position;
use nakku_actors::user::command::{Address, NewSession, PasswordHash, Role, TokenHash};
use nakku_actors::user::{self, User, email};
use nakku_actors::{Options, cart, inventory, product};
use nakku_cluster::events::intake::{Command as IntakeCommand, key_of};
use nakku_cluster::events::{Consumer, Envelope, Intake};
use nakku_cluster::{Ask, Entity, Key, Ref, Timestamp};
use nakku_gateway::Admin;
use serde_json::json;

use crate::support::{ADMIN_TOKEN, Answer, PATIENCE, STORE, Shop, eventually, fresh_key, on_shop};

/// An entity, and what of it must not be seen.
struct Sample {
    kind: String,
    key: Key,
    personal: Vec<String>,
    secret: Vec<String>,
}

fn sample<E: Entity>(key: &Key, personal: &[&str], secret: &[&str]) -> Sample {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Sample { kind: E::KIND.to_string(), key: key.clone(), personal: own(personal), secret: own(secret) }
}

async fn ask<E: Entity>(shop: &Shop, key: &Key, command: E::Command) -> E::Reply {
    let target = Ref::<E>::new(key.clone());
    let answered = shop.node.cluster().ask(&target, &command, Ask::within(PATIENCE)).await;
    answered.unwrap_or_else(|error| panic!("{target:?}: {error}")).reply
}

fn key(text: String) -> Key {
    Key::new(text).expect("a key")
}

/// A text that is found nowhere else.
fn mark(what: &str) -> String {
    format!("{what}-{}", fresh_key())
}

/// A place that is found nowhere else, and the digits that it is known by.
fn place() -> (Position, String) {
    let lat_e6 = 10_000_000 + i32::try_from(rand::random::<u32>() % 10_000_000).unwrap();
    (Position { lat_e6, lng_e6: 77_000_000 }, format!(":{lat_e6}"))
}

async fn users(shop: &Shop) -> Vec<Sample> {
    let user = key(mark("u"));
    let (address_email, name, hash) = (format!("{}@example.com", mark("mail")), mark("name"), mark("$argon2id$v=19"));
    let claimed = email::reference(&address_email).key().clone();
    ask::<email::Email>(shop, &claimed, email::Command::Claim { user: user.clone() }).await;
    let command = user::Command::Register {
        email: address_email.clone(),
        name: name.clone(),
        password_hash: PasswordHash::new(&hash),
        roles: vec![Role::Customer],
        store: None,
    };
    ask::<User>(shop, &user, command).await;
    let [first, second] = [(); 2].map(|()| format!("{}{}", fresh_key(), fresh_key()));
    let family = fresh_key();
    let expires_at = Timestamp::now().plus(Duration::from_secs(3600));
    let token_hash = TokenHash::new(&first);
    let session = NewSession { family: family.clone(), token_hash: token_hash.clone(), expires_at };
    ask::<User>(shop, &user, user::Command::LoggedIn { session }).await;
    let rotate =
        user::Command::RotateRefresh { family, old_hash: token_hash, new_hash: TokenHash::new(&second), expires_at };
    ask::<User>(shop, &user, rotate).await;
    let (label, line, city) = (mark("label"), mark("line"), mark("city"));
    let pin_code = format!("{}", 100_000 + rand::random::<u32>() % 900_000);
    let (position, digits) = place();
    let address = Address {
        label: label[..30].to_owned(),
        line: line.clone(),
        city: city.clone(),
        pin_code: pin_code.clone(),
        position: Some(position),
    };
    ask::<User>(shop, &user, user::Command::AddAddress { id: "home".into(), address }).await;

    // How they are welcomed, and that it failed.
    let inbox = key(user.to_string());
    eventually("the mail server is asked", async || (!crate::mail::attempts(&address_email).is_empty()).then_some(()))
        .await;
    let refusal = mark("refused");
    let mailed = notification::Command::Mailed { number: 1, answer: MailAnswer::Refused { reason: refusal.clone() } };
    ask::<Inbox>(shop, &inbox, mailed).await;

    let pin_code = format!("\"{pin_code}\"");
    vec![
        sample::<User>(
            &user,
            &[&address_email, &name, &label[..30], &line, &city, &pin_code, &digits],
            &[&hash, &first, &second],
        ),
        sample::<email::Email>(&claimed, &[], &[]),
        sample::<Inbox>(&inbox, &[&address_email, &name, &refusal], &[]),
    ]
}

async fn orders(shop: &Shop) -> Vec<Sample> {
    let user = key(mark("u"));
    let sku = shop.product(5, 4_200).await;
    let product = key(sku.clone());
    let store = key(STORE.into());
    let order = key(format!("{user}.o-{}", fresh_key()));
    let (address, token, fingerprint) = (mark("address"), mark("card"), mark("print"));
    let placement = order::Placement {
        store: store.clone(),
        cart_version: 1,
        lines: vec![Line { sku, name: "Butter".into(), quantity: 1, price_minor: 4_200, tax_minor: 200 }],
        delivery_fee_minor: 0,
        total_minor: 4_200,
        payment: PaymentMethod::Card { token: token.clone() },
        address: address.clone(),
        fingerprint: fingerprint.clone(),
        deadline_ms: None,
        promised_minutes: None,
    };
    ask::<Order>(shop, &order, order::Command::Place(Box::new(placement))).await;
    // Its cart is none, but the card is known by then.
    eventually("the payment knows the card", async || {
        let target = Ref::<Payment>::new(order.clone());
        shop.node.cluster().ask(&target, &nakku_actors::payment::Command::Get, Ask::within(PATIENCE)).await.ok()
    })
    .await;
    vec![
        sample::<Order>(&order, &[&address, &fingerprint], &[&token]),
        sample::<Payment>(&order, &[], &[&token]),
        sample::<inventory::Stock>(&store, &[], &[]),
        sample::<product::Product>(&product, &[], &[]),
    ]
}

/// A confirmed order that its customer cancels, and what is in a cart.
async fn cancelled(shop: &'static Shop) -> Vec<Sample> {
    let customer = shop.customer().await;
    let sku = shop.product(5, 4_200).await;
    customer.put_in(&sku, 1).await;
    let address = mark("address");
    let body = json!({ "payment": { "method": "cash" }, "address": address });
    let placed = customer.check_out(&fresh_key(), &body).await.expect(201).body;
    let order = key(placed["id"].as_str().unwrap().to_owned());
    let detail = mark("because");
    customer.post(&format!("/orders/{order}/cancel"), json!({ "reason": detail })).await;
    eventually("it is cancelled", async || {
        let order = customer.get(&format!("/orders/{order}")).await.expect(200).body;
        (order["status"] == "cancelled").then_some(())
    })
    .await;
    customer.put_in(&sku, 1).await;
    let user = customer.get("/users/me").await.expect(200).body["id"].as_str().unwrap().to_owned();
    vec![sample::<Order>(&order, &[&address, &detail], &[]), sample::<cart::Cart>(&key(user), &[], &[])]
}

async fn deliveries(shop: &Shop) -> Vec<Sample> {
    let (store, who) = (key(mark("s")), key(mark("u")));
    let (address, reason) = (mark("address"), mark("nobody-opens"));
    ask::<rider::Rider>(shop, &who, rider::Command::GoOnline { store: store.clone() }).await;
    let brought = key(format!("{}.o-{}", mark("u"), fresh_key()));
    let create =
        delivery::Command::Create { store: store.clone(), address: address.clone(), total_minor: 5, cash_due_minor: 0 };
    ask::<Delivery>(shop, &brought, create).await;
    eventually("the rider is asked", async || {
        let accept = delivery::Command::Accept { rider: who.clone() };
        let target = Ref::<Delivery>::new(brought.clone());
        shop.node.cluster().ask(&target, &accept, Ask::within(PATIENCE)).await.ok()
    })
    .await;
    ask::<Delivery>(shop, &brought, delivery::Command::PickUp { rider: who.clone() }).await;
    ask::<Delivery>(shop, &brought, delivery::Command::Fail { rider: who.clone(), reason: reason.clone() }).await;
    let (position, digits) = place();
    let ping = whereabouts::Command::Ping { position, accuracy_m: 5, at: Timestamp::now() };
    ask::<whereabouts::Rider>(shop, &who, ping).await;
    let noted = directory::reference().key().clone();
    vec![
        sample::<Delivery>(&brought, &[&address, &reason], &[]),
        sample::<rider::Rider>(&who, &[&address], &[]),
        sample::<roster::Roster>(&store, &[], &[]),
        sample::<whereabouts::Rider>(&who, &[&digits], &[]),
        sample::<directory::Directory>(&noted, &[&digits], &[]),
        sample::<location::Store>(&key(STORE.into()), &[], &[]),
    ]
}

async fn webhooks(shop: &Shop) -> Vec<Sample> {
    let id = key(mark("wh"));
    let [first, second] = [(); 2].map(|()| SigningSecret::of(&rand::random::<[u8; 32]>()));
    let create = webhook::Command::Create {
        url: "https://hooks.example/1".into(),
        types: vec!["product.archived".into()],
        secret: first.clone(),
    };
    ask::<Webhook>(shop, &id, create).await;
    ask::<Webhook>(shop, &id, webhook::Command::RotateSecret { secret: second.clone() }).await;
    let said = mark("said");
    let event = Box::new(envelope("product.archived", "product", &said));
    ask::<Webhook>(shop, &id, webhook::Command::Deliver { event }).await;
    let subscribed = webhook_directory::reference().key().clone();
    vec![
        sample::<Webhook>(&id, &[&said], &[first.expose(), second.expose()]),
        sample::<webhook_directory::Directory>(&subscribed, &[], &[]),
    ]
}

/// An intake that keeps an event which it could not process.
async fn intake<C: Consumer>(shop: &Shop) -> Sample {
    let said = mark("said");
    let event = envelope("order.confirmed", "order", &said);
    let intake = key_of("order", event.shard);
    let set_aside = IntakeCommand::SetAside { event: Box::new(event), reason: "too new".into(), attempts: 4 };
    ask::<Intake<C>>(shop, &intake, set_aside).await;
    sample::<Intake<C>>(&intake, &[&said], &[])
}

/// An event of a shard that no node has.
fn envelope(event_type: &str, service: &str, said: &str) -> Envelope {
    let shard = 1_000_000 + rand::random::<u32>() % 1_000_000_000;
    let event = json!({
        "specversion": "1.0", "id": format!("1-{service}-{shard}-1"), "source": format!("/nakku/{service}/{shard}"),
        "type": event_type, "subject": "x-1", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "dataschema": format!("urn:nakku:event:{event_type}:1"), "service": service, "shard": shard,
        "sequence": "1", "previous": "0", "data": { "note": said },
    });
    serde_json::from_value(event).unwrap()
}

/// All that the inspector says of an entity: as it is, its history, and as it was at each version.
async fn looked_at(admin: &Admin, sample: &Sample, reveal: &str) -> String {
    let get = async |path: String| {
        let url = format!("http://{}/admin/v1/entities/{}/{}{path}", admin.local_address(), sample.kind, sample.key);
        // A node that is busy with other tests may not look in time.
        eventually("it is shown", async || {
            let answer = Answer::to(reqwest::Client::new().get(&url).bearer_auth(ADMIN_TOKEN)).await;
            (answer.status == 200).then_some(answer.body)
        })
        .await
    };
    let now = get(format!("?{reveal}")).await;
    let mut seen = now.to_string();
    let mut after = 0;
    loop {
        let page = get(format!("/history?after={after}&limit=500&{reveal}")).await;
        seen += &page.to_string();
        after = page["events"].as_array().unwrap().last().map_or(after, |event| event["version"].as_u64().unwrap());
        if page["more"] != true {
            break;
        }
    }
    // Of one that all tests share only the last few.
    for version in (1..=now["version"].as_u64().unwrap()).rev().take(12) {
        seen += &get(format!("?version={version}&{reveal}")).await.to_string();
    }
    seen
}

#[test]
fn nothing_personal_is_shown_of_any_kind_without_a_reason_and_secrets_never() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let url = format!("http://{}/admin/v1/tail?seconds=600", admin.local_address());
        let mut told = reqwest::Client::new().get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        let tail = tokio::spawn(async move {
            let mut text = String::new();
            while let Ok(Some(chunk)) = told.chunk().await {
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
            text
        });
        let mut samples = users(shop).await;
        samples.extend(orders(shop).await);
        samples.extend(cancelled(shop).await);
        samples.extend(deliveries(shop).await);
        samples.extend(webhooks(shop).await);
        samples.push(intake::<Notices>(shop).await);
        samples.push(intake::<webhook_intake::Outgoing>(shop).await);
        samples.push(intake::<Analytics>(shop).await);

        let services = nakku_actors::services_with(Options { webhooks: true });
        let kinds: BTreeSet<String> =
            services.iter().flat_map(|service| service.types.iter().map(|one| one.kind().to_string())).collect();
        let tried: BTreeSet<String> = samples.iter().map(|sample| sample.kind.clone()).collect();
        assert_eq!(tried, kinds, "a kind without a sample may show what it should not");

        for sample in &samples {
            let named = format!("{}/{}", sample.kind, sample.key);
            let masked = looked_at(&admin, sample, "").await;
            let revealed = looked_at(&admin, sample, "reveal=a%20test").await;
            for text in &sample.personal {
                assert!(!masked.contains(text), "{named} shows {text}: {masked}");
                assert!(revealed.contains(text), "{named} has not {text}, so that nothing is tried: {revealed}");
            }
            for text in &sample.secret {
                assert!(!masked.contains(text), "{named} shows {text}: {masked}");
                assert!(!revealed.contains(text), "{named} shows {text} for a reason: {revealed}");
            }
        }
        let path = format!("http://{}/admin/v1/", admin.local_address());
        let mut everywhere = String::new();
        for view in ["tree", "top?by=messages", "top?by=state", "types", "nodes"] {
            let view = Answer::to(reqwest::Client::new().get(format!("{path}{view}")).bearer_auth(ADMIN_TOKEN)).await;
            everywhere += &view.expect(200).body.to_string();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        admin.drain(Duration::from_millis(100)).await;
        let tail = tokio::time::timeout(PATIENCE, tail).await.expect("the stream ends with its listener").unwrap();
        assert!(tail.contains("event: command"), "{tail}");
        for text in samples.iter().flat_map(|sample| sample.personal.iter().chain(&sample.secret)) {
            assert!(!tail.contains(text) && !everywhere.contains(text), "{text} is told of");
        }
    });
}

#[test]
fn what_is_secret_counts_as_personal_too() {
    for service in nakku_actors::services_with(Options { webhooks: true }) {
        for entity in &service.types {
            let personal = entity.personal();
            let missing: Vec<_> = entity.secret().iter().filter(|name| !personal.contains(name)).collect();
            assert!(missing.is_empty(), "{}: {missing:?} would be shown", entity.kind());
        }
    }
}
