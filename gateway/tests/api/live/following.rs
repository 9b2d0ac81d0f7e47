//! To the door, over two gateways, with and without interruption.

use std::time::Duration;

use nakku_gateway::Gateway;
use serde_json::{Value, json};

use super::client::{Events, LIVE_STORE, RIDERS, Socket, another, behind, journal, order, step, taken_on};
use crate::support::{Client, STORE, eventually, on_shop, settings};

/// Hears of an order until it is paid, and changes the gateway after every `hop` events. Returns the first
/// cursor and the ids of all events, sorted.
async fn hear(gateways: [Gateway; 2], token: String, order: String, hop: usize) -> (String, Vec<String>) {
    let mut first: Option<String> = None;
    let mut cursor: Option<String> = None;
    let (mut ids, mut types) = (Vec::new(), Vec::new());
    for gateway in gateways.iter().cycle() {
        let mut socket = Socket::open(gateway, &token).await;
        socket.send(json!({ "subscribe": { "order": order, "cursor": cursor } })).await;
        let mut heard = 0;
        while heard < hop {
            let message = socket.next().await;
            assert_eq!(message["of"]["order"], *order, "{message}");
            if let Some(now) = message["cursor"].as_str() {
                cursor = Some(now.to_owned());
            }
            if message["snapshot"].is_object() {
                assert!(first.is_none(), "a second snapshot: {message}");
                assert_eq!(message["snapshot"]["order"]["id"], *order);
                first.clone_from(&cursor);
            } else if let Some(id) = message["event"]["id"].as_str() {
                heard += 1;
                ids.push(id.to_owned());
                types.push(message["event"]["type"].as_str().unwrap().to_owned());
                let done = |name: &str| types.iter().any(|one| one == name);
                if done("order.completed") && done("payment.completed") && done("delivery.completed") {
                    ids.sort();
                    return (first.unwrap(), ids);
                }
            } else {
                assert!(message["resumed"] == true || message["position"].is_object(), "{message}");
            }
        }
    }
    unreachable!("gateways are cycled through")
}

