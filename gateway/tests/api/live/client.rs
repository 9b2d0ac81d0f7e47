//! A WebSocket client, a client of Server-Sent Events, and an order on its way.

use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use nakku_actors::delivery::Delivery;
use nakku_actors::order::Order;
use nakku_actors::payment::Payment;
use nakku_cluster::events::Envelope;
use nakku_cluster::{Key, Ref};
use nakku_gateway::live::cursor::Cursor;
use nakku_gateway::{Gateway, GatewaySettings};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Client, PATIENCE, Shop, eventually, fresh_key};

/// A store from which only those of these tests order that need a rider.
pub const LIVE_STORE: &str = "s-koramangala";
/// Its riders.
pub const RIDERS: [&str; 2] = ["rider2", "rider5"];

/// One WebSocket.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects with the token as a subprotocol.
    pub async fn open(gateway: &Gateway, token: &str) -> Self {
        Self::try_open(gateway.local_address(), Some(token), None).await.expect("a WebSocket is opened")
    }

    /// Connects; without a token it has to be sent first. A small buffer makes the client soon a slow one.
    pub async fn try_open(address: SocketAddr, token: Option<&str>, buffer: Option<u32>) -> Result<Self, Box<Error>> {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = socket.connect(address).await.unwrap();
        let mut request = format!("ws://{address}/api/v1/live").into_client_request().unwrap();
        if let Some(token) = token {
            let protocols = format!("nakku.live.v1, bearer.{token}");
            request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        let (stream, response) = tokio_tungstenite::client_async(request, stream).await.map_err(Box::new)?;
        let chosen = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(chosen, token.map(|_| "nakku.live.v1"));
        Ok(Self(stream))
    }

    pub async fn send(&mut self, message: Value) {
        self.text(message.to_string()).await;
    }

    pub async fn text(&mut self, text: String) {
        self.0.send(Message::text(text)).await.expect("a message is sent");
    }

    /// Subscribes and returns the first answer.
    pub async fn subscribe(&mut self, target: Value) -> Value {
        self.send(json!({ "subscribe": target })).await;
        self.next().await
    }

    /// The next message.
    pub async fn next(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).expect("messages are JSON"),
            other => panic!("a message, not {other:?}"),
        }
    }

    /// The next message, if it comes soon.
    pub async fn soon(&mut self, span: std::time::Duration) -> Option<Value> {
        timeout(span, self.next()).await.ok()
    }

    /// Reads until the connection is closed, and returns code and reason.
    pub async fn closed(mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.message().await {
                let frame = frame.expect("a close says why");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// Reads until the connection is cut, without a goodbye.
    pub async fn cut_off(mut self) {
        while let Some(Ok(message)) = timeout(PATIENCE, self.0.next()).await.expect("it is cut in time") {
            assert!(!message.is_close(), "{message:?}");
        }
    }

    async fn message(&mut self) -> Message {
        let message = async {
            loop {
                match self.0.next().await.expect("the connection is open").expect("a message") {
                    Message::Ping(_) | Message::Pong(_) => {}
                    message => return message,
                }
            }
        };
        timeout(PATIENCE, message).await.expect("a message in time")
    }
}

/// A stream of Server-Sent Events.
pub struct Events {
    response: reqwest::Response,
    read: String,
}

/// One of them.
#[derive(Debug)]
pub struct Told {
    pub kind: String,
    pub id: Option<String>,
    pub data: Value,
}

impl Events {
    pub async fn open(client: &Client, query: &str, last_id: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, &format!("/live/events?{query}"));
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, read: String::new() }
    }

    /// The next event; nothing at the end of the stream.
    pub async fn next(&mut self) -> Option<Told> {
        timeout(PATIENCE, self.read()).await.expect("an event in time")
    }

    async fn read(&mut self) -> Option<Told> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
                };
                // Comments keep the connection alive.
                let Some(data) = field("data:") else { continue };
                let data = serde_json::from_str(&data).unwrap();
                return Some(Told { kind: field("event:").unwrap(), id: field("id:"), data });
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// A gateway of its own, beside the shared one on the same node.
pub async fn another(shop: &Shop, settings: GatewaySettings) -> Gateway {
    nakku_gateway::start(shop.node.cluster(), settings).await.expect("a gateway starts")
}

/// An order from a store that a customer has placed, to be paid at the door.
pub async fn order(shop: &Shop, customer: &Client, store: &str) -> String {
    let sku = shop.product(0, 6_000).await;
    let supply = json!({ "receipt": sku, "lines": [{ "sku": sku, "quantity": 5 }] });
    shop.staff("admin").await.post(&format!("/stores/{store}/stock"), supply).await.expect(200);
    let item = json!({ "quantity": 1, "store": store });
    customer.put(&format!("/cart/items/{sku}"), item).await.expect(200);
    let body = json!({ "payment": { "method": "cash" }, "address": "12 Hill Road", "store": store });
    customer.check_out(&fresh_key(), &body).await.expect(201).body["id"].as_str().unwrap().to_owned()
}

/// A rider who was offered the order and has taken it on, and its key.
pub async fn taken_on(shop: &Shop, order: &str) -> (Client, String) {
    let mut riders = Vec::new();
    for name in RIDERS {
        let rider = shop.staff(name).await;
        rider.post("/rider/online", json!({ "store": LIVE_STORE })).await.expect(200);
        riders.push(rider);
    }
    let rider = eventually("a rider is offered the order", async || {
        for rider in &riders {
            let list = rider.get("/rider/deliveries").await.expect(200).body;
            if list["deliveries"][0]["id"] == *order {
                return Some(rider.clone());
            }
        }
        None
    })
    .await;
    step(&rider, order, "accept", Value::Null).await;
    let me = rider.get("/users/me").await.expect(200).body;
    (rider, me["id"].as_str().unwrap().to_owned())
}

/// A rider's next step.
pub async fn step(rider: &Client, order: &str, step: &str, body: Value) {
    rider.post(&format!("/rider/deliveries/{order}/{step}"), body).await.expect(200);
}

/// Everything public that the journal holds of an order.
pub async fn journal(shop: &Shop, order: &str) -> Vec<Envelope> {
    let cluster = shop.node.cluster();
    let key = Key::new(order).unwrap();
    let mut events = cluster.history(&Ref::<Order>::new(key.clone()), 0, 500).await.unwrap();
    events.extend(cluster.history(&Ref::<Payment>::new(key.clone()), 0, 500).await.unwrap());
    events.extend(cluster.history(&Ref::<Delivery>::new(key), 0, 500).await.unwrap());
    events
}

/// What the journal holds behind a cursor, by id.
pub fn behind(events: &[Envelope], cursor: &str) -> Vec<String> {
    let cursor: Cursor = cursor.parse().unwrap();
    let mut ids: Vec<_> = events.iter().filter(|event| !cursor.has(event)).map(|event| event.id.clone()).collect();
    ids.sort();
    ids
}
