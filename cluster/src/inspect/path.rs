//! The path of one request: its hops on all nodes, put in order below each other.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The deepest that hops are told to lie below each other.
const DEPTH_MAX: u32 = 1_000;

/// A hop as the node tells of it that kept it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HopReport {
    /// Its span, 16 hexadecimal digits.
    pub span: String,
    /// The span that led to it; empty at the beginning.
    pub parent: String,
    /// `request`, `ask`, `link`, `decide`, `commit`, `effect` or `provider`.
    pub what: String,
    /// The route, the entity (`service.entity/key`), the node it came from, or the provider.
    pub name: String,
    /// When it began, in microseconds since 1970 by its node's clock.
    pub began_at_us: i64,
    /// How long it took.
    pub took_us: u64,
    /// What else is known: `outcome`, `status`, `command`, `queued_us`, `events`, `node`, `step`, `lane`, `batch`…
    pub details: BTreeMap<String, String>,
}

/// The hops of one trace.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct PathReport {
    /// Its id, 32 hexadecimal digits.
    pub trace: String,
    /// When the first hop began.
    pub began_at_us: i64,
    /// From there to the end of the last one.
    pub took_us: u64,
    /// Hops that are not told of, because there are too many.
    pub left_out: u64,
    /// Each hop behind the one that led to it, and deeper by one; those below the same hop in the order of their time.
    pub items: Vec<PathHop>,
}

/// One hop in a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PathHop {
    /// How many hops led to it.
    pub depth: u32,
    /// `name@generation` of the node that it was on.
    pub node: String,
    /// When it began, counted from the beginning of the path.
    pub after_us: u64,
    /// Whether what led to it is not known: the node did not keep it, or does not answer.
    pub detached: bool,
    /// The hop.
    #[serde(flatten)]
    pub hop: HopReport,
}

impl PathReport {
    /// Of the hops of all nodes.
    pub fn of(trace: String, hops: Vec<(String, HopReport)>, left_out: u64) -> Self {
        let began_at_us = hops.iter().map(|(_, hop)| hop.began_at_us).min().unwrap_or_default();
        let end = |hop: &HopReport| hop.began_at_us.saturating_add_unsigned(hop.took_us);
        let ended_at_us = hops.iter().map(|(_, hop)| end(hop)).max().unwrap_or_default();
        let spans: HashMap<&str, usize> =
            hops.iter().enumerate().map(|(place, (_, hop))| (hop.span.as_str(), place)).collect();
        let mut below: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (place, (_, hop)) in hops.iter().enumerate() {
            let parent = spans.get(hop.parent.as_str()).copied().filter(|parent| *parent != place);
            below.entry(parent).or_default().push(place);
        }
        let mut items = Vec::with_capacity(hops.len());
        let mut taken = vec![false; hops.len()];
        // The last one is the next one.
        let mut waiting: Vec<(usize, u32)> = Vec::new();
        let mut wait = |waiting: &mut Vec<(usize, u32)>, parent: Option<usize>, depth: u32| {
            let mut children = below.remove(&parent).unwrap_or_default();
            children.sort_by_key(|place| std::cmp::Reverse((hops[*place].1.began_at_us, *place)));
            waiting.extend(children.into_iter().map(|place| (place, depth)));
        };
        wait(&mut waiting, None, 0);
        while let Some((place, depth)) = waiting.pop() {
            if std::mem::replace(&mut taken[place], true) {
                continue;
            }
            let (node, hop) = &hops[place];
            items.push(PathHop {
                depth,
                node: node.clone(),
                after_us: u64::try_from(hop.began_at_us - began_at_us).unwrap_or_default(),
                detached: depth == 0 && hop.what != "request",
                hop: hop.clone(),
            });
            wait(&mut waiting, Some(place), (depth + 1).min(DEPTH_MAX));
        }
        // Spans that lead to each other in a circle are nobody's: nothing of them is told.
        let left_out = left_out + (hops.len() - items.len()) as u64;
        let took_us = u64::try_from(ended_at_us - began_at_us).unwrap_or_default();
        Self { trace, began_at_us, took_us, left_out, items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(span: &str, parent: &str, what: &str, began_at_us: i64, took_us: u64) -> (String, HopReport) {
        let (span, parent, what) = (span.to_owned(), parent.to_owned(), what.to_owned());
        ("node-1@1".into(), HopReport { span, parent, what, began_at_us, took_us, ..HopReport::default() })
    }

    fn told(path: &PathReport) -> Vec<String> {
        path.items.iter().map(|one| format!("{}{}{}", one.hop.span, one.depth, u8::from(one.detached))).collect()
    }

    #[test]
    fn hops_stand_behind_what_led_to_them_in_the_order_of_time() {
        let hops = vec![
            hop("d", "b", "decide", 130, 5),
            hop("c", "a", "ask", 150, 20),
            hop("a", "outside", "request", 100, 80),
            hop("b", "a", "ask", 120, 20),
            hop("e", "d", "commit", 133, 300),
            hop("z", "lost", "link", 110, 1),
        ];
        let path = PathReport::of("t".into(), hops, 3);
        assert_eq!(told(&path), ["a00", "b10", "d20", "e30", "c10", "z01"]);
        assert_eq!((path.began_at_us, path.took_us, path.left_out), (100, 333, 3));
        assert_eq!(path.items[3].after_us, 33);
    }

    #[test]
    fn circles_end() {
        let hops = vec![hop("a", "a", "ask", 1, 1), hop("b", "c", "ask", 1, 1), hop("c", "b", "ask", 1, 1)];
        let path = PathReport::of("t".into(), hops, 0);
        assert_eq!((told(&path), path.left_out), (vec!["a01".to_owned()], 2));
        assert!(PathReport::of("t".into(), Vec::new(), 0).items.is_empty());
    }
}
