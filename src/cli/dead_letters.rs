//! `nakku dead-letters`: events that consumers could not process.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ClientArguments, Listener};
use super::inspect::act::reason;
use super::outcome::Done;
use super::show;

const PATH: &str = "/admin/v1/dead-letters";

/// `nakku dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them
    List(List),
    /// Print one with its event, as JSON
    Show(One),
    /// Have one processed now, for instance by a version that understands it
    Replay(Replay),
}

/// `nakku dead-letters list`.
#[derive(Debug, Args)]
pub struct List {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Of this consumer group only, such as nakku-analytics
    #[arg(long)]
    pub group: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// One of those that `list` prints.
#[derive(Debug, Args)]
pub struct One {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Its consumer group, such as nakku-analytics
    pub group: String,
    /// The intake that keeps it, such as order-7
    pub intake: String,
    /// Its number there
    pub sequence: u64,
}

/// `nakku dead-letters replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Which
    #[command(flatten)]
    pub one: One,
    /// Why; it is kept in the log
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: String,
}

/// Does what was asked for.
pub async fn run(command: &DeadLetters) -> Done {
    match command {
        DeadLetters::List(arguments) => list(arguments).await,
        DeadLetters::Show(one) => {
            let client = one.client.client(Listener::Admin)?;
            show::as_json(&client.get(&one.path()).await?)
        }
        DeadLetters::Replay(Replay { one, reason }) => {
            let client = one.client.client(Listener::Admin)?;
            let path = format!("{}/replay", one.path());
            client
                .send(Method::POST, &path, &[], Some(&json!({ "reason": reason })))
                .await?
                .succeeded(&format!("POST {path}"))?;
            show::line(&format!("{} {} {} was processed", one.group, one.intake, one.sequence))
        }
    }
}

impl One {
    fn path(&self) -> String {
        format!("{PATH}/{}/{}/{}", self.group, self.intake, self.sequence)
    }
}

async fn list(arguments: &List) -> Done {
    let client = arguments.client.client(Listener::Admin)?;
    let path = match &arguments.group {
        Some(group) => format!("{PATH}?group={group}"),
        None => PATH.to_owned(),
    };
    let body = client.get(&path).await?;
    let columns = ["group", "intake", "sequence", "event_type", "subject", "attempts", "set_aside_at", "reason"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let rows = body["items"].as_array().into_iter().flatten();
    let rows = rows.map(|item| columns.iter().map(|column| text(&item[*column])).collect());
    let heads = ["group", "intake", "sequence", "event", "subject", "attempts", "set aside (ms)", "reason"];
    show::rows(arguments.json, &body["items"], &heads, rows)
}
