//! A shop with stock, and customers who note every answer that they get.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::processes::{ADMIN_TOKEN, Cluster};

pub const STORE: &str = "s-test";
const PASSWORD: &str = "a long enough password";
/// How long a customer repeats one request before the test calls it lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(15);

/// The shop as customers see it: gateways that may come and go.
pub struct Shop {
    client: Client,
    apis: RwLock<Vec<String>>,
    pub skus: Vec<String>,
    pub supplied: u64,
    /// Answers that were no success and no refusal, with their first lines.
    pub troubles: Mutex<Vec<String>>,
    pub notes: Mutex<Vec<Note>>,
    pub stop: AtomicBool,
    pub confirmed: AtomicU64,
    began: Instant,
}

/// One answer of an entity: which version of which entity, between which two moments.
#[derive(Clone, Debug)]
pub struct Note {
    pub entity: String,
    pub entity_version: u64,
    pub asked_at: Duration,
    pub answered_at: Duration,
}

/// What became of one checkout.
#[derive(Clone, Debug)]
pub struct Placed {
    pub token: String,
    pub id: String,
    pub card: bool,
    pub confirmed: bool,
    /// When its outcome was known, by the shop's clock.
    pub answered_at: Duration,
}

impl Shop {
    /// Opens a shop on a running cluster: products, and so many units of each.
    pub async fn open(cluster: &Cluster, products: usize, units: u64) -> Arc<Self> {
        let node = cluster.nodes.values().next().expect("a node");
        let shop = Self {
            client: Client::builder().timeout(ATTEMPT).build().expect("a client"),
            apis: RwLock::new(cluster.apis()),
            skus: (0..products).map(|number| format!("p-test-{number}")).collect(),
            supplied: units,
            troubles: Mutex::default(),
            notes: Mutex::default(),
            stop: AtomicBool::new(false),
            confirmed: AtomicU64::new(0),
            began: Instant::now(),
        };
        let staff = json!({"email": "staff@example.com", "name": "Staff", "password": PASSWORD,
            "roles": ["store", "admin"], "store": STORE});
        let made = shop.client.post(format!("{}/admin/v1/users", node.admin)).bearer_auth(ADMIN_TOKEN).json(&staff);
        let made = made.send().await.expect("the admin API answers");
        assert!(made.status().is_success(), "{}", made.text().await.unwrap_or_default());
        let token = shop.staff_token().await;
        for (number, sku) in shop.skus.iter().enumerate() {
            let product = json!({"sku": sku, "name": format!("Product {number}"), "brand": "Test", "unit": "1 pc",
                "barcode": "8901030865275", "category": "test", "mrp_minor": 2000, "price_minor": 1500,
                "tax_basis_points": 500});
            let (status, body) = shop.ask(Method::POST, "/products", Some(&token), &[], Some(product)).await;
            assert!(status.is_success(), "{status} {body}");
        }
        let lines: Vec<Value> = shop.skus.iter().map(|sku| json!({"sku": sku, "quantity": units})).collect();
        let path = format!("/stores/{STORE}/stock");
        let supply = json!({"receipt": "first", "lines": lines});
        let (status, body) = shop.ask(Method::POST, &path, Some(&token), &[], Some(supply)).await;
        assert!(status.is_success(), "{status} {body}");
        Arc::new(shop)
    }

    /// A new session of the shop's staff, which are admins too.
    pub async fn staff_token(&self) -> String {
        let login = json!({"email": "staff@example.com", "password": PASSWORD});
        let (status, session) = self.ask(Method::POST, "/auth/login", None, &[], Some(login)).await;
        assert!(status.is_success(), "{status} {session}");
        session["access_token"].as_str().expect("a token").to_owned()
    }

    /// The gateways that customers may use from now on.
    pub fn use_gateways(&self, cluster: &Cluster) {
        *self.apis.write().unwrap_or_else(PoisonError::into_inner) = cluster.apis();
    }

