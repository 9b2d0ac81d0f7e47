//! What changes something: shards, nodes and entities. Every act has a reason, which the nodes keep in their log.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entity::Named;
use super::watch::{Silent, silent_lines};
use super::{Look, address, completion, kind};
use crate::cli::client::Listener;
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show;

/// The longest reason, in characters.
const REASON_MAX: usize = 200;

/// Whom to ask, and why.
#[derive(Clone, Debug, Args)]
pub struct Because {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Why; it is kept in the log
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: String,
}

/// `nakku move`.
#[derive(Debug, Args)]
pub struct Move {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// The service
    #[arg(add = ArgValueCompleter::new(completion::services))]
    pub service: String,
    /// The shard's number
    pub shard: u32,
    /// The node that shall have it
    #[arg(add = ArgValueCompleter::new(completion::nodes))]
    pub node: String,
}

/// `nakku unpin`.
#[derive(Debug, Args)]
pub struct Unpin {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// The service
    #[arg(add = ArgValueCompleter::new(completion::services))]
    pub service: String,
    /// The shard's number
    pub shard: u32,
}

/// `nakku drain`, `nakku undrain`.
#[derive(Debug, Args)]
pub struct OneNode {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// The node
    #[arg(add = ArgValueCompleter::new(completion::nodes))]
    pub node: String,
}

/// `nakku log-level`.
#[derive(Debug, Args)]
pub struct LogLevel {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// The node
    #[arg(add = ArgValueCompleter::new(completion::nodes))]
    pub node: String,
    /// What it logs, such as debug, or nakku_cluster=debug,info
    pub directives: String,
    /// For how long; then it logs as it is set again
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub seconds: u64,
}

/// `nakku rebalancing`.
#[derive(Debug, Subcommand)]
pub enum Rebalancing {
    /// Keep every shard where it is
    Pause(Because),
    /// Place shards anew, as nodes come and go
    Resume(Because),
}

/// `nakku passivate`, `nakku restart`, `nakku release`.
#[derive(Debug, Args)]
pub struct OneEntity {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// Which
    #[command(flatten)]
    pub named: Named,
}

/// `nakku passivate-matching`.
#[derive(Debug, Args)]
pub struct PassivateMatching {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Which
    #[command(flatten)]
    pub filter: Filter,
    /// Do it, after saying how many
    #[arg(long, requires = "reason")]
    pub yes: bool,
    /// Why; it is kept in the log
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<String>,
}

/// Loaded entities that fit all that is given; something must be.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Filter {
    /// Of this kind
    #[arg(long, add = ArgValueCompleter::new(completion::kinds))]
    pub kind: Option<String>,
    /// In shards of this number
    #[arg(long, value_name = "NUMBER")]
    pub shard: Option<u32>,
    /// Not asked anything for so many milliseconds
    #[arg(long, value_name = "MS")]
    pub idle_ms: Option<u64>,
}

/// Puts a shard on a node.
pub async fn move_shard(arguments: &Move) -> Done {
    let Move { because, service, shard, node } = arguments;
    let body = json!({ "reason": because.reason, "node": node });
    let steps = ["shards", service, &shard.to_string(), "move"];
    let told = format!("{service}/{shard} goes to {node} and stays there until it is unpinned");
    change(&because.look, &steps, &body, &told).await
}

/// Gives a shard back to placement.
pub async fn unpin(arguments: &Unpin) -> Done {
    let Unpin { because, service, shard } = arguments;
    let steps = ["shards", service, &shard.to_string(), "unpin"];
    change(&because.look, &steps, &because.body(), &format!("{service}/{shard} goes where placement puts it")).await
}

/// Takes all shards from a node.
pub async fn drain(one: &OneNode) -> Done {
    let told = format!("the shards of {0} go to others, as nakku shards --node {0} shows", one.node);
    change(&one.because.look, &["nodes", &one.node, "drain"], &one.because.body(), &told).await
}

/// Gives a node its share again.
pub async fn undrain(one: &OneNode) -> Done {
    let told = format!("{} gets its share of the shards again", one.node);
    change(&one.because.look, &["nodes", &one.node, "undrain"], &one.because.body(), &told).await
}

/// Has a node log otherwise for a time.
pub async fn log_level(arguments: &LogLevel) -> Done {
    let LogLevel { because, node, directives, seconds } = arguments;
    let body = json!({ "reason": because.reason, "directives": directives, "for_s": seconds });
    let answer = post(&because.look, &["nodes", node, "log-level"], &body).await?;
    if because.look.json {
        return show::as_json(&answer);
    }
    show::line(&format!("{node} logs {directives} for {seconds} s"))
}

