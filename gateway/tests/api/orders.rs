//! Check-outs that are repeated, refused, slow or abandoned.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, STORE, eventually, fresh_key, on_shop, settings};

fn card(token: &str) -> Value {
    json!({ "payment": { "method": "card", "token": token }, "address": "12 Hill Road" })
}

fn cash() -> Value {
    json!({ "payment": { "method": "cash" }, "address": "12 Hill Road" })
}

#[test]
fn a_repetition_is_answered_alike_and_orders_nothing() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(10, 6_000).await;
        customer.put_in(&sku, 2).await;
        let key = fresh_key();
        let first = customer.check_out(&key, &card("card_approve")).await.expect(201).body;
        // The cart has been cleared and filled again: neither may count.
        eventually("the cart is free", async || {
            let item = json!({ "quantity": 1, "store": STORE });
            (customer.put(&format!("/cart/items/{sku}"), item).await.status == 200).then_some(())
        })
        .await;
        let again = customer.check_out(&key, &card("card_approve")).await.expect(201).body;
        assert_eq!((&again["id"], &again["total_minor"]), (&first["id"], &first["total_minor"]));
        for other in [cash(), card("card_slow"), json!({ "payment": { "method": "cash" }, "address": "elsewhere" })] {
            customer.check_out(&key, &other).await.expect(409).problem("idempotency_key_reused");
        }
        let orders = customer.get("/orders").await.expect(200).body;
        assert_eq!(orders["items"].as_array().unwrap().len(), 1);
        let payment = customer.get(&format!("/orders/{}/payment", first["id"].as_str().unwrap())).await.expect(200);
        assert_eq!((&payment.body["status"], &payment.body["captured_minor"]), (&json!("captured"), &json!(12_000)));
    });
}

#[test]
fn the_same_request_sent_many_times_at_once_is_one_order() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(10, 100).await;
        customer.put_in(&sku, 3).await;
        let (key, body) = (fresh_key(), card("card_approve"));
        let all = futures::future::join_all((0..8).map(|_| customer.check_out(&key, &body))).await;
        let ids: std::collections::BTreeSet<_> =
            all.into_iter().map(|answer| answer.expect(201).body["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 1);
        eventually("three are sold", async || (shop.level(&sku).await["sold"] == 3).then_some(())).await;
    });
}

#[test]
fn one_cart_makes_one_order_whatever_the_tabs_do() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        // Enough for all of them: what refuses must be the cart.
        let sku = shop.product(20, 100).await;
        customer.put_in(&sku, 2).await;
        let body = cash();
        let tabs = futures::future::join_all((0..6).map(|_| async { customer.check_out(&fresh_key(), &body).await }));
        let answers = tabs.await;
        let confirmed = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(confirmed, 1, "{answers:#?}");
        for refused in answers.into_iter().filter(|answer| answer.status != 201) {
            let code = refused.body["code"].as_str().unwrap_or_default().to_owned();
            assert!(["cart_sealed", "cart_changed", "cart_empty"].contains(&code.as_str()), "{}", refused.body);
        }
        eventually("two are sold", async || {
            let level = shop.level(&sku).await;
            (level["sold"] == 2 && level["reserved"] == 0).then_some(())
        })
        .await;
    });
}

#[test]
fn too_little_stock_refuses_the_whole_order_and_says_what_is_left() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let (scarce, plenty) = (shop.product(2, 100).await, shop.product(50, 100).await);
        customer.put_in(&scarce, 3).await;
        customer.put_in(&plenty, 3).await;
        let key = fresh_key();
        let refused = customer.check_out(&key, &cash()).await.expect(409).problem("insufficient_stock");
        assert_eq!(refused.body["lines"], json!([{ "sku": scarce, "wanted": 3, "available": 2 }]));
        let order = refused.body["order"].as_str().unwrap().to_owned();
        customer.check_out(&key, &cash()).await.expect(409).problem("insufficient_stock");
        let read = customer.get(&format!("/orders/{order}")).await.expect(200).body;
        assert_eq!((&read["status"], &read["cancelled"]["code"]), (&json!("cancelled"), &json!("insufficient_stock")));
        for (sku, pieces) in [(&scarce, 2), (&plenty, 50)] {
            let level = shop.level(sku).await;
            assert_eq!((&level["available"], &level["reserved"]), (&json!(pieces), &json!(0)));
        }
        // The cart is as it was, and good for another try.
        eventually("the cart is free", async || {
            let cart = customer.get("/cart").await.expect(200).body;
            (cart["sealed_by"].is_null() && cart["total_minor"] == 600).then_some(())
        })
        .await;
        customer.put_in(&scarce, 2).await;
        customer.check_out(&fresh_key(), &cash()).await.expect(201);
    });
}

#[test]
fn a_cart_that_an_order_holds_refuses_every_change() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(4, 100).await;
        customer.put_in(&sku, 2).await;
        let slow = tokio::spawn({
            let customer = customer.clone();
            async move { customer.check_out(&fresh_key(), &card("card_slow")).await }
        });
        let holder = eventually("the cart is held", async || {
            customer.get("/cart").await.expect(200).body["sealed_by"].as_str().map(str::to_owned)
        })
        .await;
        // Also the change that changes nothing: what it asks for is about to leave the cart.
        for quantity in [0, 1, 2, 3] {
            let item = json!({ "quantity": quantity, "store": STORE });
            let refused = customer.put(&format!("/cart/items/{sku}"), item).await.expect(409).problem("cart_sealed");
            assert_eq!(refused.body["held_by"], holder.as_str());
        }
        let refused = customer.check_out(&fresh_key(), &cash()).await.expect(409).problem("cart_sealed");
        assert_eq!((&refused.body["held_by"], refused.body.get("order")), (&json!(holder), None));
        assert_eq!(slow.await.unwrap().expect(201).body["id"], holder.as_str());
    });
}

