//! A request is one tree of spans, from HTTP to the last commit, over every node that it touches.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::collector::{Collector, Span};
use crate::processes::Cluster;
use crate::shop::{STORE, Shop};

/// Five times what a saga and the exporters' gathering take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The span of the client, which is on no node.
const CLIENT: &str = "00f067aa0ba902b7";
/// With so many customers on two nodes, some entity of each checkout is with the other one.
const CHECKOUTS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_is_one_tree_of_spans_over_all_nodes() {
    let collector = Collector::start().await;
    let settings = vec![("TELEMETRY_OTLP_ENDPOINT", collector.endpoint.clone())];
    let cluster = Cluster::start_with(2, settings).await;
    let shop = Shop::open(&cluster, 1, 1_000).await;
    let unsampled = format!("{:032x}", rand::random::<u128>());
    check_out(&shop, &format!("00-{unsampled}-{CLIENT}-00")).await;
    let mut links = 0;
    for _ in 0..CHECKOUTS {
        let trace = format!("{:032x}", rand::random::<u128>());
        check_out(&shop, &format!("00-{trace}-{CLIENT}-01")).await;
        let began = Instant::now();
        let spans = loop {
            let spans = collector.of(&trace);
            match lacking(&spans) {
                None => break spans,
                Some(what) if began.elapsed() > PATIENCE => panic!("{what}; there is:\n{}", shown(&spans)),
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        links += spans.iter().filter(|span| span.name == "link").count();
    }
    assert!(links > 0, "no checkout went over a link");
    assert_eq!(collector.of(&unsampled), [], "the client asked not to keep this trace");
}

/// Registers, fills a cart, and checks it out under a trace.
async fn check_out(shop: &Shop, traceparent: &str) {
    let customer = json!({"email": format!("customer-{:016x}@example.com", rand::random::<u64>()),
        "password": "a long enough password", "name": "Customer"});
    let (status, session) = shop.ask(Method::POST, "/auth/register", None, &[], Some(customer)).await;
    assert!(status.is_success(), "{status} {session}");
    let token = session["access_token"].as_str();
    let item = json!({"quantity": 1, "store": STORE});
    let (status, body) = shop.ask(Method::PUT, &format!("/cart/items/{}", shop.skus[0]), token, &[], Some(item)).await;
    assert!(status.is_success(), "{status} {body}");
    let order = json!({"payment": {"method": "card", "token": "card_approve"}, "address": "12 MG Road, Bengaluru"});
    let key = format!("{:032x}", rand::random::<u128>());
    let headers = [("Idempotency-Key", key.as_str()), ("traceparent", traceparent)];
    let (status, body) = shop.ask(Method::POST, "/orders", token, &headers, Some(order)).await;
    assert!(status.is_success(), "{status} {body}");
}

/// What a whole trace of a checkout has and this one has not yet.
fn lacking(spans: &[Span]) -> Option<String> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "two spans have the same id:\n{}", shown(spans));
    for span in spans {
        if span.name == "request" {
            assert_eq!(span.parent, CLIENT, "{span:?}");
            continue;
        }
        let Some(parent) = by_id.get(span.parent.as_str()) else { return Some(format!("no parent of {span:?}")) };
        let (led_by, over_a_link): (&[&str], bool) = match span.name.as_str() {
            "ask" => (&["request", "effect"], false),
            "link" => (&["ask"], true),
            "decide" => (&["ask", "link", "effect"], false),
            "commit" => (&["decide"], false),
            "effect" => (&["commit"], false),
            "provider" => (&["effect"], false),
            _ => panic!("an unknown step: {span:?}"),
        };
        assert!(led_by.contains(&parent.name.as_str()), "{span:?} is below {parent:?}");
        assert_eq!(span.node != parent.node, over_a_link, "{span:?} is below {parent:?}");
    }
    let steps: BTreeSet<(&str, &str)> = spans.iter().map(|span| (span.name.as_str(), span.kind.as_str())).collect();
    let entities = ["cart.cart", "order.order", "inventory.stock", "payment.payment"];
    let wanted = entities.into_iter().flat_map(|kind| ["ask", "decide", "commit"].map(|name| (name, kind)));
    let wanted = wanted.chain([("request", ""), ("effect", "order.order"), ("provider", "")]);
    let missing: Vec<_> = wanted.filter(|step| !steps.contains(step)).collect();
    (!missing.is_empty()).then(|| format!("these steps are missing: {missing:?}"))
}

fn shown(spans: &[Span]) -> String {
    spans.iter().map(|span| format!("{span:?}\n")).collect()
}
