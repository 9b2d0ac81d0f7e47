//! Connections that follow orders.

use std::net::SocketAddr;
use std::time::Instant;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::BenchError;
use crate::node::PATIENCE;

/// Connections that are made side by side.
const SIDE_BY_SIDE: usize = 32;
/// This process holds all of them.
const READ_BUFFER_BYTES: usize = 1024;

/// One connection that follows an order.
pub struct Follower(WebSocketStream<TcpStream>);

/// Many of them.
pub struct Followers {
    reading: JoinSet<()>,
}

impl Follower {
    /// Connects, subscribes and waits for the snapshot.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(address: SocketAddr, token: &str, order: &str) -> Result<Self, BenchError> {
        let failed = |cause: &dyn std::fmt::Display| BenchError::failed("following an order", cause);
        let mut request =
            format!("ws://{address}/api/v1/live").into_client_request().map_err(|error| failed(&error))?;
        let protocols = format!("nakku.live.v1, bearer.{token}").parse();
        request.headers_mut().insert("sec-websocket-protocol", protocols.map_err(|_| failed(&"the token"))?);
        let stream = TcpStream::connect(address).await?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
        let connecting = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (stream, _) = connecting.await.map_err(|error| failed(&error))?;
        let mut follower = Self(stream);
        let subscribe = json!({ "subscribe": { "order": order } }).to_string();
        follower.0.send(Message::text(subscribe)).await.map_err(|error| failed(&error))?;
        let first = follower.next().await?;
        if first["snapshot"].is_object() { Ok(follower) } else { Err(failed(&first)) }
    }

    /// When the position with this latitude arrived.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn position(&mut self, north: f64) -> Result<Instant, BenchError> {
        loop {
            let message = self.next().await?;
            let arrived = Instant::now();
            if message["position"]["lat"].as_f64().is_some_and(|lat| (lat - north).abs() < 1e-6) {
                return Ok(arrived);
            }
        }
    }

    async fn next(&mut self) -> Result<Value, BenchError> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return Err(BenchError::failed("a live connection", format!("{other:?}"))),
            }
        }
    }
}

impl Followers {
    /// Makes so many connections, in turn to each of the orders with its customer's token.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn connect(address: SocketAddr, orders: &[(String, String)], count: usize) -> Result<Self, BenchError> {
        let mut connecting = JoinSet::new();
        for worker in 0..SIDE_BY_SIDE {
            let orders = orders.to_vec();
            connecting.spawn(async move {
                let mut made = Vec::new();
                for number in (worker..count).step_by(SIDE_BY_SIDE) {
                    let (order, token) = &orders[number % orders.len()];
                    let following = Follower::connect(address, token, order);
                    let follower = tokio::time::timeout(PATIENCE, following).await;
                    made.push(follower.map_err(|_| BenchError::failed("following an order", "no snapshot"))??);
                }
                Ok::<_, BenchError>(made)
            });
        }
        let mut reading = JoinSet::new();
        while let Some(made) = connecting.join_next().await {
            for mut follower in made.map_err(|error| BenchError::failed("connecting", error))?? {
                reading.spawn(async move { while follower.next().await.is_ok() {} });
            }
        }
        Ok(Self { reading })
    }

    /// How many are still there.
    pub fn count(&mut self) -> usize {
        // What has ended is in the set until it is taken out.
        while self.reading.try_join_next().is_some() {}
        self.reading.len()
    }

    /// Closes all.
    pub async fn leave(mut self) {
        self.reading.shutdown().await;
    }
}