/// Pauses or resumes moves.
pub async fn rebalancing(command: &Rebalancing) -> Done {
    let (because, act, told) = match command {
        Rebalancing::Pause(because) => (because, "pause", "every shard stays where it is until rebalancing is resumed"),
        Rebalancing::Resume(because) => (because, "resume", "shards are placed anew as nodes come and go"),
    };
    change(&because.look, &["rebalancing", act], &because.body(), told).await
}

/// Sends an entity out of the memory.
pub async fn passivate(one: &OneEntity) -> Done {
    let not = "is not in memory, or commands wait for it: nothing was done";
    act(one, "passivate", "has left the memory", not).await
}

/// Reads an entity anew.
pub async fn restart(one: &OneEntity) -> Done {
    act(one, "restart", "is read anew", "is not in memory: there is nothing to restart").await
}

/// Tries an entity again that was set aside.
pub async fn release(one: &OneEntity) -> Done {
    act(one, "release", "is tried again", "is not quarantined: nothing was done").await
}

/// Counts what matches, and sends it out of the memory if that is wanted.
pub async fn passivate_matching(arguments: &PassivateMatching) -> Done {
    let kind = arguments.filter.kind.as_deref().map(kind::named).transpose()?;
    let mut body = json!({ "dry_run": true });
    if let Some(kind) = kind {
        body["kind"] = kind.into();
    }
    if let Some(shard) = arguments.filter.shard {
        body["shard"] = shard.into();
    }
    if let Some(idle_ms) = arguments.filter.idle_ms {
        body["idle_ms"] = idle_ms.into();
    }
    if let Some(reason) = &arguments.reason {
        body["reason"] = reason.as_str().into();
    }
    let json = arguments.look.json;
    let steps = ["entities", "passivate"];
    let mut answer = post(&arguments.look, &steps, &body).await?;
    if !json {
        let Passivated { entities, silent } = passivated(&answer)?;
        show::line(&format!("{entities} entities match and can leave the memory{}", silent_lines(&silent)))?;
    }
    if arguments.yes {
        body["dry_run"] = false.into();
        answer = post(&arguments.look, &steps, &body).await?;
        if !json {
            let Passivated { entities, silent } = passivated(&answer)?;
            show::line(&format!("{entities} entities have left the memory{}", silent_lines(&silent)))?;
        }
    } else if !json {
        show::line("nothing was done; --yes --reason REASON does it")?;
    }
    if json { show::as_json(&answer) } else { Ok(()) }
}

#[derive(Deserialize)]
struct Passivated {
    entities: u64,
    #[serde(default)]
    silent: Vec<Silent>,
}

impl Because {
    pub(super) fn body(&self) -> Value {
        json!({ "reason": self.reason })
    }
}

/// As the nodes want it, so that nothing has been sent when it is refused.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say why".to_owned()),
        1..=REASON_MAX if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(format!("a reason has at most {REASON_MAX} characters on one line")),
    }
}

async fn change(look: &Look, steps: &[&str], body: &Value, told: &str) -> Done {
    let answer = post(look, steps, body).await?;
    if look.json {
        return show::as_json(&answer);
    }
    show::line(&format!("{told} (view {})", answer["view_version"]))
}

async fn act(one: &OneEntity, act: &str, done: &str, not: &str) -> Done {
    let (kind, key) = one.named.parts()?;
    let answer = post(&one.because.look, &["entities", &kind, &key, act], &one.because.body()).await?;
    if one.because.look.json {
        show::as_json(&answer)?;
    }
    if answer["entities"] == 0 {
        return Err(Wrong::Failed(format!("{kind}/{key} {not}")));
    }
    if one.because.look.json { Ok(()) } else { show::line(&format!("{kind}/{key} {done}")) }
}

pub(super) async fn post(look: &Look, steps: &[&str], body: &Value) -> Result<Value, Wrong> {
    let path = address::path(steps, &[])?;
    let client = look.client.client(Listener::Admin)?;
    client.send(Method::POST, &path, &[], Some(body)).await?.succeeded(&format!("POST {path}"))
}

fn passivated(answer: &Value) -> Result<Passivated, Wrong> {
    Passivated::deserialize(answer).map_err(|error| Wrong::Failed(format!("the answer can't be read: {error}")))
}
