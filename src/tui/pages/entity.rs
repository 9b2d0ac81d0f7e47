//! One entity: some facts above, and below them one of several panels.

use nakku_cluster::inspect::report::{Change, EntityReport, EventReport};
use serde_json::Value;

use super::tail;
use crate::surface::units;
use crate::tui::answers::Looked;
use crate::tui::place::{EntityName, Place};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

/// The panels of an entity as it is.
pub const PANELS: [&str; 4] = ["history", "state", "recent commands", "outstanding"];
/// The panels of an entity as it was.
pub const PANELS_PAST: [&str; 2] = ["state", "event"];

/// Its panels.
pub fn panels(version: Option<u64>) -> &'static [&'static str] {
    if version.is_some() { &PANELS_PAST } else { &PANELS }
}

/// The table of a panel.
pub fn table(name: &EntityName, looked: &Looked, panel: usize, now_at_ms: i64) -> Table {
    let past = looked.report.presence == "past";
    match (past, panel) {
        (false, 0) => history(name, looked, now_at_ms),
        (false, 1) | (true, 0) => lines(&looked.report.state),
        (false, 2) => recent(&looked.report, now_at_ms),
        (false, _) => outstanding(&looked.report),
        (true, _) => event(looked),
    }
}

/// What is said above the panels, in lines of words and how they are meant.
pub fn facts(looked: &Looked, now_at_ms: i64) -> Vec<Vec<(String, Tone)>> {
    let report = &looked.report;
    let tone = match report.presence.as_str() {
        "loaded" => Tone::Good,
        "quarantined" => Tone::Bad,
        "busy" => Tone::Warning,
        _ => Tone::Plain,
    };
    let plain = |text: String| (text, Tone::Plain);
    let mut first =
        vec![(report.presence.clone(), tone), plain(format!("on {} in shard {}", report.node, report.shard))];
    if let Some(loaded) = report.loaded_s {
        first.push(plain(format!("in memory for {}", units::seconds(loaded))));
    }
    if let Some(idle) = report.idle_ms {
        first.push(plain(format!("idle for {}", units::seconds(idle / 1_000))));
    }
    let mut second = vec![plain(format!("version {} ({} durable)", report.version, report.durable_version))];
    second.push(plain(format!("journal row {}", report.seq)));
    second.push(plain(format!("state {}", units::bytes(units::figure(report.state_bytes)))));
    let tone = if report.waiting > 0 { Tone::Warning } else { Tone::Plain };
    let oldest = report.waiting_commands.first();
    let oldest = oldest.map(|one| format!(" ({} for {})", one.command, units::age(one.age_ms))).unwrap_or_default();
    second.push((format!("{} waiting{oldest}", report.waiting), tone));
    if !report.effects.is_empty() {
        second.push((format!("{} outstanding", report.effects.len()), Tone::Warning));
    }
    if let Some(wake) = report.wake_at_ms {
        let in_s = u64::try_from((wake - now_at_ms).max(0) / 1_000).unwrap_or_default();
        second.push(plain(format!("wakes in {}", units::seconds(in_s))));
    }
    let mut facts = vec![first, second];
    if !report.masked.is_empty() {
        facts.push(vec![(format!("masked: {}", report.masked.join(", ")), Tone::Faint)]);
    }
    match &looked.history {
        Err(reason) => facts.push(vec![(format!("no history: {reason}"), Tone::Bad)]),
        Ok(history) => {
            if let Some(why) = &history.incomplete {
                facts.push(vec![(format!("changes are not shown: {why}"), Tone::Warning)]);
            }
        }
    }
    facts
}

fn history(name: &EntityName, looked: &Looked, now_at_ms: i64) -> Table {
    let columns = vec![
        Column::figure("version"),
        Column::text("ago"),
        Column::text("event"),
        Column::text("what it changed"),
        Column::text("writer").spare(2),
        Column::text("cause").spare(3),
        Column::figure("row").spare(1),
    ];
    let events = looked.history.as_ref().map(|history| history.events.as_slice()).unwrap_or_default();
    let rows = events.iter().rev().map(|event| Row {
        id: event.version.to_string(),
        cells: vec![
            Cell::figure(event.version.to_string(), event.version as f64),
            Cell { number: Some(-(event.at_ms as f64)), ..Cell::text(units::since(event.at_ms, now_at_ms)) },
            Cell::text(&event.event),
            Cell::text(changes(event)),
            Cell::text(&event.writer).tone(Tone::Faint),
            Cell::text(&event.cause).tone(Tone::Faint),
            Cell::figure(event.seq.to_string(), event.seq as f64),
        ],
        opens: Some(Place::Entity { entity: name.clone(), version: Some(event.version) }),
        subject: None,
    });
    Table { columns, rows: rows.collect(), empty: "no events" }
}

