//! A real endpoint on the loopback, a whole node in this process, and addresses that must not be reached.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use nakku_actors::notification::webhook::SigningSecret;
use nakku_actors::notification::webhook::sender::{Outcome, SendAnswer, SendRequest};
use nakku_cluster::{Provider, Timestamp};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::address::{PublicOnly, is_public};
use super::receiver::{Received, Receiver, answer};
use super::{HttpSender, signature};
use crate::compose::{self, Running};
use crate::settings::Sources;

/// Five times what the slowest step takes, the pause before a second attempt included.
const PATIENCE: Duration = Duration::from_secs(50);
const TOKEN: &str = "an admin token for this test only";

fn request(url: &str) -> SendRequest {
    SendRequest {
        url: url.into(),
        secret: SigningSecret::of(&[7; 32]),
        previous: None,
        event_id: "1-order-3-4".into(),
        body: r#"{"id":"1-order-3-4"}"#.into(),
    }
}

async fn send(sender: &HttpSender, request: &SendRequest) -> Outcome {
    let answered = sender.call("k", &serde_json::to_vec(request).unwrap()).await.unwrap();
    serde_json::from_slice::<SendAnswer>(&answered).unwrap().outcome
}

fn status(status: u16) -> Outcome {
    Outcome::Answered { status }
}

/// Verifies as an integrator would, with the secret as it was shown.
fn is_signed(received: &Received, secret: &str) -> bool {
    let key = SigningSecret::new(secret).key().unwrap();
    let seconds: i64 = received.header("webhook-timestamp").parse().unwrap();
    assert!((Timestamp::now().0 / 1000 - seconds).abs() < 60, "{received:?}");
    let wanted = signature::header(&[key], received.header("webhook-id"), seconds, &received.body);
    received.header("webhook-signature").split(' ').any(|one| one == wanted)
}

#[test]
fn only_addresses_of_the_public_internet_are_public() {
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.0",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    for private in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ] {
        let private: IpAddr = private.parse().unwrap();
        assert!(!is_public(private), "{private}");
    }
    let both = || vec!["127.0.0.1:0".parse().unwrap(), "8.8.8.8:0".parse().unwrap()];
    let kept = PublicOnly { allow_private: false }.check(both()).unwrap();
    assert_eq!(kept, ["8.8.8.8:0".parse().unwrap()], "a name with both is reached by the public one only");
    assert_eq!(PublicOnly { allow_private: true }.check(both()).unwrap(), both());
}

#[tokio::test]
async fn a_private_address_is_never_connected_to() {
    let receiver = Receiver::start().await;
    let sender = HttpSender::new(false).unwrap();
    let port = receiver.address.port();
    // Plain, in other ways of writing it, mapped into IPv6, carried by it, and by a name.
    for host in [
        "127.0.0.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "localhost.",
    ] {
        let url = format!("https://{host}:{port}/in");
        let Outcome::Unanswered { reason } = send(&sender, &request(&url)).await else { panic!("{url}") };
        assert!(reason.contains("no public address") || host == "localhost.", "{url}: {reason}");
        let plain = format!("http://{host}:{port}/in");
        assert!(matches!(send(&sender, &request(&plain)).await, Outcome::Unanswered { .. }), "{plain}");
    }
    assert_eq!(receiver.connections(), 0, "nothing was connected to");

    let sender = HttpSender::new(true).unwrap();
    assert_eq!(send(&sender, &request(&receiver.url())).await, status(200));
    assert_eq!(send(&sender, &request(&format!("http://localhost:{port}/in"))).await, status(200));
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn an_attempt_is_one_signed_request() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let sender = HttpSender::new(true).unwrap();
    let elsewhere = format!("location: {}\r\n", other.url());
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{}", "x".repeat(100_000));
    receiver.will_answer([answer(307, &elsewhere), answer(302, &elsewhere), answer(500, ""), long, "nonsense".into()]);
    for wanted in [status(307), status(302), status(500)] {
        assert_eq!(send(&sender, &request(&receiver.url())).await, wanted);
    }
    let began = Instant::now();
    assert_eq!(send(&sender, &request(&receiver.url())).await, status(200), "more than is read");
    assert!(began.elapsed() < Duration::from_secs(5), "what is too long is not waited for");
    assert!(matches!(send(&sender, &request(&receiver.url())).await, Outcome::Unanswered { .. }));
    assert_eq!(other.connections(), 0, "redirects are not followed");

    let received = receiver.received();
    assert_eq!(received.len(), 5);
    for one in &received {
        assert!(one.line.starts_with("POST /in "), "{one:?}");
        assert_eq!(one.header("content-type"), "application/cloudevents+json");
        assert_eq!(one.header("webhook-id"), "1-order-3-4");
        assert_eq!(one.body, request("").body.as_bytes());
        assert!(is_signed(one, SigningSecret::of(&[7; 32]).expose()));
        assert!(!is_signed(one, SigningSecret::of(&[8; 32]).expose()));
    }

    // While a secret is being replaced both hold; later only the new one.
    let old = SigningSecret::of(&[8; 32]);
    for (until, both) in [(Timestamp(i64::MAX), true), (Timestamp(1), false)] {
        let replaced = SendRequest { previous: Some((old.clone(), until)), ..request(&receiver.url()) };
        assert_eq!(send(&sender, &replaced).await, status(200));
        let last = receiver.received().pop().unwrap();
        assert!(is_signed(&last, SigningSecret::of(&[7; 32]).expose()));
        assert_eq!(is_signed(&last, old.expose()), both);
    }

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Outcome::Unanswered { reason } = send(&sender, &request(&format!("http://{free}/secret"))).await else {
        panic!()
    };
    assert!(reason.contains("refused") && !reason.contains("secret"), "{reason}");
}

