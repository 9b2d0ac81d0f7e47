//! Follows commands as they are answered: Server-Sent Events, begun anew whenever they end.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::Deserialize;

use super::answers::Silent;
use super::fetch::{self, Asker, Trouble};
use super::place::TailOf;
use super::state::{Event, Followed};
use crate::surface::events::Events;

/// The longest that the API allows; then it is begun anew.
const SECONDS: &str = "600";
/// After a break.
const PAUSE: Duration = Duration::from_secs(1);

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
async fn read(asker: &Asker, number: u64, response: Response) -> Option<String> {
    let mut events = Events::new(response);
    loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Some("the live tail broke off".into()),
            Err(broken) => return Some(broken.to_string()),
        };
        let data = &event.data;
        let what = match event.name.as_str() {
            "command" => serde_json::from_str(data).map(|command| Followed::Command(Box::new(command))),
            "missed" => serde_json::from_str::<Missed>(data).map(|missed| Followed::Missed(missed.count)),
            "silent" => serde_json::from_str::<Silent>(data).map(Followed::Silent),
            "end" => return None,
            _ => continue,
        };
        match what {
            Ok(what) => asker.tell(Event::Followed { number, what }).await,
            Err(error) => return Some(format!("the live tail sends something else: {error}")),
        }
    }
}
