//! The path of one request: its hops below what led to them.

use nakku_cluster::inspect::path::PathHop;

use crate::surface::units;
use crate::tui::answers::{Traced, name_of};
use crate::tui::place::{EntityName, Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

/// Hops that lie deeper are not indented any further.
const INDENTED_MAX: u32 = 12;

const COLUMNS: &[Column] = &[
    Column::figure("after"),
    Column::figure("took"),
    Column::text("node").spare(1),
    Column::text("hop"),
    Column::text("what came of it"),
];

/// What is said above the rows.
pub fn fact(traced: &Traced) -> String {
    let path = &traced.path;
    let mut fact = format!("{} hops in {} · trace {}", path.items.len(), units::micros(path.took_us), path.trace);
    if path.left_out > 0 {
        fact.push_str(&format!(" · {} more are not shown", path.left_out));
    }
    fact
}

/// One row a hop.
pub fn table(traced: &Traced) -> Table {
    let rows = traced.path.items.iter().map(row).collect();
    Table { columns: COLUMNS.into(), rows, empty: "no hops" }
}

fn row(one: &PathHop) -> Row {
    let name = EntityName::parse(&one.hop.name).filter(|_| one.hop.what != "request");
    let indent = "  ".repeat(one.depth.min(INDENTED_MAX) as usize);
    let mark = if one.detached { "* " } else { "" };
    let outcome = one.hop.details.get("outcome").map_or("", String::as_str);
    let tone = match outcome {
        "" | "accepted" | "committed" | "answered" => Tone::Plain,
        "rejected" => Tone::Warning,
        _ => Tone::Bad,
    };
    Row {
        id: one.hop.span.clone(),
        cells: vec![
            Cell::figure(units::micros(one.after_us), one.after_us as f64),
            Cell::figure(units::micros(one.hop.took_us), one.hop.took_us as f64),
            Cell::text(name_of(&one.node)),
            Cell::text(format!("{indent}{mark}{} {}", one.hop.what, one.hop.name)),
            Cell::text(units::details(&one.hop.details)).tone(tone),
        ],
        opens: name.clone().map(|entity| Place::Entity { entity, version: None }),
        subject: name.map(Subject::Entity),
    }
}
