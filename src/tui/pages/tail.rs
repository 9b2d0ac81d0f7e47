//! Commands as they are answered, newest first.

use crate::surface::units;
use crate::tui::answers::{Tail, Tailed};
use crate::tui::place::{EntityName, Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

const COLUMNS: &[Column] = &[
    Column::text("at (UTC)"),
    Column::text("entity"),
    Column::text("command"),
    Column::text("outcome"),
    Column::figure("took"),
    Column::text("node"),
    Column::text("trace").spare(1),
];

/// One row a command.
pub fn table(tail: &Tail) -> Table {
    Table { columns: COLUMNS.into(), rows: tail.commands.iter().map(row).collect(), empty: "waiting for commands" }
}

fn row(command: &Tailed) -> Row {
    let entry = &command.entry;
    let name = EntityName::parse(&entry.entity);
    Row {
        id: format!("{} {}", command.node, entry.number),
        cells: vec![
            Cell { number: Some(entry.at_ms as f64), ..Cell::text(units::clock(entry.at_ms)) },
            Cell::text(&entry.entity),
            Cell::text(&entry.command),
            outcome(&entry.outcome),
            Cell::figure(units::micros(entry.took_us), entry.took_us as f64),
            Cell::text(&command.node),
            Cell::text(&entry.trace).tone(Tone::Faint),
        ],
        opens: name.clone().map(|entity| Place::Entity { entity, version: None }),
        subject: name.map(Subject::Entity),
    }
}

/// How a command ended.
pub fn outcome(outcome: &str) -> Cell {
    let tone = match outcome {
        "accepted" => Tone::Good,
        "rejected" => Tone::Warning,
        _ => Tone::Bad,
    };
    Cell::text(outcome).tone(tone)
}
