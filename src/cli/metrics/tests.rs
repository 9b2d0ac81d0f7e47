//! What is committed agrees with the definitions, and names nothing that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nakku_cluster::metrics::define::Definition;
use nakku_gateway::metrics;
use serde_json::Value;

use super::promql::{Named, named};
use super::{dashboards, page};

/// What Prometheus itself adds.
const OWN_METRICS: &[&str] = &["up", "ALERTS"];
const OWN_LABELS: &[&str] = &["job", "instance", "le"];

fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(file)
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{} can't be read: {error}", file.display()))
}

#[test]
fn the_committed_page_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let told = "docs/metrics.md is old; run: cargo run --release -- metrics --docs > docs/metrics.md";
    assert!(read(&file) == page(), "{told}");
}

#[test]
fn the_committed_dashboards_are_current_and_show_every_metric() {
    let folder = monitoring("dashboards");
    let told =
        format!("{0} is old; run: cargo run --release -- metrics --dashboards {0}", "deploy/monitoring/dashboards");
    let made = dashboards::all(&metrics::all());
    for (name, text) in &made {
        assert!(std::fs::read_to_string(folder.join(name)).unwrap_or_default() == *text, "{name}: {told}");
    }
    let there = std::fs::read_dir(&folder).expect("the folder is committed").count();
    assert_eq!(there, made.len(), "{told}, and remove what no board is any more");
    let shown: BTreeSet<String> = made
        .iter()
        .flat_map(|(_, text)| expressions(&serde_json::from_str(text).expect("boards are JSON")))
        .flat_map(|expression| named(&expression).metrics)
        .map(|one| base(&one.metric).to_owned())
        .collect();
    for one in metrics::all() {
        assert!(shown.contains(one.name), "{} is on no dashboard", one.name);
    }
}

#[test]
fn dashboards_and_alerts_name_only_what_exists() {
    for (name, text) in dashboards::all(&metrics::all()) {
        for expression in expressions(&serde_json::from_str(&text).expect("boards are JSON")) {
            assert_eq!(unknown(&named(&expression)), Vec::<String>::new(), "{name}: {expression}");
        }
    }
    let rules = alerts();
    assert!(rules.len() >= 20, "these are all rules that were found: {:?}", rules.keys());
    for (alert, expression) in &rules {
        let named = named(expression);
        assert!(!named.metrics.is_empty(), "{alert} names no metric");
        assert_eq!(unknown(&named), Vec::<String>::new(), "{alert}: {expression}");
    }
}

#[test]
fn every_alert_has_its_place_in_the_runbook() {
    let runbook = read(&monitoring("RUNBOOK.md"));
    let told: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## Nakku")).collect();
    let alerts = alerts();
    let ruled: BTreeSet<&str> = alerts.keys().filter_map(|alert| alert.strip_prefix("Nakku")).collect();
    assert_eq!(ruled, told, "the headings of the runbook are not the alerts");
}

/// What the test of names would overlook, it must not.
#[test]
fn what_does_not_exist_is_found() {
    assert_eq!(unknown(&named("rate(nakku_no_such_total[5m])")), ["nakku_no_such_total"]);
    assert_eq!(unknown(&named(r#"nakku_events_stuck{service="x"}"#)), ["nakku_events_stuck has no label service"]);
    assert_eq!(unknown(&named("sum by (shard) (nakku_events_stuck)")), ["no metric here has the label shard"]);
    assert_eq!(unknown(&named("nakku_journal_commit_seconds")), ["nakku_journal_commit_seconds is a histogram"]);
}

/// Names of metrics and labels that no definition has.
fn unknown(named: &Named) -> Vec<String> {
    let all = metrics::all();
    let of = |metric: &str| -> Option<&Definition> { all.iter().find(|one| one.name == base(metric)) };
    let mut unknown = Vec::new();
    let mut labels: BTreeSet<&str> = OWN_LABELS.iter().copied().collect();
    for one in &named.metrics {
        if OWN_METRICS.contains(&one.metric.as_str()) {
            continue;
        }
        let Some(definition) = of(&one.metric) else {
            unknown.push(one.metric.clone());
            continue;
        };
        if (definition.kind == "histogram") != (definition.name != one.metric) {
            unknown.push(format!("{} is a {}", one.metric, definition.kind));
        }
        labels.extend(&definition.labels);
        let has = |label: &&String| OWN_LABELS.contains(&label.as_str()) || definition.labels.contains(&label.as_str());
        unknown.extend(
            one.labels.iter().filter(|label| !has(label)).map(|label| format!("{} has no label {label}", one.metric)),
        );
    }
    let grouped = named.grouped.iter().filter(|label| !labels.contains(label.as_str()));
    unknown.extend(grouped.map(|label| format!("no metric here has the label {label}")));
    unknown
}

/// The metric of which this is a series.
fn base(series: &str) -> &str {
    let histograms = metrics::all();
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| series.strip_suffix(part));
    let known = |name: &&str| histograms.iter().any(|one| one.kind == "histogram" && one.name == *name);
    part.filter(known).unwrap_or(series)
}

/// Every `expr` of a board.
fn expressions(board: &Value) -> Vec<String> {
    match board {
        Value::Object(all) => all
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("expr", Value::String(expression)) => vec![expression.clone()],
                _ => expressions(value),
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// The rules of `alerts.yml` by name: each is `- alert: NAME`, and its expression stands on one line or is a block.
/// `promtool` holds that the file is well-formed, in `deploy/checks/static`.
fn alerts() -> BTreeMap<String, String> {
    let text = read(&monitoring("alerts.yml"));
    let mut alerts = BTreeMap::new();
    let mut lines = text.lines().peekable();
    let mut alert = None;
    while let Some(line) = lines.next() {
        let indented = |line: &str| line.len() - line.trim_start().len();
        if let Some(name) = line.trim_start().strip_prefix("- alert: ") {
            alert = Some(name.to_owned());
        } else if let Some(expression) = line.trim_start().strip_prefix("expr: ") {
            let mut expression = expression.to_owned();
            let within = indented(line);
            while let Some(more) = lines.next_if(|next| indented(next) > within) {
                expression = format!("{expression} {}", more.trim());
            }
            let name = alert.take().expect("an expression is of an alert");
            alerts.insert(name, expression.trim_start_matches(['>', '|', '-']).to_owned());
        }
    }
    alerts
}