#[test]
fn a_declined_card_frees_the_stock_within_a_second() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(4, 100).await;
        customer.put_in(&sku, 4).await;
        customer.check_out(&fresh_key(), &card("card_decline")).await.expect(402).problem("payment_declined");
        let begun = std::time::Instant::now();
        eventually("the stock is free", async || {
            let level = shop.level(&sku).await;
            (level["available"] == 4 && level["reserved"] == 0).then_some(())
        })
        .await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        eventually("the cart is free", async || customer.get("/cart").await.body["sealed_by"].is_null().then_some(()))
            .await;
        customer.check_out(&fresh_key(), &card("card_lost")).await.expect(201);
    });
}

#[test]
fn a_price_that_changed_is_shown_before_it_is_paid() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(4, 500).await;
        customer.put_in(&sku, 2).await;
        let admin = shop.staff("admin").await;
        admin.patch(&format!("/products/{sku}"), json!({ "price_minor": 400 })).await.expect(200);
        let mut body = cash();
        body["expected_total_minor"] = json!(1_000);
        let refused = customer.check_out(&fresh_key(), &body).await.expect(409).problem("price_changed");
        assert_eq!(refused.body["total_minor"], 800);
        body["expected_total_minor"] = json!(800);
        assert_eq!(customer.check_out(&fresh_key(), &body).await.expect(201).body["total_minor"], 800);
    });
}

#[test]
fn a_slow_order_is_accepted_and_comes_true() {
    on_shop(async |shop| {
        let hasty = GatewayOf::new(shop, Duration::from_millis(900)).await;
        let customer = shop.customer().await;
        let through_hasty = hasty.client.with(customer.token.as_ref().unwrap());
        let sku = shop.product(4, 100).await;
        customer.put_in(&sku, 1).await;
        let accepted = through_hasty.check_out(&fresh_key(), &card("card_slow")).await.expect(202);
        assert_eq!(accepted.body["status"], "placing");
        let location = accepted.header("location").to_owned();
        eventually("the order is confirmed", async || {
            let order = customer.get(location.strip_prefix("/api/v1").unwrap()).await.expect(200).body;
            (order["status"] == "confirmed").then_some(())
        })
        .await;
        hasty.gateway.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_client_that_goes_away_leaves_a_whole_order() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(4, 100).await;
        customer.put_in(&sku, 1).await;
        let key = fresh_key();
        let request = customer.request(Method::POST, "/orders").header("Idempotency-Key", &key);
        let request = request.json(&card("card_slow")).timeout(Duration::from_millis(700)).send().await;
        assert!(request.unwrap_err().is_timeout());
        let level = eventually("the order is decided", async || {
            let level = shop.level(&sku).await;
            (level["reserved"] == 0 && level["on_hand"] != 4).then_some(level)
        })
        .await;
        assert_eq!((&level["sold"], &level["available"]), (&json!(1), &json!(3)));
        customer.check_out(&key, &card("card_slow")).await.expect(201);
    });
}

#[test]
fn an_order_can_be_called_off_before_it_leaves() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(4, 100).await;
        customer.put_in(&sku, 4).await;
        let placed = customer.check_out(&fresh_key(), &card("card_approve")).await.expect(201).body;
        let path = format!("/orders/{}", placed["id"].as_str().unwrap());
        customer.post(&format!("{path}/cancel"), json!({ "reason": "changed my mind" })).await.expect(200);
        eventually("the order is cancelled and the money back", async || {
            let order = customer.get(&path).await.expect(200).body;
            (order["status"] == "cancelled" && order["refunded_minor"] == 400).then_some(())
        })
        .await;
        eventually("the goods are back", async || (shop.level(&sku).await["available"] == 4).then_some(())).await;
    });
}

/// A second gateway on the same node, with little time.
struct GatewayOf {
    gateway: nakku_gateway::Gateway,
    client: Client,
}

impl GatewayOf {
    async fn new(shop: &crate::support::Shop, request_timeout: Duration) -> Self {
        let settings = nakku_gateway::GatewaySettings { request_timeout, ..settings() };
        let gateway = nakku_gateway::start(shop.node.cluster(), settings).await.expect("a second gateway starts");
        let client = Client::of(&gateway);
        Self { gateway, client }
    }
}

#[test]
fn idempotency_keys_are_required_and_checked() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let without = customer.post("/orders", cash()).await.expect(400);
        without.problem("idempotency_key_missing");
        for key in ["", "with blank", &"x".repeat(65)] {
            let request = customer.request(Method::POST, "/orders").header("Idempotency-Key", key).json(&cash());
            Answer::to(request).await.expect(400).problem("idempotency_key_invalid");
        }
        customer.check_out(&fresh_key(), &cash()).await.expect(409).problem("cart_empty");
    });
}
