//! Lists over all nodes.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use nakku_cluster::Cluster;
use nakku_cluster::inspect::{Everywhere, Question, Report, TopBy};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::extract::Query;
use crate::problem::{Code, Problem};

/// Entities of `top` unless fewer are asked for.
const TOP_LIMIT: u32 = 50;

/// What a view is narrowed down to; each view takes what concerns it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Narrowed {
    /// Of `watch`: which view.
    #[serde(default)]
    pub view: Option<String>,
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    by: Option<TopBy>,
    #[serde(default)]
    limit: Option<u32>,
}

/// A view of the whole cluster.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    Nodes,
    Shards,
    Moves,
    Types,
    Top,
    Tree,
    Points,
}

impl View {
    const ALL: [(&'static str, Self); 7] = [
        ("nodes", Self::Nodes),
        ("shards", Self::Shards),
        ("moves", Self::Moves),
        ("types", Self::Types),
        ("top", Self::Top),
        ("tree", Self::Tree),
        ("points", Self::Points),
    ];

    /// # Errors
    /// When no view is called so.
    pub(super) fn named(name: Option<&str>) -> Result<Self, Problem> {
        let found = Self::ALL.iter().find(|(known, _)| Some(*known) == name);
        found.map(|(_, view)| *view).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            Problem::new(Code::InvalidValue, format!("the views are {}", names.join(", "))).field("view")
        })
    }

    /// What it shows now.
    pub(super) async fn look(self, cluster: &Cluster, narrowed: &Narrowed) -> Value {
        let limit = narrowed.limit.unwrap_or(TOP_LIMIT);
        let by = narrowed.by.unwrap_or(TopBy::Messages);
        let question = match self {
            Self::Nodes => Question::Node,
            Self::Shards => Question::Shards,
            Self::Moves => Question::Moves,
            Self::Types => Question::Types,
            Self::Top => Question::Top { by, limit },
            Self::Tree => Question::Tree,
            Self::Points => Question::Points,
        };
        let Everywhere { answers, mut silent } = cluster.inspect_everywhere(&question).await;
        let mut items: Vec<Value> = Vec::new();
        for (node, report) in answers {
            match self.items(&node, report, narrowed) {
                Ok(of_node) => items.extend(of_node),
                Err(reason) => silent.push((node, reason)),
            }
        }
        self.sort(&mut items);
        if matches!(self, Self::Top) {
            items.truncate(limit as usize);
            return json!({ "by": by, "items": items, "silent": silent_nodes(&silent) });
        }
        json!({ "items": items, "silent": silent_nodes(&silent) })
    }

    fn items(self, node: &str, report: Report, narrowed: &Narrowed) -> Result<Vec<Value>, String> {
        let of = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        let on_node = |node: &str| {
            let name = node.split('@').next().unwrap_or(node);
            of(&narrowed.node, node) || of(&narrowed.node, name)
        };
        if !on_node(node) {
            return Ok(Vec::new());
        }
        match report {
            Report::Node(one) => values([one]),
            Report::Shards(all) => values(all.into_iter().filter(|shard| of(&narrowed.service, &shard.service))),
            Report::Types(all) => values(all.into_iter().filter(|kind| of(&narrowed.kind, &kind.kind))),
            Report::Top(all) => values(all),
            Report::Tree(one) => values([one]),
            Report::Moves(all) => Ok(values(all)?.into_iter().map(|one| with_node(one, node)).collect()),
            Report::Points(points) => Ok(vec![json!({ "node": node, "points": points })]),
            Report::Refused { reason } => Err(reason),
            other => Err(format!("it answered something else: {other:?}").chars().take(200).collect()),
        }
    }

    fn sort(self, items: &mut [Value]) {
        let number = |item: &Value, name: &str| item[name].as_f64().unwrap_or(0.0);
        match self {
            Self::Top => items.sort_by(|one, other| number(other, "value").total_cmp(&number(one, "value"))),
            Self::Moves => items.sort_by(|one, other| number(other, "at_ms").total_cmp(&number(one, "at_ms"))),
            Self::Shards => items.sort_by_key(|one| {
                (one["service"].as_str().unwrap_or_default().to_owned(), one["number"].as_u64().unwrap_or(0))
            }),
            _ => {}
        }
    }
}

pub(super) async fn nodes(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Nodes.look(&cluster, &narrowed).await)
}

pub(super) async fn shards(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Shards.look(&cluster, &narrowed).await)
}

pub(super) async fn moves(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Moves.look(&cluster, &narrowed).await)
}

pub(super) async fn types(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Types.look(&cluster, &narrowed).await)
}

pub(super) async fn top(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Top.look(&cluster, &narrowed).await)
}

pub(super) async fn tree(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Tree.look(&cluster, &narrowed).await)
}

pub(super) async fn points(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Points.look(&cluster, &narrowed).await)
}

/// Nodes that did not answer, as every view names them.
pub(super) fn silent_nodes(silent: &[(String, String)]) -> Vec<BTreeMap<&'static str, &String>> {
    silent.iter().map(|(node, reason)| BTreeMap::from([("node", node), ("reason", reason)])).collect()
}

/// A report's members, and the node it is of.
pub(super) fn with_node(mut value: Value, node: &str) -> Value {
    if let Value::Object(members) = &mut value {
        members.insert("node".into(), node.into());
    }
    value
}

fn values<T: Serialize>(all: impl IntoIterator<Item = T>) -> Result<Vec<Value>, String> {
    all.into_iter().map(|one| serde_json::to_value(one).map_err(|error| error.to_string())).collect()
}
