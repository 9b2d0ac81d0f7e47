//! What works behind the shards, and what the nodes rest on.

use nakku_cluster::Timestamp;
use nakku_cluster::inspect::infrastructure::InfrastructureReport;

use crate::surface::{infrastructure, units};
use crate::tui::answers::{Listed, name_of};
use crate::tui::place::Place;
use crate::tui::table::{Cell, Column, Row, Table, Tone, width};

/// Its panels.
pub const PANELS: [&str; 5] = ["writers", "servers", "publishers", "consumers", "trouble"];

/// Rows that wait longer to be published are worth a look.
const UNPUBLISHED_LONG_MS: u64 = 10_000;
/// Of trouble; it fits the smallest usual terminal.
const LINE: usize = 78;

const WRITERS: &[Column] = &[
    Column::text("journal writer"),
    Column::figure("lane"),
    Column::text("node"),
    Column::figure("queue"),
    Column::figure("commits/s"),
    Column::figure("batch"),
    Column::figure("rows").spare(2),
    Column::figure("p50").spare(1),
    Column::figure("p99"),
    Column::figure("failed"),
    Column::figure("under way").spare(3),
];

const SERVERS: &[Column] = &[
    Column::text("server"),
    Column::text("node"),
    Column::text("state"),
    Column::figure("last use"),
    Column::text("incarnation").spare(2),
    Column::text("location").spare(1),
    Column::text("error"),
];

const PUBLISHERS: &[Column] = &[
    Column::text("publisher"),
    Column::text("node"),
    Column::figure("rows behind"),
    Column::figure("for"),
    Column::figure("published"),
    Column::figure("failed"),
    Column::text("trouble"),
];

const CONSUMERS: &[Column] = &[
    Column::text("consumer"),
    Column::text("node"),
    Column::figure("behind"),
    Column::figure("consumed"),
    Column::figure("dead letters"),
    Column::figure("gaps").spare(1),
    Column::figure("stuck"),
    Column::text("rebuilding"),
    Column::text("sources").spare(2),
];

/// The table of a panel.
pub fn table(listed: &Listed<InfrastructureReport>, panel: usize, now_at_ms: i64) -> Table {
    let nodes = &listed.items;
    let (columns, rows, empty): (&[Column], Vec<Row>, _) = match panel {
        0 => (WRITERS, nodes.iter().flat_map(writers).collect(), "no journal is written"),
        1 => (SERVERS, nodes.iter().flat_map(servers).collect(), "no node rests on a server"),
        2 => (PUBLISHERS, nodes.iter().flat_map(publishers).collect(), "nothing is published"),
        3 => (CONSUMERS, nodes.iter().flat_map(consumers).collect(), "nothing is consumed"),
        _ => (&[], lines(&trouble(listed, now_at_ms)), "nothing is wrong"),
    };
    Table { columns: columns.into(), rows, empty }
}

/// What is said above the panels, whichever is in front.
pub fn fact(listed: &Listed<InfrastructureReport>, now_at_ms: i64) -> (String, Tone) {
    let trouble = trouble(listed, now_at_ms);
    match trouble.as_slice() {
        [] => ("nothing is wrong".into(), Tone::Good),
        [only] => (only.clone(), Tone::Bad),
        [first, rest @ ..] => (format!("{} more under trouble · {first}", rest.len()), Tone::Bad),
    }
}

fn trouble(listed: &Listed<InfrastructureReport>, now_at_ms: i64) -> Vec<String> {
    infrastructure::trouble(&listed.items, Timestamp(now_at_ms))
}