/// A node with everything, and its admin API.
struct Shop {
    running: Running,
    client: Client,
}

impl Shop {
    async fn open(data: &Path) -> Self {
        let free = "127.0.0.1:0";
        let mut flags = vec![
            ("node.name", "only"),
            ("node.data", data.to_str().unwrap()),
            ("cluster.cookie", "test"),
            ("cluster.shards", "8"),
            ("listen.gateway", free),
            ("listen.admin", free),
            ("listen.links", free),
            ("links.tls", "off"),
            ("service_ports.host", "127.0.0.1"),
            ("auth.jwt_secret", "a secret that lives for this test only"),
            ("auth.admin_token", TOKEN),
            ("limits.enabled", "false"),
            ("http.drain_notice_ms", "0"),
            ("webhooks.enabled", "true"),
            ("webhooks.allow_private_addresses", "true"),
        ];
        let ports: Vec<String> =
            nakku_actors::services().iter().map(|service| format!("service_ports.{}", service.name)).collect();
        flags.extend(ports.iter().map(|port| (port.as_str(), "0")));
        let flags = flags.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let settings = Sources { flags, ..Sources::default() }.load().expect("they are settings").settings;
        Self { running: compose::start(&settings).await.expect("the node starts"), client: Client::new() }
    }

    async fn admin(&self, method: Method, path: &str, body: Value, wanted: u16) -> Value {
        let url = format!("{}/admin/v1/webhooks{path}", self.running.admin());
        let mut request = self.client.request(method, &url).bearer_auth(TOKEN);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answered = request.send().await.unwrap();
        let (found, text) = (answered.status().as_u16(), answered.text().await.unwrap());
        assert_eq!(found, wanted, "{url}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn get(&self, path: &str) -> Value {
        self.admin(Method::GET, path, Value::Null, 200).await
    }

    /// Something happens: somebody registers. Returns their key.
    async fn register(&self, name: &str) -> String {
        let body =
            json!({ "email": format!("{name}@example.com"), "password": "a long enough password", "name": name });
        let url = format!("{}/api/v1/auth/register", self.running.api());
        let answered = self.client.post(url).json(&body).send().await.unwrap();
        let (status, body): (_, Value) = (answered.status().as_u16(), answered.json().await.unwrap());
        assert_eq!(status, 201, "{body}");
        body["user"]["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    async fn close(self) {
        self.running.drain(Duration::from_secs(10)).await;
    }
}

/// Whether it tells that somebody registered.
fn tells_of(received: &Received, user: &str) -> bool {
    received.json()["data"]["user"] == user
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integrator_is_told_of_everything_that_it_subscribed_to() {
    let data = std::env::temp_dir().join(format!("nakku-webhooks-{:016x}", rand::random::<u64>()));
    let shop = Shop::open(&data).await;
    let receiver = Receiver::start().await;
    let early = shop.register("early").await;

    for (url, types) in [("ftp://x/", "user.*"), ("http://u@x/", "user.*"), ("http://x/", "users.*"), ("", "user.*")] {
        shop.admin(Method::POST, "", json!({ "url": url, "types": [types] }), 422).await;
    }
    let new = json!({ "url": receiver.url(), "types": ["user.registered", "order.*"] });
    let made = shop.admin(Method::POST, "", new, 201).await;
    let (id, secret) = (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned());
    assert_eq!((&made["in_force"], &made["enabled"]), (&json!(true), &json!(true)));
    let one = format!("/{id}");

    // Delivered and signed; what occurred before is not.
    let asha = shop.register("asha").await;
    let received = receiver.until("the event", PATIENCE, |all| all.iter().any(|one| tells_of(one, &asha))).await;
    let [first] = &received[..] else { panic!("{received:#?}") };
    assert!(is_signed(first, &secret) && !tells_of(first, &early));
    let event = first.json();
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("user.registered")));
    assert_eq!(event["id"], first.header("webhook-id"));

    // Answered by 500 and then 200: both are in the log, under one id.
    receiver.will_answer([answer(500, "")]);
    let ravi = shop.register("ravi").await;
    let of_ravi = |all: &[Received]| all.iter().filter(|one| tells_of(one, &ravi)).cloned().collect::<Vec<_>>();
    let received = receiver.until("a second attempt", PATIENCE, |all| of_ravi(all).len() == 2).await;
    let of_ravi = of_ravi(&received);
    assert!(of_ravi.iter().all(|one| is_signed(one, &secret)));
    assert_eq!(of_ravi[0].header("webhook-id"), of_ravi[1].header("webhook-id"));
    let log =
        until(async || shop.get(&format!("{one}/attempts?limit=2")).await, |log| log["items"][0]["nth"] == 2).await;
    assert_eq!((&log["items"][0]["status"], &log["items"][1]["status"]), (&json!(200), &json!(500)));
    assert_eq!((&log["items"][0]["delivered"], &log["items"][1]["delivered"]), (&json!(true), &json!(false)));
    assert_eq!(log["items"][0]["event"], of_ravi[0].header("webhook-id"));
    let older = shop.get(&format!("{one}/attempts?before={}", log["next"])).await;
    assert_eq!((older["items"].as_array().unwrap().len(), &older["next"]), (1, &Value::Null));

    // Sent again under the same id.
    let replay = json!({ "events": [event["id"], "1-user-0-99999"] });
    let replayed = shop.admin(Method::POST, &format!("{one}/replay"), replay, 200).await;
    assert_eq!(replayed, json!({ "events": 1, "unknown": ["1-user-0-99999"], "left": 0 }));
    let again = |all: &[Received]| all.iter().filter(|one| one.header("webhook-id") == event["id"]).count() == 2;
    receiver.until("the replay", PATIENCE, again).await;
    shop.admin(Method::POST, &format!("{one}/replay"), json!({}), 422).await;

    // Another secret: both hold.
    let rotated = shop.admin(Method::POST, &format!("{one}/rotate-secret"), Value::Null, 200).await;
    let other = rotated["secret"].as_str().unwrap().to_owned();
    let mira = shop.register("mira").await;
    let received = receiver.until("the event", PATIENCE, |all| all.iter().any(|one| tells_of(one, &mira))).await;
    let last = received.last().unwrap();
    assert!(other != secret && is_signed(last, &other) && is_signed(last, &secret));

    // Gone: disabled, with a reason, and enabled again what failed is sent again.
    receiver.will_answer([answer(410, "")]);
    let devi = shop.register("devi").await;
    let shown = until(async || shop.get(&one).await, |shown| shown["enabled"] == false).await;
    assert_eq!((&shown["disabled_reason"], &shown["failed"]), (&json!("gone"), &json!(1)));
    assert!(shown["secret"].is_null() && !shown.to_string().contains("whsec_"), "{shown}");
    let listed = shop.get("").await;
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["enabled"]), (&json!(id), &json!(false)));
    assert!(!listed.to_string().contains("whsec_"), "{listed}");
    shop.admin(Method::POST, &format!("{one}/replay"), json!({ "failed": true }), 409).await;
    shop.register("nobody").await;
    shop.admin(Method::PATCH, &one, json!({ "enabled": true }), 200).await;
    shop.admin(Method::POST, &format!("{one}/replay"), json!({ "failed": true }), 200).await;
    receiver.until("what failed", PATIENCE, |all| all.iter().filter(|one| tells_of(one, &devi)).count() == 2).await;

    // The endpoint is away for a while, at another address.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    shop.admin(Method::PATCH, &one, json!({ "url": format!("http://{free}/in") }), 200).await;
    let kavi = shop.register("kavi").await;
    let failing = async || shop.get(&format!("{one}/attempts?limit=1")).await;
    until(failing, |log| log["items"][0]["reason"].is_string()).await;
    let moved = Receiver::start_at(free).await;
    let received = moved.until("the event", PATIENCE, |all| !all.is_empty()).await;
    assert!(tells_of(&received[0], &kavi) && is_signed(&received[0], &other));

    let received = receiver.received();
    let first_of_each = received.iter().map(|one| one.json()["data"]["user"].clone());
    let told: std::collections::BTreeSet<_> = first_of_each.map(|user| user.as_str().unwrap().to_owned()).collect();
    assert_eq!(told, [asha, ravi, mira, devi].into(), "nothing else was sent");
    shop.admin(Method::DELETE, &one, Value::Null, 204).await;
    shop.admin(Method::GET, &one, Value::Null, 404).await;
    assert_eq!(until(async || shop.get("").await, |listed| listed["items"][0].is_null()).await["items"], json!([]));
    shop.close().await;
    std::fs::remove_dir_all(data).unwrap();
}

/// Asks until the answer is as wanted.
async fn until(ask: impl AsyncFn() -> Value, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = ask().await;
        if is_wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "still {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
