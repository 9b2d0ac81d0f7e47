//! Shards.

use nakku_cluster::inspect::report::ShardReport;

use crate::surface::units;
use crate::tui::answers::{Listed, name_of};
use crate::tui::place::{Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

const COLUMNS: &[Column] = &[
    Column::text("service"),
    Column::figure("shard"),
    Column::text("node"),
    Column::figure("commands/s"),
    Column::figure("loaded"),
    Column::figure("commands"),
    Column::figure("commits/s").spare(4),
    Column::figure("batch").spare(5),
    Column::figure("p50").spare(6),
    Column::figure("p99").spare(3),
    Column::figure("behind").spare(2),
    Column::figure("seq").spare(1),
    Column::figure("term").spare(7),
    Column::text("marks"),
];

/// Rows that wait longer to be published are worth a look.
const UNPUBLISHED_LONG_MS: u64 = 10_000;

/// One row a shard.
pub fn table(listed: &Listed<ShardReport>, service: Option<&str>, node: Option<&str>) -> Table {
    let wanted = listed.items.iter().filter(|shard| {
        service.is_none_or(|service| shard.service == service) && node.is_none_or(|node| name_of(&shard.node) == node)
    });
    Table { columns: COLUMNS.into(), rows: wanted.map(row).collect(), empty: "no shards" }
}

fn row(shard: &ShardReport) -> Row {
    let id = format!("{}/{}", shard.service, shard.number);
    Row {
        cells: vec![
            Cell::text(&shard.service),
            Cell::figure(shard.number.to_string(), f64::from(shard.number)),
            Cell::text(&shard.node),
            Cell::figure(units::rate(shard.commands_per_s), shard.commands_per_s),
            Cell::count(u64::from(shard.loaded)),
            Cell::count(shard.commands),
            Cell::figure(units::rate(shard.commits.commits_per_s), shard.commits.commits_per_s),
            Cell::figure(units::rate(shard.commits.commands_each), shard.commits.commands_each),
            Cell::figure(units::micros(shard.commits.p50_us), shard.commits.p50_us as f64),
            Cell::figure(units::micros(shard.commits.p99_us), shard.commits.p99_us as f64),
            Cell::count(shard.unpublished).tone_if(shard.unpublished_ms > UNPUBLISHED_LONG_MS, Tone::Warning),
            Cell::figure(shard.seq.to_string(), shard.seq as f64),
            Cell::figure(shard.term.to_string(), shard.term as f64),
            Cell::text(marks(shard)).tone(Tone::Warning),
        ],
        opens: Some(Place::Moves { shard: Some(id.clone()) }),
        subject: Some(Subject::Shard { service: shard.service.clone(), number: shard.number }),
        id,
    }
}

fn marks(shard: &ShardReport) -> String {
    let marks = [(shard.hot, "hot"), (shard.pinned, "pinned")];
    marks.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}
