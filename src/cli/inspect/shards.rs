//! `nakku shards` and `nakku moves`.

use std::collections::BTreeMap;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::inspect::report::{MoveReport, ShardReport};
use serde::Deserialize;

use super::watch::{self, Page, Watched};
use super::{address, completion, units};
use crate::cli::outcome::Done;
use crate::cli::show::{self, Column::Number, Column::Text};

/// Services that are named in one row.
const NAMES_MAX: usize = 2;

/// `nakku shards`.
#[derive(Debug, Args)]
pub struct Shards {
    /// Once, or again and again
    #[command(flatten)]
    pub watched: Watched,
    /// Of this service only
    #[arg(long, add = ArgValueCompleter::new(completion::services))]
    pub service: Option<String>,
    /// On this node only
    #[arg(long, add = ArgValueCompleter::new(completion::nodes))]
    pub node: Option<String>,
    /// A line for each shard
    #[arg(long)]
    pub each: bool,
}

/// `nakku moves`.
#[derive(Debug, Args)]
pub struct Moves {
    /// Once, or again and again
    #[command(flatten)]
    pub watched: Watched,
    /// Of this node only
    #[arg(long, add = ArgValueCompleter::new(completion::nodes))]
    pub node: Option<String>,
    /// A line for each shard
    #[arg(long)]
    pub each: bool,
}

/// A move and the node that tells of it.
#[derive(Debug, Deserialize)]
pub struct Moved {
    /// `name@generation`.
    pub node: String,
    /// What it tells.
    #[serde(flatten)]
    pub report: MoveReport,
}

/// Lists shards.
pub async fn shards(arguments: &Shards) -> Done {
    let query = [("service", arguments.service.clone()), ("node", arguments.node.clone())];
    let path = address::path(&["shards"], &query)?;
    watch::list(&arguments.watched, &path, |shards, page| shards_text(shards, arguments.each, page)).await
}

/// Lists moves, the newest first.
pub async fn moves(arguments: &Moves) -> Done {
    let path = address::path(&["moves"], &[("node", arguments.node.clone())])?;
    watch::list(&arguments.watched, &path, |moves, page| moves_text(moves, arguments.each, page)).await
}

/// A line for each service on each node, or for each shard.
pub fn shards_text(shards: &[ShardReport], each: bool, page: &Page) -> String {
    if shards.is_empty() {
        return "(none)".into();
    }
    if each { each_shard(shards, page) } else { grouped_shards(shards, page) }
}

/// A line for each service, node and view, or for each shard.
pub fn moves_text(moves: &[Moved], each: bool, page: &Page) -> String {
    if moves.is_empty() {
        return "(none)".into();
    }
    let mut groups: Vec<(&Moved, &str, Vec<u32>, u64)> = Vec::new();
    for moved in moves {
        let (service, number) = moved.report.shard.split_once('/').unwrap_or((&moved.report.shard, ""));
        let number = number.parse().unwrap_or_default();
        let same = groups.iter_mut().find(|(one, of, _, _)| {
            !each
                && *of == service
                && one.node == moved.node
                && one.report.what == moved.report.what
                && cause(&one.report) == cause(&moved.report)
                && one.report.view_version == moved.report.view_version
        });
        match same {
            Some((_, _, numbers, took)) => {
                numbers.push(number);
                *took = (*took).max(moved.report.took_ms);
            }
            None => groups.push((moved, service, vec![number], moved.report.took_ms)),
        }
    }
    // Services are placed alike: where the same shards of many come and go, it is told once.
    let mut rows: Vec<(&Moved, Vec<&str>, String, usize, u64)> = Vec::new();
    for (moved, service, numbers, took) in groups {
        let (count, which) = (numbers.len(), units::ranges(numbers));
        let same = rows.iter_mut().find(|(one, _, of, _, _)| {
            !each
                && *of == which
                && one.node == moved.node
                && one.report.what == moved.report.what
                && cause(&one.report) == cause(&moved.report)
                && one.report.view_version == moved.report.view_version
        });
        match same {
            Some((_, services, _, counted, longest)) => {
                services.push(service);
                *counted += count;
                *longest = (*longest).max(took);
            }
            None => rows.push((moved, vec![service], which, count, took)),
        }
    }
    let took = if each { "took" } else { "took at most" };
    let columns = [
        Text("when"),
        Text("node"),
        Text("what"),
        Text("because of"),
        Number("view"),
        Text("service"),
        Number("shards"),
        Text("which"),
        Number(took),
    ];
    let rows = rows.into_iter().map(|(moved, services, which, count, took)| {
        vec![
            units::ago(moved.report.at_ms, page.now),
            moved.node.clone(),
            moved.report.what.clone(),
            cause(&moved.report),
            moved.report.view_version.to_string(),
            if services.len() > NAMES_MAX { format!("{} services", services.len()) } else { services.join(", ") },
            count.to_string(),
            which,
            units::age(took),
        ]
    });
    show::table(page.width, &columns, rows)
}

