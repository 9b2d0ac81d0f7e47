//! `nakku tail`: commands as they are answered.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::Key;
use nakku_cluster::inspect::report::TailEntry;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::events::{Event, Events};
use super::watch::Silent;
use super::{Look, address, completion, kind, trace, units};
use crate::cli::client::{Client, Listener};
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show;

/// For how long a node tells at most; then it is asked again.
const SECONDS_MAX: u64 = 600;
/// A stream is given up so long after it should have ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a stream that broke is asked for again, and how long between.
const TRIES: u32 = 10;
const TRY_EVERY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Args)]
pub struct Tail {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Of this kind only
    #[arg(long, add = ArgValueCompleter::new(completion::kinds))]
    pub kind: Option<String>,
    /// Of entities with this key only
    #[arg(long)]
    pub key: Option<String>,
    /// Of this trace only: its id, 32 hexadecimal digits
    #[arg(long, value_name = "ID")]
    pub trace: Option<String>,
    /// End after so many seconds; without it at Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
}

/// A command and the node that answered it.
#[derive(Debug, Deserialize)]
pub struct Told {
    /// `name@generation`.
    pub node: String,
    /// What it tells.
    #[serde(flatten)]
    pub entry: TailEntry,
}

#[derive(Deserialize)]
struct Missed {
    node: String,
    count: u64,
}

/// How a stream ended.
enum End {
    /// Its time was over.
    Over,
    /// Nobody reads what is printed.
    Unread,
}

/// Prints commands until the time is over, or Ctrl-C.
pub async fn tail(arguments: &Tail) -> Done {
    tokio::select! {
        done = follow(arguments) => done,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// A line for one command.
pub fn line(told: &Told) -> String {
    let Told { node, entry } = told;
    let (at, took) = (units::clock(entry.at_ms), units::micros(entry.took_us));
    let mut line = format!("{at}  {node}  {}  {}  {} in {took}", entry.entity, entry.command, entry.outcome);
    if !entry.trace.is_empty() {
        line.push_str("  ");
        line.push_str(&entry.trace);
    }
    line
}

async fn follow(arguments: &Tail) -> Done {
    let kind = arguments.kind.as_deref().map(kind::named).transpose()?;
    let key = arguments.key.as_deref().map(Key::new).transpose().map_err(|error| Wrong::Usage(error.to_string()))?;
    let trace = arguments.trace.as_deref().map(trace::id).transpose()?;
    let until = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut tries = None;
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_millis().div_ceil(1000));
        let seconds = left.map_or(SECONDS_MAX, |left| u64::try_from(left).unwrap_or(SECONDS_MAX).min(SECONDS_MAX));
        if seconds == 0 {
            return Ok(());
        }
        let query = [
            ("kind", kind.clone()),
            ("key", key.as_ref().map(Key::to_string)),
            ("trace", trace.clone()),
            ("seconds", Some(seconds.to_string())),
        ];
        let path = address::path(&["tail"], &query)?;
        // Another node of a local cluster is found when the one before is gone.
        let client = arguments.look.client.client(Listener::Admin)?;
        match stream(&client, &path, seconds, arguments.look.json, &mut tries).await {
            Ok(End::Over) => {}
            Ok(End::Unread) => return Ok(()),
            Err(wrong) => match (&wrong, tries) {
                (Wrong::Failed(message), Some(before)) if before < TRIES => {
                    eprintln!("nakku: {message}; trying again");
                    tries = Some(before + 1);
                    tokio::time::sleep(TRY_EVERY).await;
                }
                _ => return Err(wrong),
            },
        }
    }
}

/// One stream to its end. From the first one that was granted on a failure may pass.
async fn stream(client: &Client, path: &str, seconds: u64, json: bool, tries: &mut Option<u32>) -> Result<End, Wrong> {
    let longest = Duration::from_secs(seconds) + PATIENCE;
    let mut events = Events::new(client.stream(path, longest).await?);
    *tries = Some(0);
    while let Some(event) = events.next().await.map_err(Wrong::failed)? {
        if event.name == "end" {
            return Ok(End::Over);
        }
        if !tell(&event, json)? {
            return Ok(End::Unread);
        }
    }
    Err(Wrong::Failed(format!("{} has ended the stream", client.endpoint())))
}

/// Prints an event, and says whether somebody still reads.
fn tell(event: &Event, json: bool) -> Result<bool, Wrong> {
    let wrong = |error| Wrong::Failed(format!("event {:?} can't be read: {error}", event.name));
    if json {
        let mut data: Map<String, Value> = serde_json::from_str(&event.data).map_err(wrong)?;
        data.insert("event".to_owned(), event.name.as_str().into());
        return show::told(&format!("{}\n", Value::Object(data)));
    }
    match event.name.as_str() {
        "command" => {
            let told: Told = serde_json::from_str(&event.data).map_err(wrong)?;
            return show::told(&format!("{}\n", line(&told)));
        }
        "missed" => {
            let Missed { node, count } = serde_json::from_str(&event.data).map_err(wrong)?;
            eprintln!("nakku: {count} commands of {node} came too fast and are not shown; narrow down what is shown");
        }
        "silent" => {
            let Silent { node, reason } = serde_json::from_str(&event.data).map_err(wrong)?;
            eprintln!("nakku: no answer from {node}: {reason}");
        }
        _ => {}
    }
    Ok(true)
}
