//! Live updates: many WebSockets on one gateway node, and the way of a rider's position from one gateway node
//! to a customer on another.
//!
//! - `followers`: the connections
//!
//! Two processes: one with every role, whose gateway the rider and the shop use, and one with the role gateway
//! alone, to which all connections are.

mod followers;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;
use serde_json::{Value, json};

use self::followers::{Follower, Followers};
use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::Server;
use crate::http::shop::{self, Session};
use crate::machine::{Watch, resident_bytes};
use crate::node::PATIENCE;
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::{Latencies, Series};

/// Connections to one gateway, each of which follows an order.
const CONNECTIONS: usize = 5_000;
/// Open files that this takes of this process, and of the gateway's.
const FILES_MIN: u64 = CONNECTIONS as u64 + 1_000;
/// Customers, each with one order.
const CUSTOMERS: usize = 50;
const STORE: &str = "s-bench";
const SKU: &str = "bench-butter";
/// Connections that come and go before memory is counted: what is allocated once is there then.
const FIRST: usize = 200;
/// After all are connected, before memory is counted.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two positions, as from some thirty riders who tell each second where they are.
const PAUSE: Duration = Duration::from_millis(30);
/// How far north a rider goes between two positions, in degrees: 110 m.
const STRIDE: f64 = 0.001;
/// What a connection may take of the gateway's process.
const KIBIBYTES_MAX: f64 = 64.0;
/// What all but one in a hundred positions must keep to.
const P99_MILLIS_MAX: f64 = 100.0;

/// Runs the scenario.
///
/// # Errors
/// When a request is refused, or a process or the database fails.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    raise_files()?;
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let shop_node = Server::start(&arguments.node_executable, &database.url).await?;
    let gateway = Server::join(&arguments.node_executable, &database.url, &shop_node, "gateway").await?;
    let mut staff = shop::staff(&shop_node).await?;
    shop::product(&mut staff, SKU, 1, &[(STORE, shop::SUPPLY_MAX)]).await?;
    eprintln!("registering {CUSTOMERS} customers");
    let sessions = shop::customers(shop_node.api, "follower", CUSTOMERS).await?;
    let mut orders = Vec::with_capacity(CUSTOMERS);
    let mut rider = rider(&shop_node).await?;
    for session in sessions {
        let order = order(&shop_node, &session).await?;
        if orders.is_empty() {
            accept(&mut rider, &order).await?;
        }
        orders.push((order, session.access_token));
    }

    let first = Followers::connect(gateway.api, &orders, FIRST).await?;
    first.leave().await;
    tokio::time::sleep(SETTLE).await;
    let before = resident_bytes(gateway.pid());
    let began = Instant::now();
    let mut followers = Followers::connect(gateway.api, &orders, CONNECTIONS).await?;
    let connected: Series = [CONNECTIONS as f64 / began.elapsed().as_secs_f64()].into_iter().collect();
    tokio::time::sleep(SETTLE).await;
    let taken = resident_bytes(gateway.pid()).saturating_sub(before) as f64;
    let kibibytes: Series = [taken / 1024.0 / CONNECTIONS as f64].into_iter().collect();

    let mut tracker = Follower::connect(gateway.api, &orders[0].1, &orders[0].0).await?;
    let (mut p50, mut p99) = (Series::default(), Series::default());
    let mut riding = Riding { rider, north: 12.0 };
    for repeat in 0..arguments.repeats {
        eprintln!("positions: repeat {} of {}", repeat + 1, arguments.repeats);
        riding.measure(&mut tracker, arguments.warmup).await?;
        let latencies = riding.measure(&mut tracker, arguments.duration).await?;
        p50.push(latencies.millis(0.5));
        p99.push(latencies.millis(0.99));
    }
    let still: Series = [followers.count() as f64].into_iter().collect();
    let versions = database.versions().await?;
    let own: Vec<u32> = [database.pid, Some(shop_node.pid()), Some(gateway.pid())].into_iter().flatten().collect();
    let machine = watch.finish(&own, versions);
    followers.leave().await;
    drop((shop_node, gateway));
    database.clear().await?;
    let mut settings = Report::common_settings(arguments);
    settings.push(("connections".into(), format!("{CONNECTIONS}, each follows one of {CUSTOMERS} orders")));
    Ok(Report {
        scenario: Scenario::Live.name(),
        about: "WebSockets on a node with the role gateway alone, and the time from a rider's POST of a position to a \
                node with every other role, where it becomes durable, until the customer has it over a WebSocket of \
                the first, with all connections open. Nodes, database and clients on the same processors. There is no \
                baseline beside it."
            .into(),
        settings,
        figures: vec![
            Figure::new("connections still open at the end", "connections", &still),
            Figure::new("made and answered with a snapshot", "connections/s", &connected),
            Figure::new("memory of a connection, of the gateway's process", "KiB", &kibibytes),
            Figure::new("position to customer: p50", "ms", &p50),
            Figure::new("position to customer: p99", "ms", &p99),
        ],
        targets: vec![
            Target::new("connections still open", &still, Bound::Exactly(CONNECTIONS as f64)),
            Target::new("memory of a connection (KiB)", &kibibytes, Bound::AtMost(KIBIBYTES_MAX)),
            Target::new("position to customer, p99 (ms)", &p99, Bound::AtMost(P99_MILLIS_MAX)),
        ],
        machine,
    })
}

