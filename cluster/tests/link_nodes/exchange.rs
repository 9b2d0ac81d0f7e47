//! What a healthy link does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Order;
use crate::node::{Node, PATIENCE, start, wait_for};

#[tokio::test]
async fn requests_are_answered_both_ways_with_all_that_travels_with_them() {
    let (a, b) = Node::pair(start("a", 1), start("b", 7)).await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        let ended = from.request(to, "describe", "the header", "the body", PATIENCE).await;
        assert_eq!(ended.how, "answered", "{ended:?}");
        let described: Value = serde_json::from_str(&ended.text).unwrap();
        let expected = json!({
            "from": from.id.to_string(),
            "header": "the header",
            "body": "the body",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "epoch": 42,
        });
        assert_eq!(described, expected);
    }
    let (ended, _) = a.burst(&b, "echo", (4000, 512), PATIENCE).await;
    assert_eq!(ended["answered"], 4000, "{ended:?}");
    let peer = a.peer(&b.id).await;
    assert_eq!((&peer["in_flight"], &peer["in_flight_bytes"]), (&json!(0), &json!(0)));
    wait_for("a measured round trip", async || a.peer(&b.id).await["round_trip_us"].is_u64()).await;
}

#[tokio::test]
async fn notices_reach_all_or_one_in_their_order() {
    let (a, b, c) = tokio::join!(Node::spawn(start("a", 1)), Node::spawn(start("b", 1)), Node::spawn(start("c", 1)));
    let all = [&a, &b, &c];
    for node in all {
        node.list(&all).await;
    }
    for node in all {
        for peer in all.iter().filter(|peer| peer.id != node.id) {
            node.wait_linked(&peer.id, true).await;
        }
    }
    for text in ["one", "two", "three"] {
        assert_eq!(b.order(Order::Notice { to: None, text: text.to_owned() }).await, 2);
    }
    assert_eq!(b.order(Order::Notice { to: Some(c.id.clone()), text: "four".to_owned() }).await, 1);
    wait_for("all notices", async || c.status().await["notices"].as_array().unwrap().len() == 4).await;
    assert_eq!(c.status().await["notices"], json!(["b@1: one", "b@1: two", "b@1: three", "b@1: four"]));
    assert_eq!(a.status().await["notices"], json!(["b@1: one", "b@1: two", "b@1: three"]));
}

#[tokio::test]
async fn a_healthy_idle_link_stays_up() {
    let mut quick = [start("a", 1), start("b", 1)];
    quick.iter_mut().for_each(|start| start.idle_timeout_ms = 800);
    let [a, b] = quick;
    let (a, b) = Node::pair(a, b).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (node, peer) in [(&a, &b), (&b, &a)] {
        let status = node.peer(&peer.id).await;
        assert_eq!(status["connected"], true);
        assert!(status["since_ms"].as_u64().unwrap() >= 4_000, "it was never interrupted: {status}");
        assert_eq!(node.status().await["suspected"], json!([]));
    }
}

#[tokio::test]
async fn a_peer_that_is_no_longer_listed_loses_its_link_and_gets_it_back() {
    let (a, b) = Node::pair(start("a", 1), start("b", 1)).await;
    b.list(&[]).await;
    a.wait_linked(&b.id, false).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "NotConnected");
    assert_eq!(b.request(&a, "echo", "", "x", PATIENCE).await.how, "NotConnected");
    assert_eq!(b.status().await["suspected"], json!([]), "closed on purpose");
    wait_for("a suspicion", async || a.status().await["suspected"] == json!(["b@1"])).await;
    wait_for("a refusal to be logged", async || a.has_logged("it does not know this node (yet)")).await;
    b.list(&[&a]).await;
    a.wait_linked(&b.id, true).await;
    b.wait_linked(&a.id, true).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "answered");
}

#[tokio::test]
async fn stopping_answers_what_it_has_taken_and_refuses_the_rest() {
    let (a, b) = Node::pair(start("a", 1), start("b", 1)).await;
    let asked = async { a.burst(&b, "sleep", (2000, 4096), PATIENCE).await.0 };
    let stopped = async {
        wait_for("requests to arrive", async || b.status().await["served"] != 0).await;
        let refused = async {
            wait_for("the link to take no more", async || {
                let how = a.request(&b, "echo", "", "x", PATIENCE).await.how;
                assert!(["answered", "Refused", "NotConnected"].contains(&how.as_str()), "{how}");
                how != "answered"
            })
            .await;
        };
        tokio::join!(b.order(Order::Stop), refused).0
    };
    let (ended, took) = tokio::join!(asked, stopped);
    let answered = ended.get("answered").copied().unwrap_or(0);
    let refused = ended.get("Refused").copied().unwrap_or(0);
    assert!(answered > 0 && answered + refused == 2000, "nothing is lost: {ended:?}");
    assert!(took.as_u64().unwrap() < 4_000, "{took} ms");
    a.wait_linked(&b.id, false).await;
    assert_eq!(a.status().await["suspected"], json!([]), "it said that it would go");
}
