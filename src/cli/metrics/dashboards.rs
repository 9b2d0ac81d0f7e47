//! Grafana's dashboards, made from the definitions of the metrics: each metric has a panel, and a first board has what
//! one looks at first. `deploy/monitoring/dashboards` holds what `nakku metrics --dashboards` writes.

use nakku_cluster::metrics::define::Definition;
use serde_json::{Value, json};

/// A board: its file, its title, and which metrics it shows.
struct Board {
    name: &'static str,
    title: &'static str,
    prefixes: &'static [&'static str],
}

/// Every metric is on the first board that has its prefix.
const BOARDS: &[Board] = &[
    Board { name: "gateway", title: "Nakku: gateway", prefixes: &["nakku_gateway_"] },
    Board { name: "events", title: "Nakku: events", prefixes: &["nakku_events_", "nakku_kafka_"] },
    Board {
        name: "entities",
        title: "Nakku: entities and journal",
        prefixes: &["nakku_journal_", "nakku_asks_", "nakku_effects_", "nakku_entit", "nakku_shards_"],
    },
    Board { name: "cluster", title: "Nakku: cluster and nodes", prefixes: &["nakku_"] },
];

/// A panel of the first board.
struct Panel {
    title: &'static str,
    unit: &'static str,
    /// Expression and legend.
    lines: &'static [(&'static str, &'static str)],
}

/// What one looks at first.
const FIRST: &[Panel] = &[
    Panel {
        title: "Nodes",
        unit: "short",
        lines: &[
            (r#"count(up{job="nakku"} == 1)"#, "answer"),
            ("sum(nakku_node_ready)", "ready"),
            (r#"max(nakku_cluster_members{state="up"})"#, "members that are up"),
        ],
    },
    Panel {
        title: "Requests by status",
        unit: "reqps",
        lines: &[("sum by (status) (rate(nakku_gateway_requests_total[$__rate_interval]))", "{{status}}")],
    },
    Panel {
        title: "Share of answers that are 5xx",
        unit: "percentunit",
        lines: &[(
            r#"sum(rate(nakku_gateway_requests_total{status=~"5.."}[$__rate_interval])) / sum(rate(nakku_gateway_requests_total[$__rate_interval]))"#,
            "5xx",
        )],
    },
    Panel {
        title: "Time of requests",
        unit: "s",
        lines: &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(nakku_gateway_request_seconds_bucket[$__rate_interval])))",
                "p50",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(nakku_gateway_request_seconds_bucket[$__rate_interval])))",
                "p99",
            ),
        ],
    },
    Panel {
        title: "Orders",
        unit: "ops",
        lines: &[(
            r#"sum by (type) (rate(nakku_events_published_total{service="order"}[$__rate_interval]))"#,
            "{{type}}",
        )],
    },
    Panel {
        title: "Payments",
        unit: "ops",
        lines: &[(
            r#"sum by (type) (rate(nakku_events_published_total{service="payment"}[$__rate_interval]))"#,
            "{{type}}",
        )],
    },
    Panel {
        title: "Time of commits",
        unit: "s",
        lines: &[(
            "histogram_quantile(0.99, sum by (le, instance) (rate(nakku_journal_commit_seconds_bucket[$__rate_interval])))",
            "p99 {{instance}}",
        )],
    },
    Panel {
        title: "What nodes rest on",
        unit: "short",
        lines: &[("min by (dependency) (nakku_dependency_up)", "{{dependency}}")],
    },
    Panel {
        title: "Shards that nobody serves",
        unit: "short",
        lines: &[(
            "max by (service) (nakku_cluster_shards) - (sum by (service) (nakku_shards_serving) or 0 * max by (service) (nakku_cluster_shards))",
            "{{service}}",
        )],
    },
    Panel {
        title: "Events that wait: rows not published, messages not consumed",
        unit: "short",
        lines: &[
            ("sum by (service) (nakku_events_lag_rows)", "{{service}}"),
            ("sum by (group) (nakku_kafka_consumer_lag)", "{{group}}"),
        ],
    },
    Panel {
        title: "Refused as too much",
        unit: "reqps",
        lines: &[
            (r#"sum(rate(nakku_gateway_problems_total{code="overloaded"}[$__rate_interval]))"#, "overloaded"),
            ("sum by (limit) (rate(nakku_gateway_rate_limited_total[$__rate_interval]))", "limit {{limit}}"),
        ],
    },
    Panel {
        title: "Processor time and memory",
        unit: "short",
        lines: &[
            ("rate(nakku_process_cpu_seconds_total[$__rate_interval])", "processors {{instance}}"),
            ("nakku_process_resident_bytes / 2^30", "GiB {{instance}}"),
        ],
    },
];

