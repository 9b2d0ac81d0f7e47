//! One node and one gateway for all tests (a process can have one set of links in its life), and a client.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use nakku_actors::payment::SimulatedCard;
use nakku_actors::{Options, demo};
use nakku_cluster::journal::JournalSettings;
use nakku_cluster::link::LinkCredits;
use nakku_cluster::membership::Roles;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::runtime::RuntimeSettings;
use nakku_cluster::topology::{ServiceTopology, Topology};
use nakku_gateway::{Admin, AdminSettings, Gateway, GatewaySettings, LimitSettings, Secret};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::mail::Mail;
use crate::{audit, contract, poison};

/// Signs the tokens here.
pub const JWT_SECRET: &str = "a secret for tests, of 32 bytes or more";
/// Opens the admin listener here.
pub const ADMIN_TOKEN: &str = "an admin token for tests";
/// The password of customers that tests register.
pub const PASSWORD: &str = "correct horse";
/// Five times what the slowest wait here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Of each service.
pub const SHARDS: u32 = 4;
/// A store of the demo shop.
pub const STORE: &str = "s-indiranagar";

/// The shared node with its gateway.
pub struct Shop {
    pub node: Node,
    pub gateway: Gateway,
}

/// Somebody who calls the API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    pub token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Runs a test on the one runtime, since the node lives on it.
pub fn on_shop(test: impl AsyncFnOnce(&'static Shop)) {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Runtime::new().expect("a runtime starts"));
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    RUNTIME.block_on(async { test(SHOP.get_or_init(open).await).await });
}

/// The settings of a gateway on a free port.
pub fn settings() -> GatewaySettings {
    GatewaySettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        // Tests run on slow machines; what they test of time they set themselves.
        request_timeout: Duration::from_secs(30),
        ask_timeout: Duration::from_secs(20),
        drain_notice: Duration::from_millis(300),
        // All tests have one address; those of limits set their own.
        limits: LimitSettings { enabled: false, ..LimitSettings::default() },
        ..GatewaySettings::new(Secret::new(JWT_SECRET))
    }
}

async fn open() -> Shop {
    let folder = std::env::temp_dir().join(format!("nakku-api-{:016x}", rand::random::<u64>()));
    let url = format!("sqlite://{}/nakku.db", folder.display());
    audit::keep();
    let services: Vec<_> = nakku_actors::services_with(Options { webhooks: true })
        .into_iter()
        .map(|service| if service.name == "order" { poison::within(service) } else { service })
        .collect();
    let settings_of_node = NodeSettings {
        name: "only".into(),
        roles: Roles::new(services.iter().map(|service| service.name)),
        cluster_database: url.clone(),
        databases: [("main".to_owned(), url)].into(),
        topology: Topology::new("test", ServiceTopology::spread(SHARDS, ["main"])),
        link_listen: "127.0.0.1:0".parse().unwrap(),
        link_advertise: None,
        link_cookie: "test".into(),
        link_tls: None,
        link_credits: LinkCredits::default(),
        http_address: None,
        lease: Duration::from_secs(10),
        renew: Duration::from_secs(1),
        runtime: RuntimeSettings::default(),
        journal: JournalSettings::default(),
        journal_keep_rows: None,
        replicas: Default::default(),
        replica_staleness: Duration::from_secs(2),
        kafka: None,
        version: "test".into(),
    };
    let card = Arc::new(SimulatedCard::default());
    let node = Node::start(settings_of_node, services, vec![card, Arc::new(Mail)]).await.expect("the node starts");
    demo::seed(&node.cluster()).await.expect("the demo shop is put in");
    let gateway = nakku_gateway::start(node.cluster(), settings()).await.expect("the gateway starts");
    Shop { node, gateway }
}

impl Shop {
    /// Somebody without a token.
    pub fn anybody(&self) -> Client {
        Client::of(&self.gateway)
    }

    /// A customer who has just registered.
    pub async fn customer(&self) -> Client {
        let anybody = self.anybody();
        let email = format!("customer-{:016x}@example.com", rand::random::<u64>());
        let body = json!({ "email": email, "password": PASSWORD, "name": "Test Customer" });
        let answer = anybody.post("/auth/register", body).await.expect(201);
        anybody.with(answer.body["access_token"].as_str().unwrap())
    }

