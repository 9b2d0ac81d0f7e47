//! Who is let in: hellos of strangers, spoken by hand.

use nakku_cluster::membership::NodeId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::{Node, PATIENCE, start, wait_for};

fn hello(from: (&str, u64), to: &NodeId) -> Value {
    json!({
        "cluster_id": "test",
        "from": { "name": from.0, "generation": from.1 },
        "to": { "name": to.name, "generation": to.generation },
        "protocol_min": 1,
        "protocol_max": 3,
        "software_version": "9.9.9",
        "a_field_of_a_newer_version": [1, 2, 3],
    })
}

/// Says something and returns what is answered before the connection is closed.
async fn say(address: &str, words: &[u8]) -> Vec<Value> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&u32::try_from(words.len()).unwrap().to_be_bytes()).await.unwrap();
    socket.write_all(words).await.unwrap();
    let mut answers = Vec::new();
    let hear = async {
        while let Ok(length) = socket.read_u32().await {
            let mut json = vec![0; length as usize];
            socket.read_exact(&mut json).await.unwrap();
            let answer: Value = serde_json::from_slice(&json).unwrap();
            let is_welcome = answer["hello"] == "welcome";
            answers.push(answer);
            if is_welcome {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.expect("an answer, then the end");
    answers
}

#[tokio::test]
async fn each_stranger_is_refused_with_its_reason() {
    let b = Node::spawn(start("b", 5)).await;
    let a = Node::spawn(start("a", 7)).await;
    b.list(&[&a]).await;
    let mine = |change: fn(&mut Value)| {
        let mut words = hello(("a", 7), &b.id);
        change(&mut words);
        words
    };
    let cases = [
        (mine(|words| words["cluster_id"] = json!("other")), json!({ "reason": "wrong_cluster" })),
        (
            mine(|words| words["protocol_min"] = json!(2)),
            json!({ "reason": "no_common_version", "protocol_min": 1, "protocol_max": 1 }),
        ),
        (mine(|words| words["from"]["generation"] = json!(6)), json!({ "reason": "stale_generation", "known": 7 })),
        (mine(|words| words["from"]["generation"] = json!(8)), json!({ "reason": "not_listed" })),
        (mine(|words| words["from"]["name"] = json!("z")), json!({ "reason": "not_listed" })),
        (
            mine(|words| words["to"]["generation"] = json!(4)),
            json!({ "reason": "wrong_node", "actual": { "name": "b", "generation": 5 } }),
        ),
        (json!({ "cluster_id": "test" }), json!({ "reason": "undecodable" })),
    ];
    for (words, reason) in cases {
        let answers = say(&b.address, words.to_string().as_bytes()).await;
        assert_eq!(answers, [json!({ "hello": "refused", "reason": reason })], "to {words}");
    }
    let garbage = say(&b.address, &[0xff; 4000]).await;
    assert_eq!(garbage, [json!({ "hello": "refused", "reason": { "reason": "undecodable" } })]);

    let welcome = say(&b.address, hello(("a", 7), &b.id).to_string().as_bytes()).await;
    assert_eq!(welcome[0]["hello"], "welcome", "{welcome:?}");
    assert_eq!(welcome[0]["protocol"], 1);
    assert_eq!(welcome[0]["from"], json!({ "name": "b", "generation": 5 }));
}

#[tokio::test]
async fn the_dialing_side_says_why_it_was_refused() {
    let mut other = start("b", 1);
    other.cluster_id = "other".to_owned();
    let (a, b) = tokio::join!(Node::spawn(start("a", 1)), Node::spawn(other));
    a.list(&[&b]).await;
    b.list(&[&a]).await;
    wait_for("the reason in the log", async || a.has_logged("refused: it belongs to another cluster")).await;
    wait_for("the refusal in the other's log", async || b.has_logged("reason=WrongCluster")).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "NotConnected");
}

#[tokio::test]
async fn another_cookie_makes_no_link() {
    let mut other = start("b", 1);
    other.cookie = "other".to_owned();
    let (a, b) = tokio::join!(Node::spawn(start("a", 1)), Node::spawn(other));
    a.list(&[&b]).await;
    b.list(&[&a]).await;
    wait_for("the attempt to end", async || a.has_logged("a link is closed")).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "NotConnected");
    assert_eq!(a.status().await["suspected"], json!([]), "there was no link to lose");
}