#[test]
fn an_order_is_followed_to_the_door_over_two_gateways() {
    on_shop(async |shop| {
        let other = another(shop, settings()).await;
        let customer = shop.customer().await;
        let token = customer.token.clone().unwrap();
        let order = order(shop, &customer, LIVE_STORE).await;
        let gateways = [shop.gateway.clone(), other.clone()];
        let hearing = |hop| tokio::spawn(hear(gateways.clone(), token.clone(), order.clone(), hop));
        let (steady, hopping) = (hearing(usize::MAX), hearing(1));
        let mut events = Events::open(&customer, &format!("order={order}"), None).await;
        let snapshot = events.next().await.unwrap();
        assert_eq!((snapshot.kind.as_str(), &snapshot.data["cursor"]), ("snapshot", &json!(snapshot.id)));
        let mut board = Socket::open(&other, shop.staff("store2").await.token.as_ref().unwrap()).await;
        let open = board.subscribe(json!({ "store": LIVE_STORE })).await;
        let listed = open["snapshot"]["orders"].as_array().unwrap();
        assert!(listed.iter().any(|one| one["id"] == *order), "{open}");

        let mut lists = Vec::new();
        for name in RIDERS {
            let rider = shop.staff(name).await;
            let mut list = Socket::open(&other, rider.token.as_ref().unwrap()).await;
            assert!(list.subscribe(json!({ "deliveries": true })).await["snapshot"]["deliveries"].is_array());
            lists.push((rider.get("/users/me").await.expect(200).body["id"].clone(), list));
        }
        let (rider, rider_key) = taken_on(shop, &order).await;
        // The rider's own list changes without being asked for.
        let (_, list) = lists.iter_mut().find(|(key, _)| *key == *rider_key).unwrap();
        while list.next().await["snapshot"]["deliveries"][0]["id"] != *order {}
        // One who watches hears where the rider is, as told to another gateway.
        let mut watching = Socket::open(&other, &token).await;
        assert!(watching.subscribe(json!({ "order": order })).await["snapshot"]["delivery"].is_object());
        let position = json!({ "lat": 12.9, "lng": 77.6 });
        rider.post("/rider/position", position).await.expect(200);
        let told = loop {
            let message = watching.next().await;
            if message["position"].is_object() {
                break message;
            }
        };
        assert_eq!(told["position"]["lat"], 12.9);
        assert_eq!(told["position"]["rider"], *rider_key);
        // One who comes later is told where the rider was last.
        let mut late = Socket::open(&shop.gateway, &token).await;
        assert!(late.subscribe(json!({ "order": order })).await["snapshot"]["order"].is_object());
        assert_eq!(late.next().await["position"]["lat"], 12.9);
        drop((events, late));
        step(&rider, &order, "pick-up", Value::Null).await;
        step(&rider, &order, "deliver", json!({ "cash_collected_minor": 6_000 })).await;

        let journal = eventually("the order is paid and completed", async || {
            let events = journal(shop, &order).await;
            let has = |name: &str| events.iter().any(|event| event.event_type == name);
            (has("order.completed") && has("payment.completed") && has("delivery.completed")).then_some(events)
        })
        .await;
        for heard in [steady, hopping] {
            let (first, ids) = heard.await.unwrap();
            assert_eq!(ids, behind(&journal, &first), "nothing is missing and nothing comes twice");
        }
        // The other way of listening comes back on the other gateway.
        let other_client = Client::of(&other).with(&token);
        let last_id = snapshot.id.unwrap();
        let mut events = Events::open(&other_client, &format!("order={order}"), Some(&last_id)).await;
        let mut ids = Vec::new();
        loop {
            let told = events.next().await.unwrap();
            match told.kind.as_str() {
                "event" => ids.push(told.data["event"]["id"].as_str().unwrap().to_owned()),
                "resumed" => break,
                other => panic!("{other}: {told:?}"),
            }
        }
        ids.sort();
        assert_eq!(ids, behind(&journal, &last_id));
        // Positions are not told any more.
        rider.post("/rider/position", json!({ "lat": 12.91, "lng": 77.6 })).await.expect(200);
        while let Some(message) = watching.soon(Duration::from_millis(300)).await {
            assert_ne!(message["position"]["lat"], 12.91, "{message}");
        }
        let mut on_board = Vec::new();
        while !on_board.contains(&json!("order.completed")) {
            let message = board.next().await;
            if message["event"]["data"]["order"] == *order {
                on_board.push(message["event"]["type"].clone());
            }
        }
        assert!(on_board.contains(&json!("delivery.assigned")), "{on_board:?}");
        other.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_stream_of_events_goes_on_at_another_gateway_where_it_was() {
    on_shop(async |shop| {
        let other = another(shop, settings()).await;
        let customer = shop.customer().await;
        let there = Client::of(&other).with(customer.token.as_ref().unwrap());
        let order = order(shop, &customer, STORE).await;
        let query = format!("order={order}");
        let snapshot = Events::open(&customer, &query, None).await.next().await.unwrap();
        let first = snapshot.id.expect("a snapshot says how far it is");
        // It listens at the other one when the next thing happens; from then on it changes with every event.
        let mut events = Events::open(&there, &query, Some(&first)).await;
        let (mut last_id, mut ids) = (first.clone(), Vec::new());
        let mut cancelled = false;
        for gateway in [&customer, &there].into_iter().cycle() {
            loop {
                let told = events.next().await.unwrap();
                assert_ne!(told.kind, "snapshot", "it does not begin anew");
                last_id = told.id.unwrap_or(last_id);
                if let Some(id) = told.data["event"]["id"].as_str() {
                    ids.push(id.to_owned());
                    break;
                }
                assert_eq!(told.kind, "resumed");
                if !cancelled {
                    customer.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(200);
                    cancelled = true;
                }
            }
            events = Events::open(gateway, &query, Some(&last_id)).await;
            let journal = journal(shop, &order).await;
            let is_over = journal.iter().any(|event| event.event_type == "order.cancelled");
            if is_over && behind(&journal, &last_id).is_empty() {
                ids.sort();
                assert_eq!(ids, behind(&journal, &first), "nothing is missing and nothing comes twice");
                break;
            }
        }
        drop(events);
        other.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_cursor_that_leads_nowhere_begins_anew() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let order = order(shop, &customer, STORE).await;
        let mut socket = Socket::open(&shop.gateway, customer.token.as_ref().unwrap()).await;
        let message = socket.subscribe(json!({ "order": order, "cursor": "order.999999999" })).await;
        assert!(message["snapshot"]["order"].is_object(), "{message}");
        socket.send(json!({ "unsubscribe": { "order": order } })).await;
        socket.send(json!({ "subscribe": { "order": order, "cursor": "nonsense" } })).await;
        // An event may have been on its way.
        let mut message = socket.next().await;
        while message["event"].is_object() {
            message = socket.next().await;
        }
        assert_eq!(message["problem"]["code"], "invalid_value");
        customer.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(200);
        let heard = socket.soon(Duration::from_millis(300)).await;
        assert_eq!(heard, None, "what was unsubscribed from is not heard of");
    });
}
