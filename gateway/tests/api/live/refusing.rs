//! Tokens, what is another's, limits, slow clients.

use std::time::{Duration, Instant};

use nakku_actors::user::command::Role;
use nakku_cluster::events::Signal;
use nakku_gateway::settings::LiveSettings;
use nakku_gateway::{Gateway, GatewaySettings};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::client::{Events, LIVE_STORE, Socket, another, order, step, taken_on};
use crate::access::token;
use crate::support::{Client, JWT_SECRET, PATIENCE, STORE, fresh_key, on_shop, settings};

/// Status and code with which a WebSocket is refused.
async fn refused(gateway: &Gateway, token: Option<&str>) -> (u16, String) {
    match Socket::try_open(gateway.local_address(), token, None).await.map_err(|error| *error) {
        Err(Error::Http(response)) => {
            let body: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
            (response.status().as_u16(), body["code"].as_str().unwrap().to_owned())
        }
        Err(error) => panic!("refused otherwise: {error}"),
        Ok(_) => panic!("it was let in"),
    }
}

#[test]
fn tokens_are_checked_before_and_after_the_upgrade() {
    on_shop(async |shop| {
        let gateway = &shop.gateway;
        let expired = token(JWT_SECRET, vec![Role::Customer], -60);
        assert_eq!(refused(gateway, Some("nonsense")).await, (401, "token_invalid".into()));
        assert_eq!(refused(gateway, Some(&expired)).await, (401, "token_expired".into()));

        let late = async || Socket::try_open(gateway.local_address(), None, None).await.unwrap();
        let mut socket = late().await;
        socket.send(json!({ "token": expired })).await;
        assert_eq!(socket.closed().await, (4001, "token_expired".into()));
        let mut socket = late().await;
        socket.send(json!({ "subscribe": { "deliveries": true } })).await;
        assert_eq!(socket.closed().await, (4001, "token_missing".into()));
        let silent = late().await;
        let mut socket = late().await;
        let customer = shop.customer().await;
        socket.send(json!({ "token": customer.token })).await;
        let message = socket.subscribe(json!({ "deliveries": true })).await;
        assert_eq!(message["problem"]["code"], "forbidden");
        // Another's token does not take a connection over.
        socket.send(json!({ "token": shop.customer().await.token })).await;
        assert_eq!(socket.closed().await, (4001, "token_invalid".into()));
        assert_eq!(silent.closed().await, (4001, "token_missing".into()), "within 5 s");
        shop.anybody().get("/live/events?deliveries=true").await.expect(401).problem("token_missing");
    });
}

