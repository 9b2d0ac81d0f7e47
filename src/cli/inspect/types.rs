//! `nakku types` and `nakku top`: what is asked, how it ends, and who stands out.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::inspect::report::{CommandReport, TopEntry, TypeReport};

use super::watch::{self, Page, Watched};
use super::{address, completion, kind, units};
use crate::cli::outcome::Done;
use crate::cli::show::{self, Column::Number, Column::Text};

/// How a command ends that was done.
const ACCEPTED: &str = "accepted";

/// `nakku types`.
#[derive(Debug, Args)]
pub struct Types {
    /// Once, or again and again
    #[command(flatten)]
    pub watched: Watched,
    /// This kind only, such as cart or order.order, with its commands
    #[arg(long, add = ArgValueCompleter::new(completion::kinds))]
    pub kind: Option<String>,
    /// On this node only
    #[arg(long, add = ArgValueCompleter::new(completion::nodes))]
    pub node: Option<String>,
    /// With the commands of every kind, by node
    #[arg(long)]
    pub commands: bool,
}

/// `nakku top`.
#[derive(Debug, Args)]
pub struct Top {
    /// Once, or again and again
    #[command(flatten)]
    pub watched: Watched,
    /// By what they stand out
    #[arg(long, value_enum, default_value_t = By::Messages)]
    pub by: By,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// On this node only
    #[arg(long, add = ArgValueCompleter::new(completion::nodes))]
    pub node: Option<String>,
}

/// By what entities stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Commands a second
    Messages,
    /// Time spent deciding
    Time,
    /// Commands that wait right now
    Mailbox,
    /// Size of the state
    State,
}

/// Lists kinds of entities.
pub async fn types(arguments: &Types) -> Done {
    let kind = arguments.kind.as_deref().map(kind::named).transpose()?;
    let commands = arguments.commands || kind.is_some();
    let path = address::path(&["types"], &[("kind", kind), ("node", arguments.node.clone())])?;
    watch::list(&arguments.watched, &path, |types, page| types_text(types, commands, page)).await
}

/// Lists the entities that stand out.
pub async fn top(arguments: &Top) -> Done {
    let by = arguments.by;
    let query = [
        ("by", Some(by.name().to_owned())),
        ("limit", Some(arguments.limit.to_string())),
        ("node", arguments.node.clone()),
    ];
    let path = address::path(&["top"], &query)?;
    watch::list(&arguments.watched, &path, |entries, page| top_text(entries, by, page)).await
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Time => "time",
            Self::Mailbox => "mailbox",
            Self::State => "state",
        }
    }
}

/// A line for each kind over all nodes, and perhaps one for each command on each node.
pub fn types_text(types: &[TypeReport], commands: bool, page: &Page) -> String {
    let mut kinds: BTreeMap<&str, Vec<&TypeReport>> = BTreeMap::new();
    for one in types {
        kinds.entry(&one.kind).or_default().push(one);
    }
    let (used, unused): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|(_, reports)| reports.iter().any(is_used));
    let mut parts = Vec::new();
    if !used.is_empty() {
        parts.push(kinds_table(&used, page));
    }
    if !unused.is_empty() {
        let names: Vec<&str> = unused.iter().map(|(kind, _)| *kind).collect();
        parts.push(format!("asked nothing so far: {}", names.join(", ")));
    }
    if commands && types.iter().any(|one| !one.commands.is_empty()) {
        parts.push(commands_table(types, page));
    }
    if parts.is_empty() { "(none)".into() } else { parts.join("\n\n") }
}

/// A line for each entity, the first stands out most.
pub fn top_text(entries: &[TopEntry], by: By, page: &Page) -> String {
    if entries.is_empty() {
        return "(none)".into();
    }
    let head = match by {
        By::Messages => "commands a second",
        By::Time => "time a second",
        By::Mailbox => "commands waiting",
        By::State => "state",
    };
    let value = |value: f64| match by {
        By::Messages => units::rate(value),
        By::Time => units::micros_of(value),
        By::Mailbox => format!("{value:.0}"),
        By::State => units::bytes(value),
    };
    let rows = entries.iter().enumerate().map(|(index, entry)| {
        vec![(index + 1).to_string(), value(entry.value), entry.entity.clone(), entry.node.clone()]
    });
    show::table(page.width, &[Number("#"), Number(head), Text("entity"), Text("node")], rows)
}

fn is_used(report: &&TypeReport) -> bool {
    report.loaded + report.waiting + report.passivated + report.restarted + report.quarantined > 0
        || report.commands.iter().any(|command| command.count > 0)
}

fn kinds_table(kinds: &[(&str, Vec<&TypeReport>)], page: &Page) -> String {
    let columns = [
        Text("kind"),
        Number("loaded"),
        Number("waiting"),
        Number("commands"),
        Number("a second"),
        Number("not accepted"),
        Number("slowest p99"),
        Number("passivated"),
        Number("restarted"),
        Number("quarantined"),
    ];
    let rows = kinds.iter().map(|(kind, reports)| {
        let sum = |of: fn(&TypeReport) -> u64| reports.iter().map(|one| of(one)).sum::<u64>().to_string();
        let commands = || reports.iter().flat_map(|one| &one.commands);
        vec![
            (*kind).to_owned(),
            sum(|one| one.loaded),
            sum(|one| one.waiting),
            commands().map(|command| command.count).sum::<u64>().to_string(),
            units::rate(commands().map(|command| command.per_s).sum()),
            commands().map(not_accepted).sum::<u64>().to_string(),
            within(commands().map(|command| command.p99_us).max().unwrap_or_default()),
            sum(|one| one.passivated),
            sum(|one| one.restarted),
            sum(|one| one.quarantined),
        ]
    });
    show::table(page.width, &columns, rows)
}

fn commands_table(types: &[TypeReport], page: &Page) -> String {
    let columns = [
        Text("kind"),
        Text("command"),
        Text("node"),
        Number("commands"),
        Number("a second"),
        Number("p50"),
        Number("p95"),
        Number("p99"),
        Text("not accepted"),
    ];
    let mut all: Vec<(&TypeReport, &CommandReport)> =
        types.iter().flat_map(|one| one.commands.iter().map(move |command| (one, command))).collect();
    all.sort_by(|(one, of_one), (other, of_other)| {
        (&one.kind, &of_one.command, &one.node).cmp(&(&other.kind, &of_other.command, &other.node))
    });
    let rows = all.into_iter().map(|(one, command)| {
        let ends = command.outcomes.iter().filter(|(outcome, count)| *outcome != ACCEPTED && **count > 0);
        vec![
            one.kind.clone(),
            command.command.clone(),
            one.node.clone(),
            command.count.to_string(),
            units::rate(command.per_s),
            within(command.p50_us),
            within(command.p95_us),
            within(command.p99_us),
            ends.map(|(outcome, count)| format!("{outcome} {count}")).collect::<Vec<_>>().join(", "),
        ]
    });
    show::table(page.width, &columns, rows)
}

fn not_accepted(command: &CommandReport) -> u64 {
    command.outcomes.iter().filter(|(outcome, _)| *outcome != ACCEPTED).map(|(_, count)| count).sum()
}

/// Nothing where nothing was answered lately.
fn within(us: u64) -> String {
    if us == 0 { String::new() } else { units::micros(us) }
}
