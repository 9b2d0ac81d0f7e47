//! Health, documents, limits, draining.

use std::time::{Duration, Instant};

use nakku_gateway::{AdminSettings, GatewaySettings, Secret, ServicePortSettings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Answer, Client, fresh_key, on_shop, settings};

#[test]
fn probes_are_answered() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let health = anybody.get("//health").await.expect(200).body;
        assert_eq!(
            (&health["status"], &health["service"], &health["ready"]),
            (&json!("ok"), &json!("gateway"), &json!(true))
        );
        assert!(!health["dependencies"].as_array().unwrap().is_empty(), "{health}");
        assert_eq!(anybody.get("//ready").await.expect(200).body, json!({ "ready": true }));
        let metrics = anybody.get("//metrics").await.expect(200);
        let text = metrics.body.as_str().unwrap();
        assert!(text.contains(r#"nakku_gateway_requests_total{method="GET",route="/health",status="200"}"#), "{text}");
    });
}

#[test]
fn every_service_is_answered_for_on_its_own_port() {
    on_shop(async |shop| {
        let ports = vec![("order".to_owned(), 0), ("cart".to_owned(), 0)];
        let settings = ServicePortSettings { host: "127.0.0.1".parse().unwrap(), ports };
        let ports = nakku_gateway::start_service_ports(shop.node.cluster(), settings).await.unwrap();
        for (service, address) in ports.local_addresses() {
            let get =
                async |path: &str| Answer::to(reqwest::Client::new().get(format!("http://{address}{path}"))).await;
            let health = get("/health").await.expect(200).body;
            assert_eq!((&health["service"], &health["serving_shards"]), (&json!(service), &json!(4)), "{health}");
            get("/ready").await.expect(200);
            get("/metrics").await.expect(200);
            get("/api/v1/products").await.expect(404).problem("route_not_found");
        }
        ports.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn the_admin_listener_is_guarded() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let request = || reqwest::Client::new().get(format!("http://{}/admin/v1/status", admin.local_address()));
        Answer::to(request()).await.expect(401).problem("token_missing");
        Answer::to(request().bearer_auth("another")).await.expect(401).problem("token_invalid");
        let user = shop.staff("admin").await.token.unwrap();
        Answer::to(request().bearer_auth(user)).await.expect(403).problem("forbidden");
        let status = Answer::to(request().bearer_auth(ADMIN_TOKEN)).await.expect(200).body;
        assert_eq!(status["nodes"][0]["name"], "only", "{status}");
        let webhooks = format!("http://{}/admin/v1/webhooks/wh-1", admin.local_address());
        let webhooks = Answer::to(reqwest::Client::new().get(webhooks).bearer_auth(ADMIN_TOKEN)).await;
        webhooks.expect(409).problem("wrong_state");
        admin.drain(Duration::from_secs(5)).await;
        let short =
            AdminSettings { listen: "127.0.0.1:0".parse().unwrap(), ..AdminSettings::new(Secret::new("short")) };
        assert!(nakku_gateway::start_admin(shop.node.cluster(), short).await.is_err());
    });
}

#[test]
fn the_document_names_every_route_that_there_is() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let document = anybody.get("//openapi.json").await.expect(200).body;
        let mut operations = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            let path = path.replace("{store}", "s-x").replace("{sku}", "x").replace("{id}", "x");
            for method in methods.as_object().unwrap().keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let answer = Answer::to(anybody.request(method.clone(), &format!("/{path}"))).await;
                let code = answer.body["code"].as_str().unwrap_or_default();
                assert!(code != "route_not_found" && code != "method_not_allowed", "{method} {path}: {}", answer.body);
                operations += 1;
            }
        }
        assert!(operations >= 37, "{operations} operations");
        for (path, kind) in
            [("//docs", "text/html"), ("//docs/page.js", "text/javascript"), ("//docs/page.css", "text/css")]
        {
            let page = anybody.get(path).await.expect(200);
            assert!(page.header("content-type").starts_with(kind));
            assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
            assert!(!page.body.as_str().unwrap().contains("http"), "{path} refers to another host");
        }
    });
}

#[test]
fn requests_are_identified_and_traced() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let request = anybody.request(Method::GET, "//health").header("X-Request-Id", "mine-7");
        let answer = Answer::to(request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))).await;
        assert_eq!(answer.header("x-request-id"), "mine-7");
        let returned = answer.header("traceparent");
        assert!(returned.starts_with(&format!("00-{trace}-")) && !returned.contains("00f067aa0ba902b7"), "{returned}");
        let answer = anybody.get("/nowhere").await;
        assert_eq!(answer.header("x-request-id").len(), 32);
        assert_eq!(answer.header("traceparent").len(), 55);
    });
}

#[test]
fn too_many_requests_are_refused_at_once() {
    on_shop(async |shop| {
        let narrow = GatewaySettings { in_flight_max: 1, ..settings() };
        let gateway = nakku_gateway::start(shop.node.cluster(), narrow).await.unwrap();
        let customer = shop.customer().await;
        let sku = shop.product(1, 100).await;
        customer.put_in(&sku, 1).await;
        let client = Client::of(&gateway).with(customer.token.as_ref().unwrap());
        let body = json!({ "payment": { "method": "card", "token": "card_slow" }, "address": "x" });
        let slow = tokio::spawn({
            let client = client.clone();
            async move { client.check_out(&fresh_key(), &body).await }
        });
        while gateway.status().await.unwrap().in_flight == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begun = Instant::now();
        let refused = client.get("/cart").await.expect(503).problem("overloaded");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(refused.header("retry-after"), "1");
        client.get("//health").await.expect(200);
        slow.await.unwrap().expect(201);
        client.get("/cart").await.expect(200);
        gateway.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_drain_fails_no_request() {
    on_shop(async |shop| {
        let gateway = nakku_gateway::start(shop.node.cluster(), settings()).await.unwrap();
        let customer = shop.customer().await;
        let sku = shop.product(1, 100).await;
        customer.put_in(&sku, 1).await;
        let client = Client::of(&gateway).with(customer.token.as_ref().unwrap());
        let slow = tokio::spawn({
            let client = client.clone();
            let body = json!({ "payment": { "method": "card", "token": "card_slow" }, "address": "x" });
            async move { client.check_out(&fresh_key(), &body).await }
        });
        while gateway.status().await.unwrap().in_flight == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let drain = tokio::spawn({
            let gateway = gateway.clone();
            async move { gateway.drain(Duration::from_secs(20)).await }
        });
        while !gateway.status().await.unwrap().draining {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A load balancer looks, and until it has looked requests go on being served.
        assert_eq!(client.get("//ready").await.expect(503).body, json!({ "ready": false }));
        let health = client.get("//health").await.expect(200);
        assert_eq!((health.header("connection"), &health.body["ready"]), ("close", &json!(false)));
        client.get("/cart").await.expect(200);
        slow.await.unwrap().expect(201);
        assert_eq!(drain.await.unwrap(), 0, "nothing was cut");
        let gone = client.request(Method::GET, "//health").send().await;
        assert!(gone.unwrap_err().is_connect());
        assert!(gateway.status().await.is_none(), "the actor has ended");
        let other: Value = shop.anybody().get("//ready").await.expect(200).body;
        assert_eq!(other, json!({ "ready": true }));
    });
}
