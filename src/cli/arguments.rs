//! Every command with its flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::outcome::Wrong;
use super::{
    analytics, asyncapi, backup, dead_letters, inspect, metrics, openapi, order, promote, status, user, webhooks,
};
use crate::dev;
use crate::settings::Sources;
use crate::settings::table::{self, FILE_SUFFIX};

/// A quick-commerce backend: one cluster of durable actors.
#[derive(Debug, Parser)]
#[command(name = "nakku", version, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong use.")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cluster on this machine, with a shop to try: no servers needed
    Dev(Dev),
    /// Run one node of a cluster
    Node(Node),
    /// Order something over HTTP, step by step
    Order(order::Order),
    /// Manage users
    #[command(subcommand)]
    User(user::User),
    /// Look at events that consumers could not process, and try them again
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Gather the sums of analytics anew
    #[command(subcommand)]
    Analytics(analytics::Analytics),
    /// Send events to endpoints of others, and look at what became of them
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    /// Create the databases, or bring them up to this version
    Migrate(Migrate),
    /// Save all databases of a cluster as of one moment into a folder, while it runs
    Backup(backup::Backup),
    /// Put a backup back into empty databases, while no node runs
    Restore(backup::RestoreArguments),
    /// Go on with a replica that was made the primary: check that the old one is fenced, and have nodes take their
    /// shards anew
    Promote(promote::Promote),
    /// Print the settings in force: value, who set it, default and meaning
    Config(Config),
    /// Print how one node is, and what it depends on
    Health(status::Health),
    /// Print nodes, services, shards and what needs looking at
    Status(status::Status),
    #[command(flatten)]
    #[allow(missing_docs, reason = "the help of each is its own")]
    Inspect(inspect::Inspect),
    /// Look at the cluster in the terminal, live, and act on it
    Tui(crate::tui::run::Tui),
    /// Print the OpenAPI document of the HTTP API
    Openapi(openapi::Openapi),
    /// Print the AsyncAPI document of the events
    Asyncapi(asyncapi::Asyncapi),
    /// Print every metric: name, kind, labels and what it says
    Metrics(metrics::Metrics),
    /// Run a benchmark, with a baseline in the same run
    Bench(Bench),
}

/// Where settings come from, besides defaults and NAKKU_ variables.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingsArguments {
    /// TOML file with settings; NAKKU_CONFIG names one as well
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any setting, such as --set cluster.shards=64; can be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

impl SettingsArguments {
    /// The sources, with further flags of the command itself.
    ///
    /// # Errors
    /// When a `--set` has no `=`, or gives a secret: flags stand in the list of processes.
    pub fn sources(&self, own: Vec<(String, String)>) -> Result<Sources, Wrong> {
        let mut flags = Vec::new();
        for text in &self.set {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| Wrong::Usage(format!("--set {text} sets nothing; write --set NAME=VALUE")))?;
            let name = name.trim();
            if let Some(setting) = table::find(name).filter(|setting| setting.kind.shows_secret(value)) {
                let variable = setting.variable();
                return Err(Wrong::Usage(format!(
                    "--set {name} would show a secret in the list of processes; set {variable}, or name a file by {variable}{FILE_SUFFIX}"
                )));
            }
            flags.push((name.to_owned(), value.to_owned()));
        }
        flags.extend(own);
        Ok(Sources::here(self.config.clone(), flags))
    }
}

/// See [`Command::Dev`].
#[derive(Debug, Args)]
pub struct Dev {
    /// How many nodes; those after the first are processes of their own on free ports
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub nodes: u8,
    /// Port of the API of the first node
    #[arg(long, value_name = "P")]
    pub port: Option<u16>,
    /// Data folder, made where it is missing
    #[arg(long, value_name = "DIR", default_value = dev::DATA_DEFAULT)]
    pub data: PathBuf,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
}

/// See [`Command::Node`].
#[derive(Debug, Args)]
pub struct Node {
    /// Join the cluster that the cluster database holds, never found one: if there is none within 10 s, fail. The
    /// address says which cluster is meant and is not connected to (members are read from the database), so it may
    /// be dead; can be repeated. Without --seed the node joins as well, and founds a cluster where there is none
    #[arg(long, value_name = "HOST:PORT")]
    pub seed: Vec<String>,
    /// What it runs, separated by commas: gateway and any of the services, or all (the default)
    #[arg(long, value_name = "ROLE,…")]
    pub roles: Option<String>,
    /// Its name, unique in the cluster; the machine's unless given
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
}

impl Node {
    /// Its own flags as settings.
    pub fn flags(&self) -> Vec<(String, String)> {
        let mut flags = Vec::new();
        if !self.seed.is_empty() {
            flags.push(("node.seed".to_owned(), self.seed.join(",")));
        }
        let texts = [("node.roles", &self.roles), ("node.name", &self.name)];
        flags.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?))));
        flags
    }
}

/// See [`Command::Migrate`].
#[derive(Debug, Args)]
pub struct Migrate {
    /// After a backup of a service's databases was restored, or a replica promoted, and you have seen what they lack:
    /// go on with what they hold. Nodes refuse an older copy until then
    #[arg(long, value_name = "SERVICE")]
    pub raise_incarnation: Option<String>,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// See [`Command::Config`].
#[derive(Debug, Args)]
pub struct Config {
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print the page of settings (docs/settings.md)
    #[arg(long, conflicts_with = "json")]
    pub docs: bool,
}

/// See [`Command::Bench`].
#[derive(Debug, Args)]
pub struct Bench {
    /// Which; without one they are listed
    pub scenario: Option<String>,
    /// Flags of the scenario
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    pub rest: Vec<String>,
}
