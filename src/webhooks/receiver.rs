//! An endpoint of an integrator, for tests: keeps what it is sent and answers as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What was sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// Such as `POST /in HTTP/1.1`.
    pub line: String,
    /// By name in small letters.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: Vec<u8>,
}

/// The endpoint.
#[derive(Clone)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    connections: usize,
    received: Vec<Received>,
    answers: VecDeque<String>,
}

/// The whole answer of a status, with further header lines that each end with CRLF.
pub fn answer(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n{headers}\r\n")
}

impl Receiver {
    /// Listens on a free port of the loopback.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// Listens there.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), inner: Arc::default() };
        let inner = receiver.inner.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                inner.lock().unwrap().connections += 1;
                tokio::spawn(one(stream, inner.clone()));
            }
        });
        receiver
    }

    /// Its address as a webhook has it.
    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Answers the next requests so, in this order; those behind them with 200.
    pub fn will_answer(&self, answers: impl IntoIterator<Item = String>) {
        self.inner.lock().unwrap().answers.extend(answers);
    }

    /// Everything so far.
    pub fn received(&self) -> Vec<Received> {
        self.inner.lock().unwrap().received.clone()
    }

    /// How often something connected.
    pub fn connections(&self) -> usize {
        self.inner.lock().unwrap().connections
    }

    /// Waits until what it has received is as wanted.
    pub async fn until(
        &self,
        wanted: &str,
        patience: Duration,
        is_wanted: impl Fn(&[Received]) -> bool,
    ) -> Vec<Received> {
        let began = Instant::now();
        loop {
            let received = self.received();
            if is_wanted(&received) {
                return received;
            }
            assert!(began.elapsed() < patience, "{wanted} did not come; this did: {received:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Received {
    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn one(stream: TcpStream, inner: Arc<Mutex<Inner>>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        // Whoever speaks TLS, or hangs up, is only counted.
        if !matches!(read.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<_, _> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    if read.read_exact(&mut body).await.is_err() {
        return;
    }
    let told = {
        let mut inner = inner.lock().unwrap();
        inner.received.push(Received { line: lines.remove(0), headers, body });
        inner.answers.pop_front().unwrap_or_else(|| answer(200, ""))
    };
    let _ = write.write_all(told.as_bytes()).await;
}
