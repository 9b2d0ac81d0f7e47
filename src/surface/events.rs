//! Server-Sent Events of the admin API, as they come.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;

/// The longest event.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// A stream on which nothing comes for so long is dead: nodes send a sign of life every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// A stream that did not end as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: String,
}

/// What is read of a stream.
pub struct Events {
    response: Response,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl Events {
    /// Of a stream that was granted.
    pub fn new(response: Response) -> Self {
        Self { response, parser: Parser::default(), ready: VecDeque::new() }
    }

    /// The next one; none when the stream is over.
    ///
    /// # Errors
    /// When the connection breaks, or nothing comes any more.
    pub async fn next(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let node = self.response.url().authority().to_owned();
            let chunk = tokio::time::timeout(SILENCE_MAX, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| Broken(format!("{node} says nothing any more")))?;
            let chunk = chunk.map_err(|error| Broken(format!("the stream of {node} broke: {error}")))?;
            let Some(chunk) = chunk else { return Ok(None) };
            self.ready.extend(self.parser.feed(&chunk));
            if self.parser.held() > EVENT_BYTES_MAX {
                return Err(Broken(format!("an event of more than {EVENT_BYTES_MAX} bytes came")));
            }
        }
    }
}

/// Lines become fields, fields events; comments keep the connection alive and are no more.
#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    event: Event,
}

impl Parser {
    fn held(&self) -> usize {
        self.line.len() + self.event.data.len()
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                _ => {}
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let stream =
            ": alive\n\nevent: command\r\ndata: {\"a\":\r\ndata: \"ä\"}\r\n\r\nevent: end\ndata:{}\n\nevent: x\n\n";
        let wanted = [
            Event { name: "command".into(), data: "{\"a\":\n\"ä\"}".into() },
            Event { name: "end".into(), data: "{}".into() },
        ];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> = stream.as_bytes().chunks(size).flat_map(|chunk| parser.feed(chunk)).collect();
            assert_eq!(events, wanted, "in chunks of {size} bytes");
        }
    }
}
