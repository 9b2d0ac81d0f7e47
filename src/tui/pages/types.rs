//! Kinds of entities over all nodes, and the commands of one kind.

use std::collections::BTreeMap;

use nakku_cluster::inspect::TopBy;
use nakku_cluster::inspect::report::{CommandReport, TypeReport};

use crate::surface::units;
use crate::tui::answers::Listed;
use crate::tui::place::{Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

const KINDS: &[Column] = &[
    Column::text("kind"),
    Column::figure("commands/s"),
    Column::figure("failed%"),
    Column::figure("worst p99"),
    Column::figure("waiting"),
    Column::figure("loaded"),
    Column::figure("passivated").spare(2),
    Column::figure("restarted").spare(3),
    Column::figure("set aside"),
    Column::figure("nodes").spare(1),
];

const COMMANDS: &[Column] = &[
    Column::text("command"),
    Column::text("node"),
    Column::figure("a second"),
    Column::figure("count"),
    Column::figure("p50"),
    Column::figure("p95"),
    Column::figure("p99"),
    Column::text("other than accepted"),
];

/// One row a kind: sums, and of the times the worst.
pub fn kinds(listed: &Listed<TypeReport>) -> Table {
    let mut by_kind: BTreeMap<&str, Vec<&TypeReport>> = BTreeMap::new();
    for report in &listed.items {
        by_kind.entry(&report.kind).or_default().push(report);
    }
    let rows = by_kind.into_iter().map(|(kind, reports)| {
        let sum = |of: fn(&TypeReport) -> u64| reports.iter().map(|report| of(report)).sum::<u64>();
        let commands = || reports.iter().flat_map(|report| &report.commands);
        let rate: f64 = commands().map(|command| command.per_s).sum();
        let worst = commands().map(|command| command.p99_us).max().unwrap_or_default();
        let all: u64 = commands().flat_map(|command| command.outcomes.values()).sum();
        let failed: u64 = commands().map(failures).sum();
        let share = if all == 0 { 0.0 } else { failed as f64 * 100.0 / all as f64 };
        let set_aside = sum(|report| report.quarantined);
        Row {
            id: kind.to_owned(),
            cells: vec![
                Cell::text(kind),
                Cell::figure(units::rate(rate), rate),
                Cell::figure(format!("{share:.1}"), share).tone_if(failed > 0, Tone::Warning),
                Cell::figure(units::micros(worst), worst as f64),
                Cell::count(sum(|report| report.waiting)),
                Cell::count(sum(|report| report.loaded)),
                Cell::count(sum(|report| report.passivated)),
                Cell::count(sum(|report| report.restarted)),
                Cell::count(set_aside).tone_if(set_aside > 0, Tone::Bad),
                Cell::count(reports.len() as u64),
            ],
            opens: Some(Place::Commands { kind: kind.to_owned() }),
            subject: Some(Subject::Kind(kind.to_owned())),
        }
    });
    Table { columns: KINDS.into(), rows: rows.collect(), empty: "no kind of entity is served" }
}

/// One row a command and node.
pub fn commands(listed: &Listed<TypeReport>, kind: &str) -> Table {
    let reports = listed.items.iter().filter(|report| report.kind == kind);
    let rows = reports.flat_map(|report| {
        report.commands.iter().map(|command| {
            let others: Vec<String> = command
                .outcomes
                .iter()
                .filter(|(outcome, count)| outcome.as_str() != "accepted" && **count > 0)
                .map(|(outcome, count)| format!("{outcome} {count}"))
                .collect();
            let time = |us: u64| Cell::figure(units::micros(us), us as f64);
            Row {
                id: format!("{} {}", command.command, report.node),
                cells: vec![
                    Cell::text(&command.command),
                    Cell::text(&report.node),
                    Cell::figure(units::rate(command.per_s), command.per_s),
                    Cell::count(command.count),
                    time(command.p50_us),
                    time(command.p95_us),
                    time(command.p99_us),
                    Cell::text(others.join(", ")).tone_if(failures(command) > 0, Tone::Warning),
                ],
                opens: Some(Place::Top { by: TopBy::Messages, kind: Some(kind.to_owned()) }),
                subject: Some(Subject::Kind(kind.to_owned())),
            }
        })
    });
    Table { columns: COMMANDS.into(), rows: rows.collect(), empty: "no command of this kind since the nodes started" }
}

/// Neither accepted nor rejected, which is an answer too.
fn failures(command: &CommandReport) -> u64 {
    let failures = command.outcomes.iter().filter(|(outcome, _)| !matches!(outcome.as_str(), "accepted" | "rejected"));
    failures.map(|(_, count)| *count).sum()
}
