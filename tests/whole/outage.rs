//! The database goes away: requests are refused in time and say when to try again; it comes back, and so does service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::processes::Cluster;
use crate::shop::{STORE, Shop};

/// One for every few shards, so that all nodes have some.
const CUSTOMERS: usize = 24;
/// What `http.request_timeout_ms` is, unless set otherwise.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Several leases: what is owned is proven by the database, and that is away.
const OUTAGE: Duration = Duration::from_secs(8);
/// A database that comes later than its node.
const LATE: Duration = Duration::from_secs(5);
/// Service is back within two seconds of the database; five times that on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(2 * 5);
/// Lines that a node may log of all that: a few for each thing of its that rests on the database, not one for each
/// attempt.
const LINES_MAX: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_in_time_while_the_database_is_away_and_served_at_once_when_it_is_back() {
    let mut cluster = Cluster::start(3).await;
    let shop = Shop::open(&cluster, 4, 100_000).await;
    let customers = join_all((0..CUSTOMERS).map(|number| registered(&shop, number))).await;
    let (apis, sku) = (cluster.apis(), shop.skus[0].as_str());
    let client = Client::builder().timeout(REQUEST_DEADLINE * 2).build().expect("a client");

    let begun = Instant::now();
    let (mut refused, mut rounds) = (0, 0u64);
    let lines = |cluster: &Cluster, name: &str| cluster.log_of(name).lines().count();
    let names: Vec<String> = cluster.nodes.keys().cloned().collect();
    let before: Vec<usize> = names.iter().map(|name| lines(&cluster, name)).collect();
    cluster.database.kill();
    while begun.elapsed() < OUTAGE {
        rounds += 1;
        // Another quantity each time: what changes nothing needs no database.
        let quantity = 1 + rounds % 5;
        let asked = customers.iter().enumerate().map(|(number, token)| {
            let api = &apis[number % apis.len()];
            let client = &client;
            async move {
                let put = async { refusal(put(client, api, token, sku, quantity)).await };
                let order = async { refusal(order(client, api, token, &format!("outage-{number}-{rounds}"))).await };
                tokio::join!(put, order, read(client, api, token));
            }
        });
        refused += 2 * join_all(asked).await.len();
    }
    eprintln!("{refused} requests refused in {rounds} rounds");

    cluster.database.restart();
    let returned = Instant::now();
    let again = customers.iter().enumerate().map(|(number, token)| {
        let (api, client) = (&apis[number % apis.len()], &client);
        async move {
            loop {
                let answer = put(client, api, token, sku, 7).await;
                if answer.status().is_success() {
                    return returned.elapsed();
                }
                let told = told(answer).await;
                assert!(returned.elapsed() < BACK_WITHIN, "no service {BACK_WITHIN:?} after the database: {told}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let last = join_all(again).await.into_iter().max().expect("there are customers");
    eprintln!("every customer was served again {} ms after the database was back", last.as_millis());
    assert!(last < BACK_WITHIN, "{last:?}");
    for (number, token) in customers.iter().enumerate() {
        let placed = order(&client, &apis[number % apis.len()], token, &format!("after-{number}")).await;
        let status = placed.status();
        assert!(status.is_success(), "{}", told(placed).await);
    }
    for (name, before) in names.iter().zip(before) {
        let log = cluster.log_of(name);
        let since: Vec<&str> = log.lines().skip(before).collect();
        eprintln!("{name} has logged {} lines", since.len());
        assert!(since.len() <= LINES_MAX, "{} lines:\n{}", since.len(), since.join("\n"));
    }
}

/// Machines come up in any order.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_before_its_database_waits_for_it() {
    let mut cluster = Cluster::start(1).await;
    cluster.kill("node-1");
    cluster.database.kill();
    cluster.launch("node-1").await;
    tokio::time::sleep(LATE).await;
    let log = cluster.tail("node-1");
    assert!(log.contains("waiting for a database"), "{log}");
    cluster.database.restart();
    cluster.ready("node-1").await;
}

async fn registered(shop: &Arc<Shop>, number: usize) -> String {
    let email = format!("outage-{number}-{:x}@example.com", rand::random::<u64>());
    let body = json!({"email": email, "password": "a long enough password", "name": "Customer"});
    let (status, session) = shop.ask(Method::POST, "/auth/register", None, &[], Some(body)).await;
    assert!(status.is_success(), "{status} {session}");
    let token = session["access_token"].as_str().expect("a token").to_owned();
    let item = json!({"quantity": 6, "store": STORE});
    let path = format!("/cart/items/{}", shop.skus[0]);
    let (status, body) = shop.ask(Method::PUT, &path, Some(&token), &[], Some(item)).await;
    assert!(status.is_success(), "{status} {body}");
    token
}

async fn put(client: &Client, api: &str, token: &str, sku: &str, quantity: u64) -> Response {
    let request = client.put(format!("{api}/api/v1/cart/items/{sku}")).bearer_auth(token);
    let body = json!({"quantity": quantity, "store": STORE});
    request.json(&body).send().await.expect("the gateway answers")
}

async fn order(client: &Client, api: &str, token: &str, key: &str) -> Response {
    let request = client.post(format!("{api}/api/v1/orders")).bearer_auth(token).header("Idempotency-Key", key);
    let body = json!({"payment": {"method": "cash"}, "address": "12 MG Road, Bengaluru"});
    request.json(&body).send().await.expect("the gateway answers")
}

/// What needs the database is refused in time, with when to try again.
async fn refusal(asked: impl Future<Output = Response>) {
    let begun = Instant::now();
    let answer = asked.await;
    let (status, took) = (answer.status(), begun.elapsed());
    let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let told = told(answer).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
    assert!(retry_after.is_some_and(|seconds| seconds > 0), "no Retry-After: {told}");
    assert!(took < REQUEST_DEADLINE, "{took:?} for {told}");
}

/// A read may still be answered while a lease lasts; if it is not, then as everything else.
async fn read(client: &Client, api: &str, token: &str) {
    let begun = Instant::now();
    let answer = client.get(format!("{api}/api/v1/cart")).bearer_auth(token).send().await.expect("the gateway answers");
    if answer.status() == StatusCode::OK {
        assert!(begun.elapsed() < REQUEST_DEADLINE);
        return;
    }
    refusal(async { answer }).await;
    assert!(begun.elapsed() < REQUEST_DEADLINE);
}

async fn told(answer: Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    format!("{status} {body}")
}