#[test]
fn a_connection_ends_with_its_token() {
    on_shop(async |shop| {
        let short = GatewaySettings { access_token_lifetime: Duration::from_secs(2), ..settings() };
        let gateway = another(shop, short).await;
        let email = format!("{}@example.com", fresh_key());
        let body = json!({ "email": email, "password": crate::support::PASSWORD, "name": "Test" });
        let registered = Client::of(&gateway).post("/auth/register", body).await.expect(201).body;
        let begun = Instant::now();
        let socket = Socket::open(&gateway, registered["access_token"].as_str().unwrap()).await;
        assert_eq!(socket.closed().await, (4001, "token_expired".into()));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        gateway.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_connection_ends_with_its_session() {
    on_shop(async |shop| {
        let live = LiveSettings { heartbeat: Duration::from_millis(200), ..LiveSettings::default() };
        let gateway = another(shop, GatewaySettings { live, ..settings() }).await;
        let customer = shop.customer().await;
        let client = Client::of(&gateway).with(customer.token.as_ref().unwrap());
        let order = order(shop, &customer, STORE).await;
        let socket = Socket::open(&gateway, customer.token.as_ref().unwrap()).await;
        let mut events = Events::open(&client, &format!("order={order}"), None).await;
        client.post("/auth/logout", Value::Null).await.expect(204);
        assert_eq!(socket.closed().await, (4001, "token_revoked".into()));
        assert_eq!(refused(&gateway, customer.token.as_deref()).await, (401, "token_revoked".into()));
        let mut last = events.next().await;
        while let Some(told) = events.next().await {
            last = Some(told);
        }
        assert_eq!(last.unwrap().data["problem"]["code"], "token_revoked");
        gateway.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn what_is_anothers_is_refused() {
    on_shop(async |shop| {
        let (customer, stranger) = (shop.customer().await, shop.customer().await);
        let order = order(shop, &customer, STORE).await;
        let mut socket = Socket::open(&shop.gateway, stranger.token.as_ref().unwrap()).await;
        let message = socket.subscribe(json!({ "order": order })).await;
        assert_eq!((&message["of"]["order"], &message["problem"]["code"]), (&json!(order), &json!("not_found")));
        let message = socket.subscribe(json!({ "order": "u-nobody.o-1" })).await;
        assert_eq!(message["problem"]["code"], "not_found");
        let message = socket.subscribe(json!({ "store": LIVE_STORE })).await;
        assert_eq!(message["problem"]["code"], "forbidden");
        let events = format!("/live/events?order={order}");
        stranger.get(&events).await.expect(404).problem("not_found");
        stranger.get("/live/events").await.expect(422).problem("invalid_value");
        stranger.get("/live/events?ordr=1").await.expect(422).problem("unknown_field");
        let mut staff = Socket::open(&shop.gateway, shop.staff("store1").await.token.as_ref().unwrap()).await;
        let message = staff.subscribe(json!({ "store": LIVE_STORE })).await;
        assert_eq!(message["problem"]["code"], "forbidden", "another store's");
        // An order that could be one's own but is not there.
        let me = customer.get("/users/me").await.expect(200).body;
        let mut own = Socket::open(&shop.gateway, customer.token.as_ref().unwrap()).await;
        let message = own.subscribe(json!({ "order": format!("{}.o-none", me["id"].as_str().unwrap()) })).await;
        assert_eq!(message["problem"]["code"], "not_found", "{message}");
        customer.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(200);
    });
}

#[test]
fn messages_and_subscriptions_are_bounded() {
    on_shop(async |shop| {
        let admin = shop.staff("admin").await.token.unwrap();
        let mut socket = Socket::open(&shop.gateway, &admin).await;
        for (text, code) in [("{", "broken_json"), ("{}", "invalid_value"), (r#"{"x":1}"#, "unknown_field")] {
            socket.text(text.into()).await;
            assert_eq!(socket.next().await["problem"]["code"], code);
        }
        for number in 0..16 {
            let message = socket.subscribe(json!({ "store": format!("s-{number}") })).await;
            assert_eq!(message["snapshot"]["orders"], json!([]), "{message}");
        }
        let message = socket.subscribe(json!({ "store": "s-16" })).await;
        assert_eq!((&message["problem"]["code"], &message["problem"]["limit"]), (&json!("limit_reached"), &json!(16)));
        // What is there is begun anew, and one that ends makes room.
        assert!(socket.subscribe(json!({ "store": "s-3" })).await["snapshot"].is_object());
        socket.send(json!({ "unsubscribe": { "store": "s-3" } })).await;
        assert!(socket.subscribe(json!({ "store": "s-16" })).await["snapshot"].is_object());
        socket.text(format!(r#"{{"token":"{}"}}"#, "x".repeat(5_000))).await;
        assert_eq!(socket.closed().await, (1009, "message too large".into()));

        let mut socket = Socket::open(&shop.gateway, &admin).await;
        for _ in 0..200 {
            socket.text("{}".into()).await;
        }
        assert_eq!(socket.closed().await, (1008, "too many messages".into()));
    });
}

#[test]
fn connections_are_bounded() {
    on_shop(async |shop| {
        let live = LiveSettings { connections_max: 1, ..LiveSettings::default() };
        // Nor do they take the place of a request.
        let gateway = another(shop, GatewaySettings { live, in_flight_max: 1, ..settings() }).await;
        let admin = shop.staff("admin").await.token.unwrap();
        let socket = Socket::open(&gateway, &admin).await;
        assert_eq!(gateway.status().await.unwrap().live_connections, 1);
        let client = Client::of(&gateway).with(&admin);
        assert_eq!(refused(&gateway, Some(&admin)).await, (503, "overloaded".into()));
        let events = client.get("/live/events?store=s-1").await.expect(503).problem("overloaded");
        assert_eq!(events.header("retry-after"), "1");
        client.get("/stores").await.expect(200);
        drop(socket);
        crate::support::eventually("the place is free", async || {
            (gateway.status().await.unwrap().live_connections == 0).then_some(())
        })
        .await;
        drop(Socket::open(&gateway, &admin).await);
        gateway.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_slow_client_is_told_and_dropped_and_others_are_not_disturbed() {
    on_shop(async |shop| {
        const POSITIONS: i64 = 30_000;
        let live = LiveSettings { queue_max: 64, ..LiveSettings::default() };
        let gateway = another(shop, GatewaySettings { live, ..settings() }).await;
        let customer = shop.customer().await;
        let order = order(shop, &customer, LIVE_STORE).await;
        let (rider, rider_key) = taken_on(shop, &order).await;
        let token = customer.token.as_ref().unwrap();
        let mut slow = Socket::try_open(gateway.local_address(), Some(token), Some(4096)).await.unwrap();
        slow.subscribe(json!({ "order": order })).await;
        let mut quick = Socket::open(&gateway, token).await;
        quick.subscribe(json!({ "order": order })).await;
        let reading = tokio::spawn(async move {
            let mut last = 0;
            while last < POSITIONS {
                let message = quick.next().await;
                if let Some(at_ms) = message["position"]["at_ms"].as_i64() {
                    assert!(at_ms > last, "{at_ms} after {last}");
                    last = at_ms;
                }
            }
        });
        let cluster = shop.node.cluster();
        let mut sent = 0;
        let mut dropped = false;
        while sent < POSITIONS && !dropped {
            for _ in 0..20 {
                sent += 1;
                let body = json!({ "lat": 12.9, "lng": 77.6, "at_ms": sent }).to_string();
                cluster.signal(Signal { topic: format!("rider/{rider_key}"), body });
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
            let metrics = nakku_gateway::metrics::METRICS.live_slow.with_label_values(&["websocket"]);
            dropped = metrics.get() > 0;
        }
        assert!(dropped, "{sent} positions waited for a client that reads nothing");
        assert_eq!(slow.closed().await, (1008, "slow".into()));
        let last = json!({ "lat": 12.9, "lng": 77.6, "at_ms": POSITIONS }).to_string();
        cluster.signal(Signal { topic: format!("rider/{rider_key}"), body: last });
        tokio::time::timeout(PATIENCE, reading).await.expect("the other reads on").unwrap();
        step(&rider, &order, "fail", json!({ "reason": "a test" })).await;
        gateway.drain(Duration::from_secs(5)).await;
    });
}
