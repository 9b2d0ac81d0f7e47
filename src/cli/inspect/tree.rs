//! `nakku tree`: what supervises what.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::inspect::report::Branch;

use super::watch::{self, Page, Watched};
use super::{address, completion, units};
use crate::cli::outcome::Done;

/// See the module.
#[derive(Debug, Args)]
pub struct Tree {
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

/// Prints the trees of all nodes.
pub async fn tree(arguments: &Tree) -> Done {
    let path = address::path(&["tree"], &[("node", arguments.node.clone())])?;
    watch::list(&arguments.watched, &path, |trees, page| text(trees, arguments.each, page)).await
}

/// The trees, one after another.
pub fn text(trees: &[Branch], each: bool, _: &Page) -> String {
    let mut lines = Vec::new();
    for tree in trees {
        lines.push(label(tree));
        children(tree, "", each, &mut lines);
    }
    if lines.is_empty() { "(none)".into() } else { lines.join("\n") }
}

fn children(branch: &Branch, indent: &str, each: bool, lines: &mut Vec<String>) {
    let folded;
    let shown = match (each, folded_shards(&branch.children)) {
        (false, Some(one)) => {
            folded = [one];
            &folded[..]
        }
        _ => &branch.children,
    };
    for (index, child) in shown.iter().enumerate() {
        let is_last = index + 1 == shown.len();
        lines.push(format!("{indent}{}{}", if is_last { "└─ " } else { "├─ " }, label(child)));
        children(child, &format!("{indent}{}", if is_last { "   " } else { "│  " }), each, lines);
    }
}

fn label(branch: &Branch) -> String {
    let mut label = branch.name.clone();
    if !branch.detail.is_empty() {
        label = format!("{label}: {}", branch.detail);
    }
    if branch.restarts > 0 {
        label = format!("{label}, {} restarts", branch.restarts);
    }
    label
}

/// Shards without anything of their own under them as one line, `shards order/0-31`.
fn folded_shards(children: &[Branch]) -> Option<Branch> {
    let mut service = None;
    let mut numbers = Vec::new();
    for child in children {
        let (of, number) = child.name.strip_prefix("shard ")?.split_once('/')?;
        if !child.children.is_empty() || *service.get_or_insert(of) != of {
            return None;
        }
        numbers.push(number.parse().ok()?);
    }
    let restarts = children.iter().map(|child| child.restarts).sum();
    let name = format!("shards {}/{}", service?, units::ranges(numbers));
    Some(Branch { name, restarts, ..Branch::default() })
}
