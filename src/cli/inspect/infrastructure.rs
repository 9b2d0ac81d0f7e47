//! `nakku infrastructure`: what works behind the shards, and what the nodes rest on.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::inspect::infrastructure::InfrastructureReport;

use super::watch::{self, Page, Watched};
use super::{address, completion, units};
use crate::cli::outcome::Done;
use crate::cli::show::{self, Column::Number, Column::Text};
use crate::surface::infrastructure;

/// See the module.
#[derive(Debug, Args)]
pub struct Infrastructure {
    /// Once, or again and again
    #[command(flatten)]
    pub watched: Watched,
    /// Of this node only
    #[arg(long, add = ArgValueCompleter::new(completion::nodes))]
    pub node: Option<String>,
}

/// Lists it.
pub async fn infrastructure(arguments: &Infrastructure) -> Done {
    let path = address::path(&["infrastructure"], &[("node", arguments.node.clone())])?;
    watch::list(&arguments.watched, &path, text).await
}

/// A table for each part, and under them what goes wrong.
pub fn text(nodes: &[InfrastructureReport], page: &Page) -> String {
    if nodes.is_empty() {
        return "(none)".into();
    }
    let tables = [writers(nodes, page), servers(nodes, page), publishers(nodes, page), consumers(nodes, page)];
    let mut text = tables.join("\n\n");
    let trouble = infrastructure::trouble(nodes, page.now);
    if !trouble.is_empty() {
        text.push_str("\n\n");
        text.push_str(&trouble.join("\n"));
    }
    text
}

fn writers(nodes: &[InfrastructureReport], page: &Page) -> String {
    let columns = [
        Text("journal writer"),
        Text("node"),
        Number("lane"),
        Number("queue"),
        Number("transactions a second"),
        Number("commands each"),
        Number("rows each"),
        Number("p50"),
        Number("p99"),
        Number("failed"),
    ];
    let all = nodes.iter().flat_map(|node| node.writers.iter().map(move |writer| (node, writer)));
    let rows = all.map(|(node, writer)| {
        let commits = &writer.commits;
        vec![
            writer.location.clone(),
            node.node.clone(),
            writer.lane.to_string(),
            format!("{} of {}", writer.queue, writer.queue_max),
            units::rate(commits.commits_per_s),
            units::rate(commits.commands_each),
            units::rate(commits.rows_each),
            units::micros(commits.p50_us),
            units::micros(commits.p99_us),
            writer.failures.values().sum::<u64>().to_string(),
        ]
    });
    show::table(page.width, &columns, rows)
}

fn servers(nodes: &[InfrastructureReport], page: &Page) -> String {
    let columns =
        [Text("server"), Text("node"), Text("state"), Number("last use"), Text("location"), Text("incarnation")];
    let rows = nodes.iter().flat_map(|node| {
        let stores = node.stores.iter().map(|store| {
            let mut numbers: Vec<u64> = store.incarnations.values().copied().collect();
            numbers.sort_unstable();
            numbers.dedup();
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            (&store.server, numbers.join(", "))
        });
        let others = node.others.iter().map(|server| (server, String::new()));
        stores.chain(others).map(move |(server, incarnation)| {
            let state = if server.up { "up" } else { "down" }.to_owned();
            let (name, latency) = (server.name.clone(), units::micros(server.latency_us));
            vec![name, node.node.clone(), state, latency, server.location.clone(), incarnation]
        })
    });
    show::table(page.width, &columns, rows)
}

fn publishers(nodes: &[InfrastructureReport], page: &Page) -> String {
    let columns = [
        Text("publisher"),
        Text("node"),
        Number("rows behind"),
        Number("for"),
        Number("published"),
        Number("failed rounds"),
    ];
    let all = nodes.iter().flat_map(|node| node.publishers.iter().map(move |one| (node, one)));
    let rows = all.map(|(node, one)| {
        vec![
            one.service.clone(),
            node.node.clone(),
            one.unpublished.to_string(),
            if one.unpublished > 0 { units::age(one.unpublished_ms) } else { String::new() },
            one.published.to_string(),
            one.failures.to_string(),
        ]
    });
    show::table(page.width, &columns, rows)
}

fn consumers(nodes: &[InfrastructureReport], page: &Page) -> String {
    let columns = [
        Text("consumer"),
        Text("node"),
        Number("behind"),
        Number("consumed"),
        Number("dead letters"),
        Number("gaps"),
        Number("stuck"),
        Text("rebuilding"),
    ];
    let all = nodes.iter().flat_map(|node| node.consumers.iter().map(move |one| (node, one)));
    let rows = all.map(|(node, one)| {
        let figures = [one.lag, one.consumed, one.dead_lettered, one.gaps, one.stuck].map(|count| count.to_string());
        let rebuilding = infrastructure::rebuilding(one.rebuilding.as_ref());
        [vec![one.group.clone(), node.node.clone()], figures.to_vec(), vec![rebuilding]].concat()
    });
    show::table(page.width, &columns, rows)
}
