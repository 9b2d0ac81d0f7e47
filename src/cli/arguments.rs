//! Every command with its flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::outcome::Wrong;
use crate::settings::Sources;

/// A quick-commerce backend: one cluster of durable actors.
#[derive(Debug, Parser)]
#[command(name = "nakku", version, arg_required_else_help = true, max_term_width = 110)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the settings in force: value, who set it, default and meaning
    Config(Config),
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
    /// When a `--set` has no `=`.
    pub fn sources(&self, own: Vec<(String, String)>) -> Result<Sources, Wrong> {
        let mut flags = Vec::new();
        for text in &self.set {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| Wrong::Usage(format!("--set {text} sets nothing; write --set NAME=VALUE")))?;
            flags.push((name.trim().to_owned(), value.to_owned()));
        }
        flags.extend(own);
        Ok(Sources::here(self.config.clone(), flags))
    }
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
