//! `nakku completion`: shells ask this program what may come next, so that names of nodes and services are those of the
//! cluster that runs.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use nakku_cluster::status::ClusterStatus;

use super::kind;
use crate::cli::arguments::Arguments;
use crate::cli::client::{ClientArguments, Listener};
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show;

/// Set by the shell when it asks; not among the NAKKU_ variables, which are settings.
const VARIABLE: &str = "_NAKKU_COMPLETE";
/// Nobody waits longer for a name.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Args)]
pub struct Completion {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Shells that can ask.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    /// source <(nakku completion bash), in ~/.bashrc
    Bash,
    /// eval (nakku completion elvish | slurp), in ~/.elvish/rc.elv
    Elvish,
    /// nakku completion fish | source, in ~/.config/fish/config.fish
    Fish,
    /// nakku completion powershell | Out-String | Invoke-Expression, in $PROFILE
    Powershell,
    /// source <(nakku completion zsh), in ~/.zshrc
    Zsh,
}

/// Where the client arguments of a line are, whatever else is on it.
#[derive(Parser)]
struct Client {
    #[command(flatten)]
    client: ClientArguments,
}

/// Answers a shell that asks and ends the program; otherwise does nothing.
pub fn answer() {
    CompleteEnv::with_factory(Arguments::command).var(VARIABLE).complete();
}

/// Prints what makes a shell ask.
pub fn print(arguments: &Completion) -> Done {
    let shells = Shells::builtins();
    let name = arguments.shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let shell = shells.completer(&name).ok_or_else(|| Wrong::Usage(format!("{name} can't ask for completions")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "nakku", "nakku", &program()?, &mut script)?;
    show::line(&String::from_utf8_lossy(&script))
}

/// Names of nodes.
pub fn nodes(begun: &OsStr) -> Vec<CompletionCandidate> {
    let nodes = status().map(|status| status.nodes).unwrap_or_default();
    candidates(begun, nodes.into_iter().map(|node| (node.name, node.state)))
}

/// Names of services.
pub fn services(begun: &OsStr) -> Vec<CompletionCandidate> {
    match status() {
        Some(status) => candidates(begun, status.services.into_iter().map(|service| (service.name, String::new()))),
        None => {
            let own = nakku_actors::services().into_iter();
            candidates(begun, own.map(|service| (service.name.to_owned(), String::new())))
        }
    }
}

/// Kinds of entities.
pub fn kinds(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, kind::all().into_iter().map(|kind| (kind, String::new())))
}

fn candidates(begun: &OsStr, names: impl Iterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let fitting = names.filter(|(name, _)| name.starts_with(&*begun));
    fitting.map(|(name, help)| CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.into()))).collect()
}

/// What the cluster that the line means says of itself; without an answer nothing is completed.
fn status() -> Option<ClusterStatus> {
    let client = client_arguments(std::env::args()).client(Listener::Admin).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async { tokio::time::timeout(PATIENCE, client.get("/admin/v1/status")).await };
    serde_json::from_value(runtime.block_on(asked).ok()?.ok()?).ok()
}

/// `--endpoint`, `--token` and `--data` of a line that is not finished yet, else what the environment says.
fn client_arguments(line: impl Iterator<Item = String>) -> ClientArguments {
    let mut own = vec!["nakku".to_owned()];
    let mut words = line.peekable();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if !matches!(name, "--endpoint" | "--token" | "--data") {
            continue;
        }
        if let Some(value) = value.map(str::to_owned).or_else(|| words.peek().cloned()) {
            own.push(format!("{name}={value}"));
        }
    }
    let parsed = Client::try_parse_from(&own).or_else(|_| Client::try_parse_from(["nakku"]));
    parsed.map(|found| found.client).unwrap_or_else(|_| ClientArguments {
        endpoint: None,
        token: None,
        data: crate::dev::DATA_DEFAULT.into(),
    })
}

/// How the shell calls this program: as it was called now, so that a newer one is found under the same name.
fn program() -> Result<String, Wrong> {
    let called = std::env::args().next().unwrap_or_default();
    if called.contains('/') { Ok(std::env::current_exe()?.display().to_string()) } else { Ok(called) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_which_cluster_is_meant() {
        let line = "nakku -- nakku drain --endpoint http://10.0.0.1:7947 --data=/tmp/x no";
        let found = client_arguments(line.split(' ').map(str::to_owned));
        assert_eq!(found.endpoint.as_deref(), Some("http://10.0.0.1:7947"));
        assert_eq!(found.data.to_str(), Some("/tmp/x"));
        let unfinished = client_arguments("nakku -- nakku drain --endpoint".split(' ').map(str::to_owned));
        assert_eq!(unfinished.data.to_str(), Some(crate::dev::DATA_DEFAULT));
    }
}
