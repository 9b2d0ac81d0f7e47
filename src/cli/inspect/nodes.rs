//! `nakku nodes`.

use std::collections::BTreeSet;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::inspect::report::NodeReport;

use super::watch::{self, Page, Watched};
use super::{address, completion, units};
use crate::cli::outcome::Done;
use crate::cli::show::{self, Column::Number, Column::Text};

/// See the module.
#[derive(Debug, Args)]
pub struct Nodes {
    /// Once, or again and again
    #[command(flatten)]
    pub watched: Watched,
    /// Of this node only
    #[arg(long, add = ArgValueCompleter::new(completion::nodes))]
    pub node: Option<String>,
    /// With every link between them
    #[arg(long)]
    pub links: bool,
}

/// Lists nodes.
pub async fn nodes(arguments: &Nodes) -> Done {
    let path = address::path(&["nodes"], &[("node", arguments.node.clone())])?;
    watch::list(&arguments.watched, &path, |nodes, page| text(nodes, arguments.links, page)).await
}

/// A line for each node, and under them whatever is not as it should be.
pub fn text(nodes: &[NodeReport], links: bool, page: &Page) -> String {
    let Some(newest) = nodes.iter().max_by_key(|node| node.status.view_version) else { return "(none)".into() };
    let versions: BTreeSet<&str> = nodes.iter().map(|node| node.version.as_str()).collect();
    let mut text = format!(
        "cluster {}, view {}, feature level {}, version {}\n\n",
        newest.status.cluster,
        newest.status.view_version,
        newest.status.feature_level,
        versions.into_iter().collect::<Vec<_>>().join(" and "),
    );
    let clock = middle_clock(nodes);
    let columns = [
        Text("node"),
        Text("state"),
        Number("up for"),
        Number("shards"),
        Number("loaded"),
        Number("in flight"),
        Number("cpu"),
        Number("memory"),
        Number("clock"),
        Text("links"),
    ];
    let rows = nodes.iter().map(|node| {
        vec![
            node.node.clone(),
            state(node),
            units::age(node.uptime_s * 1000),
            node.status.services.iter().map(|service| service.serving_here).sum::<u32>().to_string(),
            node.loaded.to_string(),
            node.in_flight.to_string(),
            format!("{:.0}%", node.cpu_percent),
            units::bytes(units::figure(node.memory_bytes)),
            format!("{:+}ms", node.clock_offset_ms - clock),
            link_state(node),
        ]
    });
    text.push_str(&show::table(page.width, &columns, rows));
    if links {
        text.push_str("\n\n");
        text.push_str(&link_table(nodes, page));
    }
    let trouble = trouble(nodes, newest.status.view_version);
    if !trouble.is_empty() {
        text.push_str("\n\n");
        text.push_str(&trouble.join("\n"));
    }
    text
}

fn state(node: &NodeReport) -> String {
    let own = node.status.nodes.iter().find(|one| format!("{}@{}", one.name, one.generation) == node.node);
    let mut words = vec![own.map_or("unknown", |own| own.state.as_str())];
    if !node.ready {
        words.push("not ready");
    }
    if !node.lease_valid {
        words.push("no lease");
    }
    words.join(", ")
}

/// `2 of 2, 0.4ms`: how many stand, and the slowest.
fn link_state(node: &NodeReport) -> String {
    if node.links.is_empty() {
        return "none".into();
    }
    let standing = node.links.iter().filter(|link| link.connected).count();
    let slowest = node.links.iter().filter_map(|link| link.round_trip_us).max();
    let slowest = slowest.map(|us| format!(", {}", units::micros(us))).unwrap_or_default();
    format!("{standing} of {}{slowest}", node.links.len())
}

fn link_table(nodes: &[NodeReport], page: &Page) -> String {
    let columns = [
        Text("from"),
        Text("to"),
        Text("link"),
        Number("for"),
        Number("round trip"),
        Number("in flight"),
        Number("bytes in flight"),
    ];
    let all = nodes.iter().flat_map(|node| node.links.iter().map(move |link| (node, link)));
    let rows = all.map(|(node, link)| {
        vec![
            node.node.clone(),
            link.node.clone(),
            if link.connected { "stands" } else { "down" }.to_owned(),
            units::age(link.since_s * 1000),
            link.round_trip_us.map(units::micros).unwrap_or_default(),
            link.in_flight.to_string(),
            units::bytes(units::figure(link.in_flight_bytes)),
        ]
    });
    show::table(page.width, &columns, rows)
}

fn trouble(nodes: &[NodeReport], view: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for node in nodes {
        let name = &node.node;
        if node.status.view_version != view {
            lines.push(format!("{name} knows view {} only", node.status.view_version));
        }
        for link in node.links.iter().filter(|link| !link.connected) {
            lines.push(format!("{name} has no link to {} for {}", link.node, units::age(link.since_s * 1000)));
        }
        for server in node.status.dependencies.iter().filter(|server| !server.up) {
            let error = server.error.as_deref().unwrap_or("it says nothing");
            lines.push(format!("{name} can't use {} at {}: {error}", server.name, server.location));
        }
        let aside = node.status.quarantined.iter();
        lines.extend(aside.map(|entity| format!("{name} has quarantined {entity}; see nakku entity, nakku release")));
    }
    lines
}

/// The middle of all clocks: one that is wrong stands out then, and not the others.
fn middle_clock(nodes: &[NodeReport]) -> i64 {
    let mut clocks: Vec<i64> = nodes.iter().map(|node| node.clock_offset_ms).collect();
    clocks.sort_unstable();
    clocks.get(clocks.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
