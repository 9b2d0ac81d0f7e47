//! Shards that came and went, newest first.

use crate::surface::units;
use crate::tui::answers::{Listed, Moved};
use crate::tui::place::{Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

const COLUMNS: &[Column] = &[
    Column::text("at (UTC)"),
    Column::text("ago"),
    Column::text("shard"),
    Column::text("what"),
    Column::text("because of"),
    Column::text("node"),
    Column::text("other node").spare(1),
    Column::figure("took"),
    Column::figure("view"),
];

/// One row a move.
pub fn table(listed: &Listed<Moved>, shard: Option<&str>, now_at_ms: i64) -> Table {
    let wanted = listed.items.iter().filter(|moved| shard.is_none_or(|shard| moved.report.shard == shard));
    let rows = wanted.map(|moved| row(moved, now_at_ms)).collect();
    Table { columns: COLUMNS.into(), rows, empty: "no shard has come or gone lately" }
}

fn row(moved: &Moved, now_at_ms: i64) -> Row {
    let report = &moved.report;
    let tone = match report.what.as_str() {
        "opened" => Tone::Good,
        "released" => Tone::Plain,
        _ => Tone::Bad,
    };
    let (service, number) = report.shard.rsplit_once('/').unwrap_or((&report.shard, ""));
    Row {
        id: format!("{} {} {} {}", report.at_ms, report.shard, report.what, moved.node),
        cells: vec![
            Cell { number: Some(report.at_ms as f64), ..Cell::text(units::clock(report.at_ms)) },
            Cell { number: Some(-(report.at_ms as f64)), ..Cell::text(units::since(report.at_ms, now_at_ms)) },
            Cell::text(&report.shard),
            Cell::text(&report.what).tone(tone),
            Cell::text(&report.cause),
            Cell::text(&moved.node),
            Cell::text(report.other.as_deref().unwrap_or_default()).tone(Tone::Faint),
            Cell::figure(units::age(report.took_ms), report.took_ms as f64),
            Cell::figure(report.view_version.to_string(), report.view_version as f64),
        ],
        opens: Some(Place::Shards { service: Some(service.to_owned()), node: None }),
        subject: number.parse().ok().map(|number| Subject::Shard { service: service.to_owned(), number }),
    }
}