/// A rider on the way.
struct Riding {
    rider: Client,
    north: f64,
}

impl Riding {
    /// Tells positions for so long, each once the last has arrived.
    async fn measure(&mut self, tracker: &mut Follower, span: Duration) -> Result<Latencies, BenchError> {
        let mut latencies = Latencies::new();
        let ends = Instant::now() + span;
        while Instant::now() < ends {
            tokio::time::sleep(PAUSE).await;
            self.north += STRIDE;
            let body = json!({ "lat": self.north, "lng": 77.6 }).to_string();
            let began = Instant::now();
            // The customer may have it before the rider has its answer.
            let posted = self.rider.json::<Value>("POST", "/api/v1/rider/position", "", &body, &[200]);
            let arrived = tokio::time::timeout(PATIENCE, tracker.position(self.north));
            let (posted, arrived) = tokio::join!(posted, arrived);
            posted?;
            let arrived = arrived.map_err(|_| BenchError::failed("a position", "did not arrive"))??;
            latencies.record(arrived.duration_since(began));
        }
        Ok(latencies)
    }
}

/// A rider at work.
async fn rider(server: &Server) -> Result<Client, BenchError> {
    let mut rider = shop::employee(server, "rider@bench.example", "rider", Some(STORE)).await?;
    let body = json!({ "store": STORE }).to_string();
    rider.json::<Value>("POST", "/api/v1/rider/online", "", &body, &[200]).await?;
    Ok(rider)
}

/// An order to be paid at the door; confirmed, or about to be.
async fn order(server: &Server, session: &Session) -> Result<String, BenchError> {
    #[derive(Deserialize)]
    struct Placed {
        id: String,
    }
    let mut client = Client::new(server.api).with_token(&session.access_token);
    let body = json!({ "store": STORE, "quantity": 1 }).to_string();
    client.json::<Value>("PUT", &format!("/api/v1/cart/items/{SKU}"), "", &body, &[200]).await?;
    let body = json!({ "payment": { "method": "cash" }, "address": "12 Hill Road, Mumbai 400050" }).to_string();
    let key = "idempotency-key: first\r\n";
    let placed: Placed = client.json("POST", "/api/v1/orders", key, &body, &[201, 202]).await?;
    Ok(placed.id)
}

/// The rider takes an order on, once it is offered.
async fn accept(rider: &mut Client, order: &str) -> Result<(), BenchError> {
    let began = Instant::now();
    loop {
        let answer = rider.send("POST", &format!("/api/v1/rider/deliveries/{order}/accept"), "", "").await?;
        if answer.status == 200 {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(answer.unexpected("taking an order on"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lets this process, and those that it starts, open enough files.
fn raise_files() -> Result<(), BenchError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < FILES_MIN) {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(std::io::Error::from)?;
    }
    match maximum {
        Some(maximum) if maximum < FILES_MIN => {
            let cause = format!("may open {maximum} files; set ulimit -Hn to {FILES_MIN} or more");
            Err(BenchError::failed("this process", cause))
        }
        _ => Ok(()),
    }
}
