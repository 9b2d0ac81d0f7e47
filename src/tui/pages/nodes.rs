//! Nodes: those that answered as they see themselves, the others as the cluster sees them.

use std::collections::BTreeMap;

use nakku_cluster::inspect::report::NodeReport;
use nakku_cluster::status::NodeStatus;

use crate::surface::units;
use crate::tui::answers::{Listed, name_of};
use crate::tui::place::{Place, Subject};
use crate::tui::table::{Cell, Column, Row, Table, Tone};

const COLUMNS: &[Column] = &[
    Column::text("node"),
    Column::text("state"),
    Column::text("lease"),
    Column::figure("cpu%"),
    Column::figure("memory"),
    Column::figure("loaded"),
    Column::figure("busy"),
    Column::figure("shards"),
    Column::figure("links"),
    Column::figure("slowest").spare(2),
    Column::figure("up"),
    Column::figure("clock").spare(3),
    Column::text("version").spare(4),
    Column::text("roles").spare(5),
];

/// Processor time of one process from here on is worth a look, in percent of one processor.
const CPU_HIGH: f64 = 90.0;
/// Clocks that differ by more are worth a look.
const CLOCK_OFF_MS: i64 = 500;

/// One row a node.
pub fn table(listed: &Listed<NodeReport>) -> Table {
    let newest = listed.items.iter().map(|report| &report.status).max_by_key(|status| status.view_version);
    let known: BTreeMap<String, &NodeStatus> = newest
        .into_iter()
        .flat_map(|status| &status.nodes)
        .map(|node| (format!("{}@{}", node.name, node.generation), node))
        .collect();
    let shards = |name: &str| -> u64 {
        let owners = newest.into_iter().flat_map(|status| &status.services);
        owners.filter_map(|service| service.owners.get(name)).map(|count| u64::from(*count)).sum()
    };
    let middle = middle(listed.items.iter().map(|report| report.clock_offset_ms).collect());
    let mut rows: Vec<Row> = listed
        .items
        .iter()
        .map(|report| {
            let cells = answered(report, known.get(&report.node).copied(), middle);
            row(&report.node, cells, shards(name_of(&report.node)))
        })
        .collect();
    let missing: Vec<&String> = known
        .keys()
        .chain(listed.silent.iter().map(|silent| &silent.node))
        .filter(|node| !listed.items.iter().any(|report| &report.node == *node))
        .collect();
    for node in missing {
        if !rows.iter().any(|row| &row.id == node) {
            rows.push(row(node, silent(known.get(node).copied()), shards(name_of(node))));
        }
    }
    Table { columns: COLUMNS.into(), rows, empty: "no node answered" }
}

fn row(node: &str, mut cells: Vec<Cell>, shards: u64) -> Row {
    cells.insert(0, Cell::text(node));
    cells.insert(7, Cell::count(shards));
    let name = name_of(node).to_owned();
    Row {
        id: node.to_owned(),
        cells,
        opens: Some(Place::Shards { service: None, node: Some(name.clone()) }),
        subject: Some(Subject::Node(name)),
    }
}

fn answered(report: &NodeReport, known: Option<&NodeStatus>, middle: i64) -> Vec<Cell> {
    let state = known.map_or("unlisted", |node| node.state.as_str());
    let connected = report.links.iter().filter(|link| link.connected).count();
    let slowest = report.links.iter().filter_map(|link| link.round_trip_us).max();
    let off = report.clock_offset_ms - middle;
    let roles = known.map(|node| node.roles.join(",")).unwrap_or_default();
    vec![
        if state == "up" && !report.ready { Cell::text("not ready").tone(Tone::Warning) } else { self::state(state) },
        if report.lease_valid { Cell::text("held") } else { Cell::text("lost").tone(Tone::Bad) },
        Cell::figure(format!("{:.0}", report.cpu_percent), report.cpu_percent)
            .tone_if(report.cpu_percent >= CPU_HIGH, Tone::Warning),
        Cell::figure(units::bytes(units::figure(report.memory_bytes)), report.memory_bytes as f64),
        Cell::count(report.loaded),
        Cell::count(report.in_flight),
        Cell::figure(format!("{connected}/{}", report.links.len()), connected as f64)
            .tone_if(connected < report.links.len(), Tone::Bad),
        slowest.map_or_else(Cell::unknown, |slowest| Cell::figure(units::micros(slowest), slowest as f64)),
        Cell::figure(units::seconds(report.uptime_s), report.uptime_s as f64),
        Cell::figure(format!("{off:+}ms"), off as f64).tone_if(off.abs() > CLOCK_OFF_MS, Tone::Warning),
        Cell::text(&report.version),
        Cell::text(roles).tone(Tone::Faint),
    ]
}

fn silent(known: Option<&NodeStatus>) -> Vec<Cell> {
    let word = match known {
        Some(node) if node.state != "up" => state(&node.state),
        _ => Cell::text("silent").tone(Tone::Bad),
    };
    let lease = known.map_or_else(String::new, |node| format!("{}s", node.silent_ms / 1_000));
    let mut cells = vec![word, Cell::text(lease).tone(Tone::Bad)];
    cells.extend(std::iter::repeat_with(Cell::unknown).take(COLUMNS.len() - 4));
    cells
}

fn state(state: &str) -> Cell {
    let tone = match state {
        "up" => Tone::Good,
        "down" => Tone::Bad,
        _ => Tone::Warning,
    };
    Cell::text(state).tone(tone)
}

/// What clocks are compared with: with two nodes nobody knows which one is wrong, with three the middle one tells.
fn middle(mut clocks: Vec<i64>) -> i64 {
    clocks.sort_unstable();
    clocks.get(clocks.len() / 2).copied().unwrap_or_default()
}