/// `death, from node-3@1`: why, and who had it or has it.
fn cause(report: &MoveReport) -> String {
    let way = if report.what == "opened" { "from" } else { "to" };
    match &report.other {
        Some(other) => format!("{}, {way} {other}", report.cause),
        None => report.cause.clone(),
    }
}

fn each_shard(shards: &[ShardReport], page: &Page) -> String {
    let columns = [
        Text("shard"),
        Text("node"),
        Number("epoch"),
        Number("last row"),
        Number("loaded"),
        Number("commands"),
        Number("a second"),
        Number("commits/s"),
        Number("batch"),
        Number("p50"),
        Number("p99"),
        Number("behind"),
        Text("marks"),
    ];
    let rows = shards.iter().map(|shard| {
        vec![
            format!("{}/{}", shard.service, shard.number),
            shard.node.clone(),
            shard.term.to_string(),
            shard.seq.to_string(),
            shard.loaded.to_string(),
            shard.commands.to_string(),
            units::rate(shard.commands_per_s),
            units::rate(shard.commits.commits_per_s),
            units::rate(shard.commits.commands_each),
            micros(shard.commits.p50_us),
            micros(shard.commits.p99_us),
            behind(shard),
            marks(shard),
        ]
    });
    show::table(page.width, &columns, rows)
}

/// Nothing where nothing was committed.
fn micros(us: u64) -> String {
    if us == 0 { String::new() } else { units::micros(us) }
}

/// What is not published yet, and since when.
fn behind(shard: &ShardReport) -> String {
    match shard.unpublished {
        0 => String::new(),
        rows => format!("{rows} for {}", units::age(shard.unpublished_ms)),
    }
}

fn marks(shard: &ShardReport) -> String {
    let marks = [(shard.hot, "hot"), (shard.pinned, "pinned")];
    marks.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

fn grouped_shards(shards: &[ShardReport], page: &Page) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&ShardReport>> = BTreeMap::new();
    for shard in shards {
        groups.entry((&shard.service, &shard.node)).or_default().push(shard);
    }
    let columns = [
        Text("service"),
        Text("node"),
        Number("shards"),
        Text("which"),
        Number("loaded"),
        Number("commands"),
        Number("a second"),
        Number("commits/s"),
        Number("slowest p99"),
        Number("behind"),
        Text("busiest"),
        Text("hot"),
        Text("pinned"),
    ];
    let rows = groups.into_iter().map(|((service, node), shards)| {
        let rates = || shards.iter().map(|shard| shard.commands_per_s);
        let busiest = shards.iter().max_by(|one, other| one.commands_per_s.total_cmp(&other.commands_per_s));
        let busiest = busiest.filter(|shard| shard.commands_per_s > 0.0);
        vec![
            service.to_owned(),
            node.to_owned(),
            shards.len().to_string(),
            units::ranges(shards.iter().map(|shard| shard.number)),
            shards.iter().map(|shard| u64::from(shard.loaded)).sum::<u64>().to_string(),
            shards.iter().map(|shard| shard.commands).sum::<u64>().to_string(),
            units::rate(rates().sum()),
            units::rate(shards.iter().map(|shard| shard.commits.commits_per_s).sum()),
            micros(shards.iter().map(|shard| shard.commits.p99_us).max().unwrap_or_default()),
            shards.iter().map(|shard| shard.unpublished).sum::<u64>().to_string(),
            busiest.map_or_else(String::new, |one| format!("{} ({}/s)", one.number, units::rate(one.commands_per_s))),
            units::ranges(shards.iter().filter(|shard| shard.hot).map(|shard| shard.number)),
            units::ranges(shards.iter().filter(|shard| shard.pinned).map(|shard| shard.number)),
        ]
    });
    show::table(page.width, &columns, rows)
}
