//! `nakku webhooks`: endpoints to which events are sent.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ClientArguments, Listener};
use super::outcome::{Done, Wrong};
use super::show;

const PATH: &str = "/admin/v1/webhooks";
/// Webhooks of one page.
const PAGE: usize = 200;

/// `nakku webhooks`.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// List them
    List(List),
    /// Send events to an endpoint from now on; prints the secret by which it knows them, once
    Add(Add),
    /// Print one with its latest attempts, as JSON
    Show(One),
    /// Send nothing to it any more, and forget what is kept of it
    Remove(One),
    /// Send events again to one that was disabled, from now on
    Enable(One),
    /// Send events again that were delivered or have failed
    Replay(Replay),
}

/// `nakku webhooks list`.
#[derive(Debug, Args)]
pub struct List {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nakku webhooks add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Where events are sent, such as https://example.com/events
    pub url: String,
    /// Names of events, such as order.confirmed, or families, such as order.*
    #[arg(required = true, value_name = "TYPE")]
    pub types: Vec<String>,
}

/// One of those that `list` prints.
#[derive(Debug, Args)]
pub struct One {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Its id
    pub id: String,
}

/// `nakku webhooks replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Its id
    pub id: String,
    /// Ids of events
    #[arg(value_name = "EVENT", required_unless_present = "failed", conflicts_with = "failed")]
    pub events: Vec<String>,
    /// All that failed, as far as they are kept
    #[arg(long)]
    pub failed: bool,
}

/// Does what was asked for.
pub async fn run(command: &Webhooks) -> Done {
    match command {
        Webhooks::List(arguments) => list(arguments).await,
        Webhooks::Add(arguments) => {
            let body = json!({ "url": arguments.url, "types": arguments.types });
            let made = send(&arguments.client, Method::POST, PATH, Some(&body)).await?;
            show::line(&format!("id      {}", text(&made["id"])))?;
            show::line(&format!("secret  {} (shown this once; the endpoint verifies with it)", text(&made["secret"])))
        }
        Webhooks::Show(one) => {
            let mut shown = send(&one.client, Method::GET, &one.path(), None).await?;
            let log = send(&one.client, Method::GET, &format!("{}/attempts", one.path()), None).await?;
            shown["attempts"] = log["items"].clone();
            show::as_json(&shown)
        }
        Webhooks::Remove(one) => {
            send(&one.client, Method::DELETE, &one.path(), None).await?;
            show::line(&format!("{} was removed", one.id))
        }
        Webhooks::Enable(one) => {
            send(&one.client, Method::PATCH, &one.path(), Some(&json!({ "enabled": true }))).await?;
            show::line(&format!("{} is enabled; what failed before is sent by nakku webhooks replay --failed", one.id))
        }
        Webhooks::Replay(arguments) => replay(arguments).await,
    }
}

impl One {
    fn path(&self) -> String {
        format!("{PATH}/{}", self.id)
    }
}

async fn list(arguments: &List) -> Done {
    let client = arguments.client.client(Listener::Admin)?;
    let mut items: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = client.get(&format!("{PATH}?limit={PAGE}{after}")).await?;
        if let Value::Array(found) = page["items"].take() {
            items.extend(found);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let columns = ["id", "url", "enabled", "disabled_detail"];
    let rows = items.iter().map(|item| {
        let types: Vec<String> = item["types"].as_array().into_iter().flatten().map(text).collect();
        columns.iter().map(|column| text(&item[*column])).chain([types.join(" ")]).collect()
    });
    show::rows(arguments.json, &items, &["id", "url", "enabled", "disabled because", "types"], rows)
}

async fn replay(arguments: &Replay) -> Done {
    let body = if arguments.failed { json!({ "failed": true }) } else { json!({ "events": arguments.events }) };
    let path = format!("{PATH}/{}/replay", arguments.id);
    let answer = send(&arguments.client, Method::POST, &path, Some(&body)).await?;
    show::line(&format!("{} events are sent again", answer["events"]))?;
    let unknown: Vec<String> = answer["unknown"].as_array().into_iter().flatten().map(text).collect();
    if !unknown.is_empty() {
        return Err(Wrong::Failed(format!("not kept any more: {}", unknown.join(", "))));
    }
    match answer["left"].as_u64().unwrap_or_default() {
        0 => Ok(()),
        left => show::line(&format!("{left} more have no room yet; repeat when the others have been delivered")),
    }
}

async fn send(arguments: &ClientArguments, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Wrong> {
    let client = arguments.client(Listener::Admin)?;
    let asked = format!("{method} {path}");
    client.send(method, path, &[], body).await?.succeeded(&asked)
}

/// A value as a cell of a table.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
