//! Follows commands as they are answered: Server-Sent Events, begun anew whenever they end.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::Deserialize;

use super::answers::Silent;
use super::fetch::{self, Asker, Trouble};
use super::place::TailOf;
use super::state::{Event, Followed};

/// The longest that the API allows; then it is begun anew.
const SECONDS: &str = "600";
/// After a break.
const PAUSE: Duration = Duration::from_secs(1);
/// The server sends something at least every 15 seconds, if only to say that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// No event is longer; a server that sends more without an end is given up.
const EVENT_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct Missed {
    count: u64,
}

/// Follows until it is aborted.
pub async fn follow(asker: Asker, number: u64, of: TailOf) {
    loop {
        let said = match begin(&asker, &of).await {
            Ok(response) => {
                asker.tell(Event::Followed { number, what: Followed::Begun }).await;
                read(&asker, number, response).await
            }
            Err(trouble) => Some(trouble.to_string()),
        };
        if let Some(said) = said {
            asker.tell(Event::Followed { number, what: Followed::Broken(said) }).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn begin(asker: &Asker, of: &TailOf) -> Result<Response, Trouble> {
    let mut query = vec![("seconds", SECONDS.to_owned())];
    query.extend(of.kind.iter().map(|kind| ("kind", kind.clone())));
    query.extend(of.key.iter().map(|key| ("key", key.clone())));
    let response = asker.send(Method::GET, &["tail"], &query, None, None).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    Err(match fetch::answer::<serde_json::Value>(response).await {
        Err(trouble) => trouble,
        Ok(_) => Trouble::Unanswered("the node answers something else".into()),
    })
}

/// Reads until it ends: in good order, or for a reason.
async fn read(asker: &Asker, number: u64, mut response: Response) -> Option<String> {
    let mut events = Events::default();
    loop {
        let chunk = match tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None) | Err(_)) => return Some("the live tail broke off".into()),
            Err(_) => return Some("the live tail has gone silent".into()),
        };
        if !events.take(&chunk) {
            return Some("the live tail sends something else".into());
        }
        while let Some((name, data)) = events.next() {
            let what = match name.as_str() {
                "command" => serde_json::from_str(&data).map(|command| Followed::Command(Box::new(command))),
                "missed" => serde_json::from_str::<Missed>(&data).map(|missed| Followed::Missed(missed.count)),
                "silent" => serde_json::from_str::<Silent>(&data).map(Followed::Silent),
                "end" => return None,
                _ => continue,
            };
            match what {
                Ok(what) => asker.tell(Event::Followed { number, what }).await,
                Err(error) => return Some(format!("the live tail sends something else: {error}")),
            }
        }
    }
}

/// Takes a stream of events apart.
#[derive(Debug, Default)]
struct Events {
    buffer: Vec<u8>,
}

impl Events {
    /// False when an event gets too long.
    fn take(&mut self, chunk: &[u8]) -> bool {
        self.buffer.extend_from_slice(chunk);
        self.buffer.len() <= EVENT_MAX
    }

    /// The next whole event, as its name and data.
    fn next(&mut self) -> Option<(String, String)> {
        let end = self.buffer.windows(2).position(|two| two == b"\n\n")?;
        let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&event);
        let (mut name, mut data) = (String::new(), Vec::new());
        for line in text.lines() {
            match line.split_once(':') {
                Some(("event", value)) => value.trim().clone_into(&mut name),
                Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value)),
                // Comments keep the connection alive.
                _ => {}
            }
        }
        Some((name, data.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let stream = b":\n\nevent: command\ndata: {\"a\":\ndata: 1}\n\nevent: end\ndata: {}\n\nevent: un";
        for cut in 1..stream.len() {
            let mut events = Events::default();
            let mut came = Vec::new();
            for chunk in stream.chunks(cut) {
                assert!(events.take(chunk));
                came.extend(std::iter::from_fn(|| events.next()));
            }
            let expected = [("", ""), ("command", "{\"a\":\n1}"), ("end", "{}")];
            assert_eq!(came, expected.map(|(name, data)| (name.to_owned(), data.to_owned())), "in chunks of {cut}");
        }
    }
}
