//! Entities that stand out.

use nakku_cluster::inspect::TopBy;
use nakku_cluster::inspect::report::TopEntry;

use crate::surface::units;
use crate::tui::answers::Listed;
use crate::tui::place::{EntityName, Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table};

/// One row an entity.
pub fn table(listed: &Listed<TopEntry>, by: TopBy, kind: Option<&str>) -> Table {
    let value = match by {
        TopBy::Messages => "commands/s",
        TopBy::Time => "time in a second",
        TopBy::Mailbox => "waiting",
        TopBy::State => "state",
    };
    let columns = vec![Column::figure(value), Column::text("entity"), Column::text("node")];
    let wanted = listed.items.iter().filter_map(|entry| {
        let name = EntityName::parse(&entry.entity)?;
        kind.is_none_or(|kind| name.kind == kind).then_some((entry, name))
    });
    let rows = wanted.map(|(entry, name)| Row {
        id: entry.entity.clone(),
        cells: vec![
            Cell::figure(shown(by, entry.value), entry.value),
            Cell::text(&entry.entity),
            Cell::text(&entry.node),
        ],
        opens: Some(Place::Entity { entity: name.clone(), version: None }),
        subject: Some(Subject::Entity(name)),
    });
    let rows = rows.collect();
    Table { columns, rows, empty: "no entity stands out right now (b changes by what)" }
}

fn shown(by: TopBy, value: f64) -> String {
    match by {
        TopBy::Messages => units::rate(value),
        TopBy::Time => units::micros_of(value.max(0.0)),
        TopBy::Mailbox => units::count(value.max(0.0) as u64),
        TopBy::State => units::bytes(value.max(0.0)),
    }
}