/// An expression and its legend.
type Line = (String, String);
/// A panel's title, unit and lines.
type Shown = (String, &'static str, Vec<Line>);

/// Panels are two in a row.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

/// Every board as file name and text.
pub fn all(definitions: &[Definition]) -> Vec<(String, String)> {
    let first = FIRST.iter().map(|panel| (panel.title.to_owned(), panel.unit, lines(panel))).collect();
    let mut boards = vec![("overview.json".to_owned(), text("overview", "Nakku: overview", first))];
    for (place, Board { name, title, prefixes }) in BOARDS.iter().enumerate() {
        let has = |board: &Board, metric: &str| board.prefixes.iter().any(|prefix| metric.starts_with(prefix));
        let shown = definitions.iter().filter(|one| {
            prefixes.iter().any(|prefix| one.name.starts_with(prefix))
                && !BOARDS[..place].iter().any(|earlier| has(earlier, one.name))
        });
        let panels = shown.map(panel).collect();
        boards.push((format!("{name}.json"), text(name, title, panels)));
    }
    boards
}

fn lines(panel: &Panel) -> Vec<Line> {
    panel.lines.iter().map(|(expression, legend)| ((*expression).to_owned(), (*legend).to_owned())).collect()
}

/// The panel of one metric: rates of counters, quantiles of histograms, gauges as they are.
fn panel(one: &Definition) -> Shown {
    let Definition { name, kind, labels, help } = one;
    let legend = labels.iter().map(|label| format!("{{{{{label}}}}}")).collect::<Vec<_>>().join(" ");
    let by = |more: &[&str]| more.iter().chain(labels.iter()).copied().collect::<Vec<_>>().join(", ");
    let title = format!("{} ({name})", help.trim_end_matches('.'));
    match *kind {
        "counter" => {
            let unit = if name.ends_with("_seconds_total") { "short" } else { "ops" };
            let of_each =
                if labels.is_empty() { ("instance".to_owned(), "{{instance}}".to_owned()) } else { (by(&[]), legend) };
            let expression = format!("sum by ({}) (rate({name}[$__rate_interval]))", of_each.0);
            (title, unit, vec![(expression, of_each.1)])
        }
        "histogram" => {
            let quantile = |part: &str, legend: String| {
                let by = by(&["le"]);
                (format!("histogram_quantile({part}, sum by ({by}) (rate({name}_bucket[$__rate_interval])))"), legend)
            };
            let unit = unit(name);
            let of = |part: &str| format!("{part} {legend}").trim_end().to_owned();
            (title, unit, vec![quantile("0.5", of("p50")), quantile("0.99", of("p99"))])
        }
        _ => {
            let expression = format!("sum by ({}) ({name})", by(&["instance"]));
            (title, unit(name), vec![(expression, format!("{{{{instance}}}} {legend}").trim_end().to_owned())])
        }
    }
}

fn unit(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_seconds") => "s",
        _ if name.ends_with("_bytes") => "bytes",
        _ => "short",
    }
}

/// See <https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>.
fn text(name: &str, title: &str, panels: Vec<Shown>) -> String {
    let panels: Vec<Value> = panels
        .into_iter()
        .enumerate()
        .map(|(place, (title, unit, lines))| {
            let targets = lines.iter().zip("ABCDEFGH".chars()).map(|((expression, legend), reference)| {
                json!({
                    "refId": reference.to_string(),
                    "datasource": { "type": "prometheus", "uid": "${datasource}" },
                    "expr": expression,
                    "legendFormat": legend,
                })
            });
            json!({
                "id": place + 1,
                "type": "timeseries",
                "title": title,
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "gridPos": { "x": place % 2 * WIDTH, "y": place / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT },
                "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
                "options": { "legend": { "displayMode": "list", "placement": "bottom" } },
                "targets": targets.collect::<Vec<_>>(),
            })
        })
        .collect();
    let board = json!({
        "uid": format!("nakku-{name}"),
        "title": title,
        "tags": ["nakku"],
        "schemaVersion": 39,
        "editable": true,
        "time": { "from": "now-1h", "to": "now" },
        "refresh": "30s",
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
        ] },
        "panels": panels,
    });
    format!("{board:#}\n")
}
