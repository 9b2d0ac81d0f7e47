//! `nakku trace`: the path of one request over all its hops.

use std::collections::BTreeSet;

use clap::Args;
use nakku_cluster::inspect::path::{PathHop, PathReport};
use serde::Deserialize;

use super::watch::{self, Page, Silent};
use super::{Look, address, units};
use crate::cli::client::Listener;
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show::{self, Column::Number, Column::Text};

/// Hops that lie deeper are not indented any further.
const INDENTED_MAX: u32 = 24;

/// See the module.
#[derive(Debug, Args)]
pub struct Trace {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Its id, 32 hexadecimal digits: of the header traceparent, of nakku tail, of a log line
    pub trace: String,
}

#[derive(Deserialize)]
struct Traced {
    #[serde(flatten)]
    path: PathReport,
    #[serde(default)]
    silent: Vec<Silent>,
}

/// Prints the path.
pub async fn trace(arguments: &Trace) -> Done {
    let trace = id(&arguments.trace)?;
    let client = arguments.look.client.client(Listener::Admin)?;
    let body = client.get(&address::path(&["traces", &trace], &[])?).await?;
    if arguments.look.json {
        return show::as_json(&body);
    }
    let traced: Traced = serde_json::from_value(body)
        .map_err(|error| Wrong::Failed(format!("{} answers something else: {error}", client.endpoint())))?;
    let mut told = text(&traced.path, &Page::now());
    if !traced.silent.is_empty() {
        told.push('\n');
        told.push_str(&watch::silent_lines(&traced.silent));
    }
    show::line(&told)
}

/// The id of a trace as the API wants it.
///
/// # Errors
/// When the text is none.
pub fn id(text: &str) -> Result<String, Wrong> {
    let id = text.to_ascii_lowercase();
    if id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(id);
    }
    Err(Wrong::Usage("a trace has an id of 32 hexadecimal digits".into()))
}

/// A line for each hop, indented below what led to it.
pub fn text(path: &PathReport, page: &Page) -> String {
    let nodes: BTreeSet<&str> = path.items.iter().map(|one| one.node.as_str()).collect();
    let began_at_ms = path.began_at_us / 1000;
    let mut text = format!(
        "trace {}: {} hops on {}, {} from the first to the end of the last\nbegan at {} UTC ({})\n\n",
        path.trace,
        path.items.len(),
        nodes.into_iter().collect::<Vec<_>>().join(", "),
        units::micros(path.took_us),
        units::date(began_at_ms),
        units::ago(began_at_ms, page.now),
    );
    let columns = [Number("after"), Number("took"), Text("node"), Text("hop")];
    let rows = path.items.iter().map(|one| {
        let node = one.node.split('@').next().unwrap_or(&one.node).to_owned();
        vec![units::micros(one.after_us), units::micros(one.hop.took_us), node, hop(one)]
    });
    text.push_str(&show::table(page.width, &columns, rows));
    if path.items.iter().any(|one| one.detached) {
        text.push_str("\n\n* what led to it was not kept, or is on a node that does not answer");
    }
    if path.left_out > 0 {
        text.push_str(&format!("\n\n{} more hops are not shown", path.left_out));
    }
    text
}

fn hop(one: &PathHop) -> String {
    let indent = "  ".repeat(one.depth.min(INDENTED_MAX) as usize);
    let mark = if one.detached { "* " } else { "" };
    let mut line = format!("{indent}{mark}{} {}", one.hop.what, one.hop.name);
    let known = units::details(&one.hop.details);
    if !known.is_empty() {
        line.push_str(": ");
        line.push_str(&known);
    }
    line
}