    /// Only these gateways from now on.
    pub fn use_only(&self, apis: Vec<String>) {
        *self.apis.write().unwrap_or_else(PoisonError::into_inner) = apis;
    }

    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends a request until it has an answer that is the shop's own, at any gateway. What was in between is
    /// noted as trouble.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let began = Instant::now();
        let mut attempt = 0usize;
        loop {
            let api = {
                let apis = self.apis.read().unwrap_or_else(PoisonError::into_inner);
                apis[(path.len() + attempt) % apis.len()].clone()
            };
            attempt += 1;
            let mut request = self.client.request(method.clone(), format!("{api}/api/v1{path}"));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let asked_at = self.now();
            let trouble = match request.send().await {
                Ok(answer) if !answer.status().is_server_error() => {
                    let status = answer.status();
                    match answer.json::<Value>().await {
                        Ok(body) => {
                            self.note(&body, asked_at);
                            return (status, body);
                        }
                        Err(_) if status == StatusCode::NO_CONTENT => return (status, Value::Null),
                        Err(error) => format!("{error}"),
                    }
                }
                Ok(answer) => format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
                Err(error) => format!("{error:?}"),
            };
            let trouble: String = format!("{method} {path} at {api}: {trouble}").chars().take(600).collect();
            assert!(began.elapsed() < PATIENCE, "no answer for {PATIENCE:?}; the last: {trouble}");
            self.troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn note(&self, body: &Value, asked_at: Duration) {
        let Some(entity_version) = body["entity_version"].as_u64() else { return };
        let Some(entity) = body["id"].as_str().or(body["sku"].as_str().map(|_| STORE)) else { return };
        let note = Note { entity: entity.to_owned(), entity_version, asked_at, answered_at: self.now() };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// A customer who registers and orders until told to stop.
    pub async fn customer(self: Arc<Self>, number: usize, seed: u64) -> Vec<Placed> {
        let mut random = StdRng::seed_from_u64(seed ^ number as u64);
        let email = format!("customer-{number}-{seed:x}@example.com");
        let registration = json!({"email": email, "password": PASSWORD, "name": "Customer"});
        let (mut status, mut session) = self.ask(Method::POST, "/auth/register", None, &[], Some(registration)).await;
        if status == StatusCode::CONFLICT {
            // The answer to an earlier attempt was lost.
            let login = json!({"email": email, "password": PASSWORD});
            (status, session) = self.ask(Method::POST, "/auth/login", None, &[], Some(login)).await;
        }
        assert!(status.is_success(), "{status} {session}");
        let token = session["access_token"].as_str().expect("a token").to_owned();
        let mut placed = Vec::new();
        for round in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if let Some(order) = self.checkout(&mut random, number, round, &token).await {
                placed.push(order);
            }
        }
        placed
    }

    async fn checkout(&self, random: &mut StdRng, number: usize, round: usize, token: &str) -> Option<Placed> {
        let sku = self.skus[random.random_range(0..self.skus.len())].clone();
        let quantity = random.random_range(1..=3u64);
        let card = random.random_bool(0.5);
        let item = json!({"quantity": quantity, "store": STORE});
        let path = format!("/cart/items/{sku}");
        let (status, body) = self.ask(Method::PUT, &path, Some(token), &[], Some(item)).await;
        if !status.is_success() {
            // A cart that an order still holds; it lets go of it in a moment.
            assert_eq!(status, StatusCode::CONFLICT, "{body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            return None;
        }
        let payment = match card {
            true if random.random_bool(0.1) => json!({"method": "card", "token": "card_decline"}),
            true => json!({"method": "card", "token": "card_approve"}),
            false => json!({"method": "cash"}),
        };
        let order = json!({"payment": payment, "address": "12 MG Road, Bengaluru"});
        let key = format!("order-{number}-{round}");
        let headers = [("Idempotency-Key", key.as_str())];
        let (status, body) = self.ask(Method::POST, "/orders", Some(token), &headers, Some(order)).await;
        let mut body = body;
        if status == StatusCode::ACCEPTED {
            let id = body["id"].as_str().expect("an order has an id").to_owned();
            body = self.settled(&id, token).await;
        }
        let id = body["id"].as_str().or(body["order"].as_str()).map(str::to_owned)?;
        let confirmed = status.is_success() && body["status"] != "cancelled";
        self.confirmed.fetch_add(u64::from(confirmed), Ordering::Relaxed);
        Some(Placed { token: token.to_owned(), id, card, confirmed, answered_at: self.now() })
    }

    /// Reads an order until it is no longer being placed.
    pub async fn settled(&self, id: &str, token: &str) -> Value {
        let began = Instant::now();
        loop {
            let (status, body) = self.ask(Method::GET, &format!("/orders/{id}"), Some(token), &[], None).await;
            assert!(status.is_success(), "{id}: {status} {body}");
            if body["status"] != "placing" && body["cancelling"] != true {
                return body;
            }
            assert!(began.elapsed() < Duration::from_secs(180), "{id} is still being placed: {body}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn stock(&self, sku: &str) -> Value {
        let path = format!("/stores/{STORE}/stock/{sku}");
        let (status, body) = self.ask(Method::GET, &path, None, &[], None).await;
        assert!(status.is_success(), "{status} {body}");
        body
    }
}
