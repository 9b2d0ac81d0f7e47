use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const LIMITS: ServerLimits = ServerLimits { connections_max: 16, header_timeout: Duration::from_secs(5) };

async fn server(limits: ServerLimits) -> Server {
    let slow = get(|| async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        "done"
    });
    let routes = Router::new().route("/slow", slow).route("/", get(|| async { "here" }));
    Server::start("127.0.0.1:0".parse().unwrap(), limits, routes).await.unwrap()
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_address()).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).await.unwrap();
}

/// One answer with a body of four bytes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut bytes = [0; 1024];
    while !text.contains("\r\n\r\n") || text.split("\r\n\r\n").nth(1).unwrap().len() < 4 {
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "the connection ended after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    text
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 1])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn keeps_connections_alive_while_serving() {
    let server = server(LIMITS).await;
    let mut stream = connect(&server).await;
    for _ in 0..2 {
        ask(&mut stream, "/").await;
        let text = answer(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 200") && !text.contains("connection: close"), "{text}");
    }
}

#[tokio::test]
async fn a_drain_fails_no_request() {
    let server = server(LIMITS).await;
    let address = server.local_address();
    let mut busy = connect(&server).await;
    let mut idle = connect(&server).await;
    ask(&mut idle, "/").await;
    answer(&mut idle).await;
    ask(&mut busy, "/slow").await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let draining = tokio::spawn(server.drain(Duration::from_millis(300), Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Within the notice: new connections and idle ones are still served, and told to close.
    let mut late = TcpStream::connect(address).await.unwrap();
    for stream in [&mut late, &mut idle] {
        ask(stream, "/").await;
        let text = answer(stream).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("connection: close"), "{text}");
        assert!(is_closed(stream).await);
    }
    // Past the notice: what was in progress is answered.
    let text = answer(&mut busy).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("done"), "{text}");
    assert_eq!(draining.await.unwrap(), 0, "nothing had to be cut");
    assert!(TcpStream::connect(address).await.is_err(), "the listener is gone");
}

#[tokio::test]
async fn a_drain_closes_idle_connections() {
    let server = server(LIMITS).await;
    let mut stream = connect(&server).await;
    ask(&mut stream, "/").await;
    answer(&mut stream).await;
    let begun = Instant::now();
    assert_eq!(server.drain(Duration::ZERO, Duration::from_secs(10)).await, 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn a_drain_is_bounded() {
    let server = server(LIMITS).await;
    let mut busy = connect(&server).await;
    ask(&mut busy, "/slow").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.drain(Duration::ZERO, Duration::from_millis(300)).await, 1, "the busy one was cut");
    assert!(is_closed(&mut busy).await);
}

#[tokio::test]
async fn connections_are_bounded() {
    let server = server(ServerLimits { connections_max: 1, ..LIMITS }).await;
    let mut first = connect(&server).await;
    ask(&mut first, "/").await;
    answer(&mut first).await;
    let mut second = connect(&server).await;
    ask(&mut second, "/").await;
    let waits = tokio::time::timeout(Duration::from_millis(200), second.read(&mut [0; 1])).await;
    assert!(waits.is_err(), "the second connection was served beside the first");
    drop(first);
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn silent_connections_are_closed() {
    for words in ["", "P", "GET / HT"] {
        let server = server(ServerLimits { header_timeout: Duration::from_millis(200), ..LIMITS }).await;
        let mut stream = connect(&server).await;
        stream.write_all(words.as_bytes()).await.unwrap();
        assert!(is_closed(&mut stream).await, "{words:?} keeps the connection open");
    }
}