/// What is wrong is read to its end, so it goes on below where it is longer than a line.
fn lines(trouble: &[String]) -> Vec<Row> {
    let mut lines: Vec<String> = Vec::new();
    for one in trouble {
        let mut line = String::new();
        for word in one.split(' ') {
            if !line.trim().is_empty() && width(&line) + 1 + width(word) > LINE {
                lines.push(std::mem::replace(&mut line, "   ".into()));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    let row = |(index, line): (usize, String)| Row {
        id: index.to_string(),
        cells: vec![Cell::text(line).tone(Tone::Bad)],
        ..Row::default()
    };
    lines.into_iter().enumerate().map(row).collect()
}

/// Where a row of a node leads.
fn shards_of(node: &str) -> Option<Place> {
    Some(Place::Shards { service: None, node: Some(name_of(node).to_owned()) })
}

fn writers(node: &InfrastructureReport) -> impl Iterator<Item = Row> {
    node.writers.iter().map(|writer| {
        let commits = &writer.commits;
        let failed: u64 = writer.failures.values().sum();
        let under_way = writer.under_way_ms.map(|ms| Cell::figure(units::age(ms), ms as f64));
        Row {
            id: format!("{} {} {}", node.node, writer.location, writer.lane),
            cells: vec![
                Cell::text(&writer.location),
                Cell::figure(writer.lane.to_string(), f64::from(writer.lane)),
                Cell::text(&node.node),
                Cell::figure(format!("{}/{}", writer.queue, writer.queue_max), writer.queue as f64),
                Cell::figure(units::rate(commits.commits_per_s), commits.commits_per_s),
                Cell::figure(units::rate(commits.commands_each), commits.commands_each),
                Cell::figure(units::rate(commits.rows_each), commits.rows_each),
                Cell::figure(units::micros(commits.p50_us), commits.p50_us as f64),
                Cell::figure(units::micros(commits.p99_us), commits.p99_us as f64),
                Cell::count(failed).tone_if(failed > 0, Tone::Warning),
                under_way.unwrap_or_else(Cell::unknown),
            ],
            opens: shards_of(&node.node),
            subject: None,
        }
    })
}

fn servers(node: &InfrastructureReport) -> impl Iterator<Item = Row> {
    let stores = node.stores.iter().map(|store| {
        let mut numbers: Vec<u64> = store.incarnations.values().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let refused = (!store.refused.is_empty()).then(|| format!("older copy of {}", store.refused.join(", ")));
        (&store.server, numbers.join(", "), refused)
    });
    let others = node.others.iter().map(|server| (server, String::new(), None));
    stores.chain(others).map(|(server, incarnation, refused)| {
        let error = refused.or_else(|| server.error.clone()).unwrap_or_default();
        let (state, tone) = if server.up { ("up", Tone::Good) } else { ("down", Tone::Bad) };
        Row {
            id: format!("{} {}", node.node, server.name),
            cells: vec![
                Cell::text(&server.name),
                Cell::text(&node.node),
                Cell::text(state).tone(tone),
                Cell::figure(units::micros(server.latency_us), server.latency_us as f64),
                Cell::text(incarnation),
                Cell::text(&server.location).tone(Tone::Faint),
                Cell::text(error).tone(Tone::Bad),
            ],
            opens: shards_of(&node.node),
            subject: None,
        }
    })
}

fn publishers(node: &InfrastructureReport) -> impl Iterator<Item = Row> {
    node.publishers.iter().map(|one| {
        let waits = one.unpublished > 0;
        let since = if waits {
            Cell::figure(units::age(one.unpublished_ms), one.unpublished_ms as f64)
        } else {
            Cell::unknown()
        };
        Row {
            id: format!("{} {}", node.node, one.service),
            cells: vec![
                Cell::text(&one.service),
                Cell::text(&node.node),
                Cell::count(one.unpublished),
                since.tone_if(waits && one.unpublished_ms > UNPUBLISHED_LONG_MS, Tone::Warning),
                Cell::count(one.published),
                Cell::count(one.failures).tone_if(one.failures > 0, Tone::Warning),
                Cell::text(one.trouble.as_deref().unwrap_or_default()).tone(Tone::Bad),
            ],
            opens: Some(Place::Shards { service: Some(one.service.clone()), node: None }),
            subject: None,
        }
    })
}

fn consumers(node: &InfrastructureReport) -> impl Iterator<Item = Row> {
    node.consumers.iter().map(|one| Row {
        id: format!("{} {}", node.node, one.group),
        cells: vec![
            Cell::text(&one.group),
            Cell::text(&node.node),
            Cell::count(one.lag),
            Cell::count(one.consumed),
            Cell::count(one.dead_lettered).tone_if(one.dead_lettered > 0, Tone::Warning),
            Cell::count(one.gaps),
            Cell::count(one.stuck).tone_if(one.stuck > 0, Tone::Bad),
            Cell::text(infrastructure::rebuilding(one.rebuilding.as_ref())).tone(Tone::Warning),
            Cell::text(one.sources.join(", ")).tone(Tone::Faint),
        ],
        opens: shards_of(&node.node),
        subject: None,
    })
}
