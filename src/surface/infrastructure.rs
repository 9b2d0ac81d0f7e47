//! What works behind the shards: what is wrong with it, and how far it is, in words.

use nakku_cluster::Timestamp;
use nakku_cluster::events::rebuild::Rebuilding;
use nakku_cluster::inspect::infrastructure::InfrastructureReport;

use super::units;

/// A transaction that takes longer is worth a line.
const UNDER_WAY_LONG_MS: u64 = 1_000;

/// How far a consumer's intakes are while some of them gather anew, else nothing.
pub fn rebuilding(rebuilding: Option<&Rebuilding>) -> String {
    rebuilding.map_or_else(String::new, |one| {
        let Rebuilding { intakes, intakes_left, rows_read, rows, .. } = one;
        format!("{intakes_left} of {intakes} left, {rows_read} of {rows} rows read")
    })
}

/// A line for each thing that goes wrong.
pub fn trouble(nodes: &[InfrastructureReport], now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for node in nodes {
        let name = &node.node;
        for writer in &node.writers {
            let lane = format!("{name}: writer {} of {}", writer.lane, writer.location);
            if let Some(ms) = writer.under_way_ms.filter(|ms| *ms >= UNDER_WAY_LONG_MS) {
                lines.push(format!("{lane} has had a transaction under way for {}", units::age(ms)));
            }
            if let (Some(failure), Some(at_ms)) = (&writer.last_failure, writer.last_failure_at_ms) {
                let counts: Vec<String> =
                    writer.failures.iter().map(|(word, count)| format!("{word} {count}")).collect();
                let ago = units::ago(at_ms, now);
                lines.push(format!("{lane} failed last {ago}: {failure} ({})", counts.join(", ")));
            }
        }
        for store in node.stores.iter().filter(|store| !store.refused.is_empty()) {
            let refused = store.refused.join(", ");
            lines.push(format!("{name}: {} is an older copy of {refused}, which is not served", store.server.name));
        }
        for server in node.stores.iter().map(|store| &store.server).chain(&node.others).filter(|server| !server.up) {
            let error = server.error.as_deref().unwrap_or("it says nothing");
            lines.push(format!("{name}: {} can't be used: {error}", server.name));
        }
        for one in &node.publishers {
            if let Some(trouble) = &one.trouble {
                lines.push(format!("{name}: events of {} wait: {trouble}", one.service));
            }
        }
    }
    lines
}
