//! Commands that go on while somebody looks: customers who change their carts, and now and then an order, whose trace
//! is known. They are few enough that memory does not grow with them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::Server;
use crate::http::shop::Session;
use crate::scenario::checkout::{PAYMENTS, PRODUCTS, Placed, STORES, confirmed, put_in, sku};

/// Customers who change their carts.
pub(super) const CHANGING: usize = 8;
/// How often each does.
pub(super) const CHANGE_EVERY: Duration = Duration::from_millis(80);
/// Customers who order in turns.
pub(super) const ORDERING: usize = 4;
/// How often one of them does.
pub(super) const ORDER_EVERY: Duration = Duration::from_millis(500);

/// The last order that was confirmed.
#[derive(Clone, Debug, Default)]
pub(super) struct Bought {
    pub order: String,
    /// 32 hexadecimal digits.
    pub trace: String,
}

/// See the module.
pub(super) struct Shoppers {
    over: Arc<AtomicBool>,
    newest: Arc<Mutex<Bought>>,
    tasks: JoinSet<Result<(), BenchError>>,
}

impl Shoppers {
    /// Starts them, each at one of the nodes; returns when the first order is confirmed.
    pub async fn start(servers: &[Server], sessions: Vec<Session>) -> Result<Self, BenchError> {
        let (over, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Bought::default())));
        let mut clients: Vec<Client> = sessions
            .iter()
            .zip(servers.iter().cycle())
            .map(|(session, server)| Client::new(server.api).with_token(&session.access_token))
            .collect();
        let mut tasks = JoinSet::new();
        for (number, client) in clients.split_off(ORDERING).into_iter().enumerate() {
            tasks.spawn(change(client, number, Arc::clone(&over)));
        }
        let mut ordering = Buyers { clients, newest: Arc::clone(&newest), count: 0 };
        ordering.order().await?;
        let until = Arc::clone(&over);
        tasks.spawn(async move {
            while !until.load(Ordering::Relaxed) {
                let began = Instant::now();
                ordering.order().await?;
                tokio::time::sleep(ORDER_EVERY.saturating_sub(began.elapsed())).await;
            }
            Ok(())
        });
        Ok(Self { over, newest, tasks })
    }

    /// Where the last order is noted.
    pub fn newest(&self) -> Arc<Mutex<Bought>> {
        Arc::clone(&self.newest)
    }

    /// Ends them.
    pub async fn stop(mut self) -> Result<(), BenchError> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| BenchError::failed("a shopper", error))??;
        }
        Ok(())
    }
}

async fn change(mut client: Client, number: usize, over: Arc<AtomicBool>) -> Result<(), BenchError> {
    let store = STORES[number % STORES.len()];
    let item = format!("/api/v1/cart/items/{}", sku(number as u32 % PRODUCTS));
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        count += 1;
        // Another quantity each time, so that each is an event.
        put_in(&mut client, &item, &format!(r#"{{"store":"{store}","quantity":{}}}"#, 1 + count % 9)).await?;
        tokio::time::sleep(CHANGE_EVERY.saturating_sub(began.elapsed())).await;
    }
    Ok(())
}

/// Customers who order in turns: a cart is cleared shortly after its order is confirmed.
struct Buyers {
    clients: Vec<Client>,
    newest: Arc<Mutex<Bought>>,
    count: usize,
}

impl Buyers {
    async fn order(&mut self) -> Result<(), BenchError> {
        self.count += 1;
        let (count, turn) = (self.count, self.count % self.clients.len());
        let client = &mut self.clients[turn];
        let item = format!("/api/v1/cart/items/{}", sku(count as u32 % PRODUCTS));
        put_in(client, &item, &format!(r#"{{"store":"{}","quantity":1}}"#, STORES[turn % STORES.len()])).await?;
        // The share of traces that a busy node keeps begins with those whose last 16 bits are 0.
        let trace = format!("{count:028x}0000");
        let headers = format!("idempotency-key: page-{count}\r\ntraceparent: 00-{trace}-{count:016x}-01\r\n");
        let body = format!(r#"{{"payment":{},"address":"12 Hill Road, Mumbai 400050"}}"#, PAYMENTS[0].1);
        let placed: Placed = client.json("POST", "/api/v1/orders", &headers, &body, &[201, 202]).await?;
        let order = placed.id.clone();
        confirmed(client, placed).await?;
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Bought { order, trace };
        Ok(())
    }
}
