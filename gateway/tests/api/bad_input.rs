//! Each way of being wrong has its own code, and changes nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, STORE, fresh_key, on_shop, settings};

#[test]
fn broken_bodies_have_their_codes_and_change_nothing() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(9, 100).await;
        customer.put_in(&sku, 1).await;
        let before = customer.get("/cart").await.body;
        let item = format!("/cart/items/{sku}");
        for (body, status, code) in [
            ("", 400, "broken_json"),
            (r#"{"quantity":"#, 400, "broken_json"),
            (r#"{"quantity":2}}"#, 400, "broken_json"),
            (r#"{"quantity":2,"colour":"red"}"#, 422, "unknown_field"),
            (r#"{"store":"s-indiranagar"}"#, 422, "missing_field"),
            (r#"{"quantity":"2"}"#, 422, "wrong_type"),
            (r#"{"quantity":2.5}"#, 422, "wrong_type"),
            (r#"{"quantity":-1}"#, 422, "invalid_value"),
            (r#"{"quantity":1001}"#, 422, "invalid_value"),
            (r#"{"quantity":4294967296}"#, 422, "invalid_value"),
            (r#"{"quantity":2,"store":"not a store"}"#, 422, "invalid_value"),
        ] {
            let request = customer.request(Method::PUT, &item).header("content-type", "application/json");
            Answer::to(request.body(body)).await.expect(status).problem(code);
        }
        let request = customer.request(Method::PUT, &item).header("content-type", "text/plain");
        Answer::to(request.body(r#"{"quantity":2}"#)).await.expect(415).problem("unsupported_media_type");
        let huge = format!(r#"{{"quantity":2,"store":"{}"}}"#, "x".repeat(70_000));
        let request = customer.request(Method::PUT, &item).header("content-type", "application/json");
        // The connection ends with the refusal, while the body is still on its way: no other request may be on it.
        let (alone, request) = (reqwest::Client::new(), request.body(huge).build().unwrap());
        let request = reqwest::RequestBuilder::from_parts(alone, request);
        Answer::to(request).await.expect(413).problem("body_too_large");
        assert_eq!(customer.get("/cart").await.body, before);
    });
}

#[test]
fn a_large_body_of_unknown_length_is_refused_too() {
    on_shop(async |shop| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(shop.gateway.local_address()).await.unwrap();
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n\
            Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", 8_192, "x".repeat(8_192));
        for _ in 0..9 {
            // The answer may come before everything has been sent.
            let _ = stream.write_all(chunk.as_bytes()).await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    });
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    on_shop(async |shop| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let hasty = nakku_gateway::GatewaySettings { request_timeout: Duration::from_millis(500), ..settings() };
        let gateway = nakku_gateway::start(shop.node.cluster(), hasty).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(gateway.local_address()).await.unwrap();
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n\
            Content-Length: 100\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{read:?}: {answer}");
        gateway.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn check_outs_are_validated_and_place_nothing() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(9, 100).await;
        customer.put_in(&sku, 1).await;
        let cash = json!({ "method": "cash" });
        for (body, code, field) in [
            (json!({}), "missing_field", Value::Null),
            (json!({ "payment": cash, "address": "x", "tip": 1 }), "unknown_field", json!("tip")),
            (json!({ "payment": { "method": "gold" }, "address": "x" }), "invalid_value", json!("payment.method")),
            (json!({ "payment": { "method": "card" }, "address": "x" }), "missing_field", json!("payment.token")),
            (
                json!({ "payment": { "method": "cash", "token": "t" }, "address": "x" }),
                "invalid_value",
                json!("payment.token"),
            ),
            (json!({ "payment": { "method": "card", "token": "" }, "address": "x" }), "invalid_value", Value::Null),
            (
                json!({ "payment": { "method": "card", "token": 7 }, "address": "x" }),
                "wrong_type",
                json!("payment.token"),
            ),
            (json!({ "payment": cash, "address": "" }), "invalid_value", json!("address")),
            (json!({ "payment": cash, "address": "x".repeat(1_001) }), "invalid_value", json!("address")),
            (json!({ "payment": cash }), "missing_field", json!("address")),
            (json!({ "payment": cash, "address_id": "nowhere" }), "not_found", json!("address_id")),
            (json!({ "payment": cash, "address": "x", "expected_total_minor": -1 }), "price_changed", Value::Null),
            (
                json!({ "payment": cash, "address": "x", "expected_total_minor": "100" }),
                "wrong_type",
                json!("expected_total_minor"),
            ),
            (json!({ "payment": cash, "address": "x", "store": "s-jayanagar" }), "cart_other_store", Value::Null),
        ] {
            let refused = customer.check_out(&fresh_key(), &body).await.problem(code);
            if !field.is_null() {
                assert_eq!(refused.body["field"], field, "{body}");
            }
        }
        assert_eq!(customer.get("/orders").await.body["items"], json!([]));
        assert_eq!(shop.level(&sku).await["available"], 9);
    });
}

#[test]
fn unknown_ids_and_routes_are_not_found() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let item = json!({ "quantity": 1, "store": STORE });
        customer.put("/cart/items/no-such-product", item.clone()).await.expect(404).problem("product_unknown");
        customer.put("/cart/items/no%20key", item).await.expect(404).problem("product_unknown");
        customer.get("/products/no-such-product").await.expect(404).problem("product_unknown");
        customer.get("/stores/s-nowhere/products").await.expect(404).problem("store_unknown");
        customer.get("/stores/s-nowhere/stock/butter").await.expect(404).problem("store_unknown");
        customer.get(&format!("/stores/{STORE}/stock/no-such-product")).await.expect(404).problem("product_unknown");
        customer.get("/orders/u-nobody.o-00000000000000000000").await.expect(404).problem("not_found");
        customer.get("/orders/x").await.expect(404).problem("not_found");
        customer.get("/nowhere").await.expect(404).problem("route_not_found");
        customer.get("//nowhere").await.expect(404).problem("route_not_found");
        customer.delete("/orders").await.expect(405).problem("method_not_allowed");
        customer.get("/products?limit=0").await.expect(422).problem("invalid_value");
        customer.get("/products?limit=201").await.expect(422).problem("invalid_value");
        customer.get("/products?limit=many").await.expect(422).problem("invalid_value");
        customer.get("/products?colour=red").await.expect(422).problem("unknown_field");
        customer.get("/products?after=%00").await.expect(422).problem("invalid_value");
    });
}

#[test]
fn registrations_are_validated() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let email = format!("{}@example.com", fresh_key());
        let with = |field: &str, value: Value| {
            let mut body = json!({ "email": email, "password": PASSWORD, "name": "Asha" });
            body[field] = value;
            body
        };
        for (body, code, field) in [
            (with("email", json!("nobody")), "invalid_value", "email"),
            (with("email", json!("a b@example.com")), "invalid_value", "email"),
            (with("password", json!("short")), "invalid_value", "password"),
            (with("password", json!("x".repeat(300))), "invalid_value", "password"),
            (with("name", json!("")), "invalid_value", "name"),
            (with("name", json!("x".repeat(101))), "invalid_value", "name"),
            (with("roles", json!(["admin"])), "unknown_field", "roles"),
        ] {
            let refused = anybody.post("/auth/register", body).await.expect(422).problem(code);
            assert_eq!(refused.body["field"], field, "{}", refused.body);
        }
        // None of the refusals has used up the e-mail.
        anybody.post("/auth/register", with("name", json!("Asha"))).await.expect(201);
    });
}

#[test]
fn addresses_are_validated() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        for (field, value) in [("pin_code", "012345"), ("pin_code", "1234"), ("line", ""), ("city", ""), ("id", "a b")]
        {
            let mut body = json!({ "line": "12 Hill Road", "city": "Mumbai", "pin_code": "400050" });
            body[field] = json!(value);
            customer.post("/users/me/addresses", body).await.expect(422).problem("invalid_value");
        }
        assert_eq!(customer.get("/users/me").await.body["addresses"], json!([]));
    });
}
