//! Whole checkouts over HTTP: a product into the cart, the order placed and confirmed. Server, database and
//! this load share the processors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;

use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::Server;
use crate::http::shop::{self, Session};
use crate::load::closed_loop_probed;
use crate::machine::{Watch, processor_time};
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

/// Clients that check out side by side.
const CLIENTS: usize = 32;
/// Each client takes turns with so many customers: a cart is cleared shortly after its order is confirmed.
const CUSTOMERS_PER_CLIENT: usize = 4;
pub(super) const STORES: [&str; 3] = ["s-bench-1", "s-bench-2", "s-bench-3"];
pub(super) const PRODUCTS: u32 = 30;
/// A cart that is still held by the order before is tried again after this.
const SEALED_PAUSE: Duration = Duration::from_millis(2);
/// How long an order may take to be confirmed.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);
/// What must be reached.
const PER_SECOND_MIN: f64 = 400.0;
const P99_MILLIS_MAX: f64 = 250.0;

/// How the orders are paid, and the body's words for it.
pub(super) const PAYMENTS: [(&str, &str); 2] =
    [("card", r#"{"method":"card","token":"card_approve"}"#), ("cash", r#"{"method":"cash"}"#)];

/// Runs the scenario.
///
/// # Errors
/// When a request is refused, or server or database fail.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let server = Server::start(&arguments.node_executable, &database.url).await?;
    let sessions = prepare(&server).await?;

    let mut figures = Vec::new();
    let mut targets = Vec::new();
    for (payment, choice) in PAYMENTS {
        let mut found = Found::default();
        for repeat in 0..arguments.repeats {
            eprintln!("{payment}: repeat {} of {}", repeat + 1, arguments.repeats);
            found.measure(arguments, &database, &server, &sessions, choice, repeat).await?;
        }
        figures.push(Figure::new(format!("checkouts by {payment}"), "checkouts/s", &found.per_second));
        figures.push(Figure::new(format!("{payment}: p50"), "ms", &found.p50_millis));
        figures.push(Figure::new(format!("{payment}: p99"), "ms", &found.p99_millis));
        figures.push(Figure::new(
            format!("{payment}: processor time of nakku node"),
            "ms/checkout",
            &found.server_millis,
        ));
        if database.pid.is_some() {
            let name = format!("{payment}: processor time of the database");
            figures.push(Figure::new(name, "ms/checkout", &found.database_millis));
        }
        figures.push(Figure::new(format!("{payment}: processor time of this load"), "ms/checkout", &found.load_millis));
        targets.push(Target::new(
            format!("checkouts/s by {payment}"),
            &found.per_second,
            Bound::AtLeast(PER_SECOND_MIN),
        ));
        targets.push(Target::new(format!("p99 by {payment} (ms)"), &found.p99_millis, Bound::AtMost(P99_MILLIS_MAX)));
    }
    let mut settings = Report::common_settings(arguments);
    settings.push(("clients".into(), format!("{CLIENTS}, each with {CUSTOMERS_PER_CLIENT} customers logged in")));
    settings.push(("goods".into(), format!("{} stores, {PRODUCTS} products, one line an order", STORES.len())));
    let versions = database.versions().await?;
    let own = [database.pid, Some(server.pid())].into_iter().flatten().collect::<Vec<_>>();
    let machine = watch.finish(&own, versions);
    drop(server);
    database.clear().await?;
    Ok(Report {
        scenario: Scenario::Checkout.name(),
        about:
            "Whole checkouts over HTTP: PUT of a product into the cart, POST of the order, until it is confirmed. One \
                node with all services; node, database and load on the same processors; every step durable at commit."
                .into(),
        settings,
        figures,
        targets,
        machine,
    })
}

/// Goods in the stores, and customers who are logged in.
///
/// # Errors
/// When a request is refused.
pub(super) async fn prepare(server: &Server) -> Result<Vec<Session>, BenchError> {
    prepare_for(server, CLIENTS * CUSTOMERS_PER_CLIENT).await
}

/// The same with so many customers.
///
/// # Errors
/// When a request is refused.
pub(super) async fn prepare_for(server: &Server, customers: usize) -> Result<Vec<Session>, BenchError> {
    let mut staff = shop::staff(server).await?;
    let stores = STORES.map(|store| (store, shop::SUPPLY_MAX));
    for number in 0..PRODUCTS {
        shop::product(&mut staff, &sku(number), number, &stores).await?;
    }
    eprintln!("registering {customers} customers");
    shop::customers(server.api, "buyer", customers).await
}

/// What one kind of checkout took, repeat by repeat.
#[derive(Default)]
pub(super) struct Found {
    pub per_second: Series,
    pub p50_millis: Series,
    pub p99_millis: Series,
    pub server_millis: Series,
    pub database_millis: Series,
    pub load_millis: Series,
}

impl Found {
    /// One repeat; `repeat` is another in each run with the same customers.
    pub async fn measure(
        &mut self,
        arguments: &BenchArguments,
        database: &Database,
        server: &Server,
        sessions: &[Session],
        choice: &'static str,
        repeat: u32,
    ) -> Result<(), BenchError> {
        let pids = [Some(server.pid()), database.pid, Some(std::process::id())];
        let spent = || pids.map(|pid| pid.map_or(Duration::ZERO, processor_time));
        let clients = |number: usize| {
            let own = &sessions[number * CUSTOMERS_PER_CLIENT..(number + 1) * CUSTOMERS_PER_CLIENT];
            // One client is never asked for two checkouts at a time: the lock is always free.
            let buyer = Arc::new(Mutex::new(Buyer::new(server.api, own, choice, number, repeat)));
            move || {
                let buyer = Arc::clone(&buyer);
                async move { buyer.lock().await.check_out().await }
            }
        };
        let (achieved, [before, after]) =
            closed_loop_probed(CLIENTS, arguments.warmup, arguments.duration, spent, clients).await?;
        let each = |place: usize| (after[place] - before[place]).as_secs_f64() * 1000.0 / achieved.count.max(1) as f64;
        self.per_second.push(achieved.per_second);
        self.p50_millis.push(achieved.p50_micros / 1000.0);
        self.p99_millis.push(achieved.p99_micros / 1000.0);
        self.server_millis.push(each(0));
        self.database_millis.push(each(1));
        self.load_millis.push(each(2));
        Ok(())
    }
}

/// One client: a connection, and customers who take turns.
struct Buyer {
    clients: Vec<Client>,
    choice: &'static str,
    number: usize,
    label: String,
    checkouts: usize,
}

/// What of an order tells how it is.
#[derive(Deserialize)]
pub(super) struct Placed {
    pub id: String,
    status: String,
}

impl Buyer {
    fn new(api: SocketAddr, sessions: &[Session], choice: &'static str, number: usize, repeat: u32) -> Self {
        let clients = sessions.iter().map(|session| Client::new(api).with_token(&session.access_token)).collect();
        let label = format!("{}-{repeat}-{number}", if choice.contains("card") { "card" } else { "cash" });
        Self { clients, choice, number, label, checkouts: 0 }
    }

    async fn check_out(&mut self) -> Result<(), BenchError> {
        self.checkouts += 1;
        let turn = self.checkouts + self.number;
        let customers = self.clients.len();
        let client = &mut self.clients[turn % customers];
        let body = format!(r#"{{"store":"{}","quantity":1}}"#, STORES[turn % STORES.len()]);
        // Any number without a common factor spreads them.
        let item = format!("/api/v1/cart/items/{}", sku((turn as u32).wrapping_mul(7) % PRODUCTS));
        put_in(client, &item, &body).await?;
        let key = format!("idempotency-key: {}-{}\r\n", self.label, self.checkouts);
        let body = format!(r#"{{"payment":{},"address":"12 Hill Road, Mumbai 400050"}}"#, self.choice);
        let placed: Placed = client.json("POST", "/api/v1/orders", &key, &body, &[201, 202]).await?;
        confirmed(client, placed).await
    }
}

/// A cart that the order before still holds is tried again.
pub(super) async fn put_in(client: &mut Client, item: &str, body: &str) -> Result<(), BenchError> {
    let began = Instant::now();
    loop {
        let answer = client.send("PUT", item, "", body).await?;
        match answer.status {
            200 => return Ok(()),
            409 if began.elapsed() < CONFIRM_PATIENCE => tokio::time::sleep(SEALED_PAUSE).await,
            _ => return Err(answer.unexpected("filling the cart")),
        }
    }
}

pub(super) async fn confirmed(client: &mut Client, placed: Placed) -> Result<(), BenchError> {
    let Placed { id, mut status } = placed;
    let began = Instant::now();
    let path = format!("/api/v1/orders/{id}");
    while status == "placing" {
        if began.elapsed() > CONFIRM_PATIENCE {
            return Err(BenchError::failed(
                "an order",
                format!("{id} is {status} after {} s", CONFIRM_PATIENCE.as_secs()),
            ));
        }
        tokio::time::sleep(SEALED_PAUSE).await;
        let now: Placed = client.json("GET", &path, "", "", &[200]).await?;
        status = now.status;
    }
    if status == "cancelled" { Err(BenchError::failed("an order", format!("{id} was cancelled"))) } else { Ok(()) }
}

pub(super) fn sku(number: u32) -> String {
    format!("bench-butter-{number}")
}