fn changes(event: &EventReport) -> String {
    if event.changes.is_empty() {
        return event.payload.to_string();
    }
    event.changes.iter().map(change).collect::<Vec<_>>().join(", ")
}

fn change(change: &Change) -> String {
    let path = change.path.trim_start_matches('/');
    match (&change.before, &change.after) {
        (Value::Null, after) => format!("+{path} {after}"),
        (_, Value::Null) => format!("-{path}"),
        (before, after) => format!("{path} {before}→{after}"),
    }
}

fn recent(report: &EntityReport, now_at_ms: i64) -> Table {
    let columns = vec![
        Column::text("at (UTC)"),
        Column::text("ago"),
        Column::text("command"),
        Column::text("outcome"),
        Column::figure("decided in"),
    ];
    let rows = report.recent.iter().enumerate().map(|(index, command)| Row {
        id: format!("{} {index}", command.at_ms),
        cells: vec![
            Cell { number: Some(command.at_ms as f64), ..Cell::text(units::clock(command.at_ms)) },
            Cell { number: Some(-(command.at_ms as f64)), ..Cell::text(units::since(command.at_ms, now_at_ms)) },
            Cell::text(&command.command),
            tail::outcome(&command.outcome),
            Cell::figure(units::micros(command.decided_us), command.decided_us as f64),
        ],
        ..Row::default()
    });
    Table { columns, rows: rows.collect(), empty: "no commands since it was loaded" }
}

fn outstanding(report: &EntityReport) -> Table {
    let columns = vec![
        Column::text("step"),
        Column::figure("repeat"),
        Column::text("state"),
        Column::figure("failed"),
        Column::text("calls"),
    ];
    let rows = report.effects.iter().map(|effect| Row {
        id: format!("{} {}", effect.step, effect.ordinal),
        cells: vec![
            Cell::text(&effect.step),
            Cell::count(effect.ordinal),
            if effect.running { Cell::text("under way") } else { Cell::text("waits") },
            Cell::count(u64::from(effect.attempts)).tone_if(effect.attempts > 0, Tone::Warning),
            Cell::text(effect.calls.join(", ")),
        ],
        ..Row::default()
    });
    Table { columns, rows: rows.collect(), empty: "nothing is outstanding" }
}

/// The event that led to the version that is shown.
fn event(looked: &Looked) -> Table {
    let events = looked.history.as_ref().map(|history| history.events.as_slice()).unwrap_or_default();
    let Some(event) = events.iter().find(|event| event.version == looked.report.version) else {
        return Table { empty: "the event is not in the journal", ..Table::default() };
    };
    let mut said = vec![
        format!("event   {} of {}", event.event, units::clock(event.at_ms)),
        format!("writer  {}, journal row {}", event.writer, event.seq),
    ];
    for (name, text) in [("cause", &event.cause), ("trace", &event.trace)] {
        if !text.is_empty() {
            said.push(format!("{name:<7} {text}"));
        }
    }
    said.extend(event.changes.iter().map(|one| format!("change  {}", change(one))));
    said.extend(pretty(&event.payload));
    listed(said)
}

fn lines(value: &Value) -> Table {
    listed(pretty(value))
}

fn pretty(value: &Value) -> Vec<String> {
    serde_json::to_string_pretty(value).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Lines that keep their order.
fn listed(lines: Vec<String>) -> Table {
    let rows = lines.into_iter().enumerate();
    let rows = rows.map(|(index, line)| Row { id: index.to_string(), cells: vec![Cell::text(line)], ..Row::default() });
    Table { columns: Vec::new(), rows: rows.collect(), empty: "nothing" }
}