    /// An account of the demo shop, such as `admin` or `rider1`.
    pub async fn staff(&self, name: &str) -> Client {
        // One session each for all tests: a user has few, and a further one ends the oldest.
        static TOKENS: LazyLock<tokio::sync::Mutex<HashMap<String, String>>> = LazyLock::new(Default::default);
        let anybody = self.anybody();
        let mut tokens = TOKENS.lock().await;
        if let Some(token) = tokens.get(name) {
            return anybody.with(token);
        }
        let body = json!({ "email": format!("{name}@nakku.example"), "password": demo::PASSWORD });
        let answer = anybody.post("/auth/login", body).await.expect(200);
        let token = answer.body["access_token"].as_str().unwrap();
        tokens.insert(name.to_owned(), token.to_owned());
        anybody.with(token)
    }

    /// An admin listener on a free port.
    pub async fn admin(&self) -> Admin {
        let settings =
            AdminSettings { listen: "127.0.0.1:0".parse().unwrap(), ..AdminSettings::new(Secret::new(ADMIN_TOKEN)) };
        nakku_gateway::start_admin(self.node.cluster(), settings).await.expect("the admin listener starts")
    }

    /// A product of its own for a test, with so many pieces in [`STORE`].
    pub async fn product(&self, pieces: u32, price_minor: i64) -> String {
        let admin = self.staff("admin").await;
        let sku = format!("test-{:016x}", rand::random::<u64>());
        admin.post("/products", new_product(&sku, price_minor)).await.expect(201);
        if pieces > 0 {
            let supply = json!({ "receipt": sku, "lines": [{ "sku": sku, "quantity": pieces }] });
            admin.post(&format!("/stores/{STORE}/stock"), supply).await.expect(200);
        }
        sku
    }

    /// What the store has of a product.
    pub async fn level(&self, sku: &str) -> Value {
        self.anybody().get(&format!("/stores/{STORE}/stock/{sku}")).await.expect(200).body
    }
}

/// A product that is valid.
pub fn new_product(sku: &str, price_minor: i64) -> Value {
    json!({
        "sku": sku, "name": "Test Butter", "brand": "Test", "barcode": "8901262010016", "unit": "500 g",
        "category": "test", "mrp_minor": price_minor, "price_minor": price_minor, "tax_basis_points": 500,
    })
}

/// A key that no test has used.
pub fn fresh_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Waits until a look finds what it looks for.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Client {
    /// Calls this gateway, without a token.
    pub fn of(gateway: &Gateway) -> Self {
        Self { http: reqwest::Client::new(), base: format!("http://{}", gateway.local_address()), token: None }
    }

    /// The same with a token.
    pub fn with(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request below `/api/v1`, or any path that begins with `//`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.strip_prefix("//") {
            Some(outside) => format!("{}/{outside}", self.base),
            None => format!("{}/api/v1{path}", self.base),
        };
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::PATCH, path).json(&body)).await
    }

    /// Puts pieces of a product of [`STORE`] into the cart.
    pub async fn put_in(&self, sku: &str, quantity: u32) -> Answer {
        self.put(&format!("/cart/items/{sku}"), json!({ "quantity": quantity, "store": STORE })).await.expect(200)
    }

    /// Checks out under a key.
    pub async fn check_out(&self, key: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::POST, "/orders").header("Idempotency-Key", key).json(body)).await
    }
}

impl Answer {
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("the gateway answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a whole body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        contract::hold(&method, &path, status, &headers, &body);
        Self { status, headers, body }
    }

    /// Asserts a success.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Asserts a problem with this code, in its form.
    #[track_caller]
    pub fn problem(self, code: &str) -> Self {
        assert_eq!(self.body["code"], code, "{}: {}", self.status, self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], self.status.as_u16());
        assert_eq!(self.body["type"], format!("/docs#{code}"));
        self
    }

    /// A header as text.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
    }
}
