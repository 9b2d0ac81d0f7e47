//! `nakku profile`: what a node's processor does for a time.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::act::Because;
use super::{address, completion};
use crate::cli::client::Listener;
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show;

/// What a node may take beyond the time that is profiled.
const PATIENCE: Duration = Duration::from_secs(30);

/// `nakku profile`.
#[derive(Debug, Args)]
pub struct Profile {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// The node
    #[arg(add = ArgValueCompleter::new(completion::nodes))]
    pub node: String,
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = Format::Flamegraph)]
    pub format: Format,
    /// Where it is written; without it to standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a profile is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for each stack, and how often it was seen
    Folded,
    /// A flame graph, for a browser
    Flamegraph,
}

/// Takes it and writes it.
pub async fn profile(arguments: &Profile) -> Done {
    let Profile { because, node, seconds, format, output } = arguments;
    let format = match format {
        Format::Folded => "folded",
        Format::Flamegraph => "flamegraph",
    };
    let query = [("seconds", Some(seconds.to_string())), ("format", Some(format.to_owned()))];
    let path = address::path(&["nodes", node, "profile"], &query)?;
    let client = because.look.client.client(Listener::Admin)?;
    let longest = Duration::from_secs(u64::from(*seconds)) + PATIENCE;
    let taken = client.download(&path, &because.body(), longest).await?;
    match output {
        Some(file) => {
            std::fs::write(file, &taken)?;
            show::line(&format!("{node} for {seconds} s: {} bytes in {}", taken.len(), file.display()))
        }
        None => std::io::stdout().lock().write_all(&taken).map_err(Wrong::from),
    }
}
