//! One kept-alive HTTP/1.1 connection (RFC 9112), one request at a time.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::BenchError;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    token: String,
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client that connects when it is first used.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, token: String::new(), sent: Vec::new(), received: Vec::new() }
    }

    /// Sends this bearer token from now on.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = format!("authorization: Bearer {token}\r\n");
        self
    }

    /// One request and its answer; `headers` are whole lines, each with its end. A body is JSON.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<Answer, BenchError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let Self { address, token, sent, .. } = self;
        sent.clear();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{token}{headers}content-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        sent.extend_from_slice(head.as_bytes());
        sent.extend_from_slice(body.as_bytes());
        stream.write_all(sent).await?;
        let (answer, keep) = self.receive(&mut stream).await?;
        if keep {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// The JSON of an answer that must have one of these codes.
    ///
    /// # Errors
    /// Any other answer, with its beginning.
    pub async fn json<T: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
        expected: &[u16],
    ) -> Result<T, BenchError> {
        let answer = self.send(method, path, headers, body).await?;
        if expected.contains(&answer.status) {
            return Ok(serde_json::from_slice(&answer.body)?);
        }
        Err(answer.unexpected(&format!("{method} {path}")))
    }

    async fn receive(&mut self, stream: &mut TcpStream) -> Result<(Answer, bool), BenchError> {
        let received = &mut self.received;
        received.clear();
        let head_end = loop {
            if let Some(end) = find(received, b"\r\n\r\n") {
                break end + 4;
            }
            more(stream, received).await?;
        };
        let head = Head::parse(&received[..head_end])?;
        let body = match head.length {
            Length::Known(length) => {
                while received.len() < head_end + length {
                    more(stream, received).await?;
                }
                received[head_end..head_end + length].to_vec()
            }
            Length::Chunked => loop {
                if let Some(body) = unchunk(&received[head_end..])? {
                    break body;
                }
                more(stream, received).await?;
            },
        };
        Ok((Answer { status: head.status, body }, head.keep))
    }
}

impl Answer {
    /// An error that shows the answer's beginning.
    pub fn unexpected(&self, what: &str) -> BenchError {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(400).collect();
        BenchError::failed(what, format!("{} {body}", self.status))
    }
}

struct Head {
    status: u16,
    length: Length,
    keep: bool,
}

enum Length {
    Known(usize),
    Chunked,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, BenchError> {
        let text = std::str::from_utf8(bytes).map_err(|error| BenchError::failed("an answer's head", error))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| BenchError::failed("an answer's head", "no status"))?;
        let (mut length, mut keep) = (Length::Known(0), true);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Length::Known(value.parse().map_err(|error| BenchError::failed("content-length", error))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
                length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
                keep = false;
            }
        }
        Ok(Self { status, length, keep })
    }
}

async fn more(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<(), BenchError> {
    if received.len() > ANSWER_BYTES_MAX {
        return Err(BenchError::failed("an answer", "is too large"));
    }
    received.reserve(4096);
    if stream.read_buf(received).await? == 0 {
        return Err(BenchError::failed("an answer", "the connection was closed"));
    }
    Ok(())
}

/// The body behind chunked coding, once its last chunk is there; trailers are not used by this API.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, BenchError> {
    let mut body = Vec::new();
    loop {
        let Some(line_end) = find(rest, b"\r\n") else { return Ok(None) };
        let line = String::from_utf8_lossy(&rest[..line_end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|error| BenchError::failed("a chunk", error))?;
        let chunk_end = line_end + 2 + size;
        if rest.len() < chunk_end + 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&rest[line_end + 2..chunk_end]);
        rest = &rest[chunk_end + 2..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_once_all_are_there() {
        assert_eq!(unchunk(b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n").expect("valid").as_deref(), Some(&b"abcde"[..]));
        assert_eq!(unchunk(b"3\r\nabc\r\n2\r\nd").expect("valid"), None);
        assert!(unchunk(b"no\r\n").is_err());
    }

    #[test]
    fn heads_are_read() {
        let head =
            Head::parse(b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\nConnection: close\r\n\r\n").expect("valid");
        assert!(matches!(head, Head { status: 201, length: Length::Known(7), keep: false }));
    }
}
