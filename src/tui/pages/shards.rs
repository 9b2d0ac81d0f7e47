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
    Column::figure("seq"),
    Column::figure("term"),
    Column::text("pinned"),
];

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
            Cell::figure(shard.seq.to_string(), shard.seq as f64),
            Cell::figure(shard.term.to_string(), shard.term as f64),
            if shard.pinned { Cell::text("pinned").tone(Tone::Warning) } else { Cell::default() },
        ],
        opens: Some(Place::Moves { shard: Some(id.clone()) }),
        subject: Some(Subject::Shard { service: shard.service.clone(), number: shard.number }),
        id,
    }
}
