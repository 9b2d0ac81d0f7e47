//! 300 buyers who order the last 100 units at the same moment, over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::Server;
use crate::http::shop::{self, Session};
use crate::statistics::{Latencies, Series};

/// Units that there are.
pub const UNITS: u32 = 100;
/// Who wants one.
pub const BUYERS: usize = 300;
const STORE: &str = "s-hot";
/// How long an order may take to be decided.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// What came of it, one value a round.
#[derive(Debug, Default)]
pub struct Found {
    /// Orders that were confirmed.
    pub confirmed: Series,
    /// Orders that were refused for lack of stock.
    pub refused: Series,
    /// Units that the stock says are gone from what can be reserved.
    pub taken: Series,
    /// From the first request to the last answer.
    pub seconds: Series,
    /// Of the answers.
    pub p99_millis: Series,
}

/// Runs so many rounds, each with an item of its own.
///
/// # Errors
/// When anything else is answered than a confirmation or a refusal for lack of stock.
pub async fn rush(executable: &Path, database_url: &str, rounds: u32) -> Result<(Found, u32), BenchError> {
    let server = Server::start(executable, database_url).await?;
    let mut staff = shop::staff(&server).await?;
    eprintln!("registering {BUYERS} buyers");
    let sessions = shop::customers(server.api, "hot", BUYERS).await?;
    let mut found = Found::default();
    for round in 0..rounds {
        eprintln!("rush: round {} of {rounds}", round + 1);
        let sku = format!("hot-{round}");
        shop::product(&mut staff, &sku, round, &[(STORE, UNITS)]).await?;
        let mut buyers = fill_carts(&server, &sessions, &sku).await?;
        // Everybody starts at once.
        let start = Arc::new(Barrier::new(BUYERS));
        let mut running = JoinSet::new();
        let began = Instant::now();
        for (number, client) in buyers.drain(..).enumerate() {
            let start = Arc::clone(&start);
            running.spawn(async move {
                start.wait().await;
                buy(client, number, round).await
            });
        }
        let (mut confirmed, mut refused, mut latencies) = (0_u32, 0_u32, Latencies::new());
        while let Some(ended) = running.join_next().await {
            let (got_it, took) = ended.map_err(|error| BenchError::failed("a buyer", error))??;
            latencies.record(took);
            if got_it { confirmed += 1 } else { refused += 1 }
        }
        found.seconds.push(began.elapsed().as_secs_f64());
        found.confirmed.push(f64::from(confirmed));
        found.refused.push(f64::from(refused));
        found.p99_millis.push(latencies.millis(0.99));
        let level: Level = staff.json("GET", &format!("/api/v1/stores/{STORE}/stock/{sku}"), "", "", &[200]).await?;
        found.taken.push(f64::from(level.reserved + level.sold));
        if level.available + level.reserved + level.sold != UNITS {
            return Err(BenchError::failed("the stock", format!("does not add up: {level:?}")));
        }
    }
    Ok((found, server.pid()))
}

/// What the stock says of an item.
#[derive(Debug, Deserialize)]
struct Level {
    available: u32,
    reserved: u32,
    sold: u32,
}

#[derive(Deserialize)]
struct Placed {
    id: String,
    status: String,
}

/// Everybody has the item in the cart before anybody orders.
async fn fill_carts(server: &Server, sessions: &[Session], sku: &str) -> Result<Vec<Client>, BenchError> {
    let mut clients = Vec::with_capacity(sessions.len());
    for session in sessions {
        let mut client = Client::new(server.api).with_token(&session.access_token);
        // What the round before could not get is still in the cart.
        client.json::<Value>("DELETE", "/api/v1/cart", "", "", &[200]).await?;
        let body = format!(r#"{{"store":"{STORE}","quantity":1}}"#);
        client.json::<Value>("PUT", &format!("/api/v1/cart/items/{sku}"), "", &body, &[200]).await?;
        clients.push(client);
    }
    Ok(clients)
}

/// True when confirmed, false when refused for lack of stock.
async fn buy(mut client: Client, number: usize, round: u32) -> Result<(bool, Duration), BenchError> {
    let began = Instant::now();
    let key = format!("idempotency-key: hot-{round}-{number}\r\n");
    let body = r#"{"payment":{"method":"card","token":"card_approve"},"address":"12 Hill Road, Mumbai 400050"}"#;
    loop {
        let answer = client.send("POST", "/api/v1/orders", &key, body).await?;
        let took = began.elapsed();
        match answer.status {
            201 => return Ok((true, took)),
            202 => {
                let placed: Placed = serde_json::from_slice(&answer.body)?;
                if took > PATIENCE {
                    return Err(BenchError::failed("an order", format!("{} is {}", placed.id, placed.status)));
                }
            }
            409 if String::from_utf8_lossy(&answer.body).contains("insufficient_stock") => return Ok((false, took)),
            // Full queues say so, and the order can be sent again under its key.
            503 if took < PATIENCE => {}
            _ => return Err(answer.unexpected("an order")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
