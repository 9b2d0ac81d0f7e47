//! `nakku analytics`: has all sums gathered anew.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, ClientArguments, Listener};
use super::outcome::Done;
use super::show;

const PATH: &str = "/admin/v1/analytics/rebuild";
/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `nakku analytics`.
#[derive(Debug, Subcommand)]
pub enum Analytics {
    /// Gather all sums anew from the journals of the services; answers say so until it is over
    Rebuild(Rebuild),
    /// Print how far that is
    Progress(Progress),
}

/// `nakku analytics rebuild`.
#[derive(Debug, Args)]
pub struct Rebuild {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Why, for the log
    #[arg(long)]
    pub reason: String,
    /// Return when it is over
    #[arg(long)]
    pub wait: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nakku analytics progress`.
#[derive(Debug, Args)]
pub struct Progress {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Does what was asked for.
pub async fn run(command: &Analytics) -> Done {
    match command {
        Analytics::Rebuild(arguments) => rebuild(arguments).await,
        Analytics::Progress(arguments) => {
            let client = arguments.client.client(Listener::Admin)?;
            print(&client.get(PATH).await?, arguments.json)
        }
    }
}

async fn rebuild(arguments: &Rebuild) -> Done {
    let client: Client = arguments.client.client(Listener::Admin)?;
    let body = json!({ "reason": arguments.reason });
    let mut progress = client.send(Method::POST, PATH, &[], Some(&body)).await?.succeeded(&format!("POST {PATH}"))?;
    while arguments.wait && progress["intakes_left"] != 0 {
        tokio::time::sleep(LOOK_EVERY).await;
        progress = client.get(PATH).await?;
    }
    print(&progress, arguments.json)
}

fn print(progress: &Value, json: bool) -> Done {
    if json {
        return show::as_json(progress);
    }
    let number = |name: &str| progress[name].as_u64().unwrap_or_default();
    let (intakes, left) = (number("intakes"), number("intakes_left"));
    let read = format!("{} of {} rows read again", number("rows_read"), number("rows"));
    match left {
        0 => show::line(&format!("all {intakes} intakes are whole, {read}"))?,
        _ => show::line(&format!("{left} of {intakes} intakes are being rebuilt, {read}"))?,
    }
    for incomplete in progress["incomplete"].as_array().into_iter().flatten() {
        let intake = incomplete["intake"].as_str().unwrap_or_default();
        let begins_at = &incomplete["begins_at"];
        show::line(&format!("{intake}: rows are gone from the journal, the sums are whole from row {begins_at} on"))?;
    }
    Ok(())
}
