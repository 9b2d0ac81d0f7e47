//! Lists over all nodes.

use std::cmp::Reverse;
use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use nakku_cluster::Cluster;
use nakku_cluster::inspect::infrastructure::InfrastructureReport;
use nakku_cluster::inspect::report::{
    Branch, MoveReport, NodeReport, Point, ShardReport, TopEntry, TypeReport, mark_hot,
};
use nakku_cluster::inspect::{Everywhere, Question, Report, TopBy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::extract::Query;
use crate::problem::{Code, Problem, ProblemBody};

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
    Infrastructure,
}

impl View {
    const ALL: [(&'static str, Self); 8] = [
        ("nodes", Self::Nodes),
        ("shards", Self::Shards),
        ("moves", Self::Moves),
        ("types", Self::Types),
        ("top", Self::Top),
        ("tree", Self::Tree),
        ("points", Self::Points),
        ("infrastructure", Self::Infrastructure),
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
            Self::Infrastructure => Question::Infrastructure,
        };
        let everywhere = cluster.inspect_everywhere(&question).await;
        match self {
            Self::Nodes => Listed::of(everywhere, narrowed, |_, report| match report {
                Report::Node(one) => Ok(vec![*one]),
                other => Err(other),
            })
            .json(),
            Self::Shards => {
                // Which are hot is told by all shards of a service, wherever they are.
                let mut listed = Listed::of(everywhere, &Narrowed::default(), |_, report| match report {
                    Report::Shards(all) => Ok(all),
                    other => Err(other),
                });
                mark_hot(&mut listed.items);
                listed.items.retain(|shard| narrowed.has_service(&shard.service) && narrowed.has_node(&shard.node));
                listed.items.sort_by(|one, other| (&one.service, one.number).cmp(&(&other.service, other.number)));
                listed.json()
            }
            Self::Moves => {
                let mut listed = Listed::of(everywhere, narrowed, |node, report| match report {
                    Report::Moves(all) => Ok(all.into_iter().map(|report| OfNode::new(node, report)).collect()),
                    other => Err(other),
                });
                listed.items.sort_by_key(|moved| Reverse(moved.report.at_ms));
                listed.json()
            }
            Self::Types => {
                let mut listed = Listed::of(everywhere, narrowed, |_, report| match report {
                    Report::Types(all) => Ok(all),
                    other => Err(other),
                });
                listed.items.retain(|one| narrowed.kind.as_ref().is_none_or(|kind| *kind == one.kind));
                listed.json()
            }
            Self::Top => {
                let mut listed = Listed::of(everywhere, narrowed, |_, report| match report {
                    Report::Top(all) => Ok(all),
                    other => Err(other),
                });
                listed.by = Some(by);
                listed.items = greatest(listed.items, limit as usize);
                listed.json()
            }
            Self::Tree => Listed::of(everywhere, narrowed, |_, report| match report {
                Report::Tree(one) => Ok(vec![one]),
                other => Err(other),
            })
            .json(),
            Self::Points => Listed::of(everywhere, narrowed, |node, report| match report {
                Report::Points(points) => Ok(vec![OfNode::new(node, Points { points })]),
                other => Err(other),
            })
            .json(),
            Self::Infrastructure => Listed::of(everywhere, narrowed, |_, report| match report {
                Report::Infrastructure(one) => Ok(vec![*one]),
                other => Err(other),
            })
            .json(),
        }
    }
}

/// What all nodes that answered have, as one list.
#[derive(Debug, Serialize, ToSchema)]
struct Listed<T> {
    /// Of `top`: by what.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<TopBy>,
    /// Of all nodes.
    items: Vec<T>,
    /// Nodes that did not answer in time.
    silent: Vec<SilentNode>,
}

/// A node that did not answer in time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SilentNode {
    /// `name@generation`.
    node: String,
    /// What is known of why.
    reason: String,
}

/// A report and the node that it is of.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OfNode<T> {
    /// `name@generation`.
    node: String,
    #[serde(flatten)]
    report: T,
}

/// The figures of one node.
#[derive(Debug, Serialize, ToSchema)]
struct Points {
    /// The oldest first.
    points: Vec<Point>,
}

impl<T: Serialize> Listed<T> {
    /// What the wanted nodes say; what they do not say counts as silence.
    fn of(everywhere: Everywhere, narrowed: &Narrowed, take: impl Fn(&str, Report) -> Result<Vec<T>, Report>) -> Self {
        let Everywhere { answers, mut silent } = everywhere;
        let mut items = Vec::new();
        for (node, report) in answers.into_iter().filter(|(node, _)| narrowed.has_node(node)) {
            match take(&node, report) {
                Ok(of_node) => items.extend(of_node),
                Err(Report::Refused { reason }) => silent.push((node, reason)),
                Err(other) => {
                    let said = format!("it answered something else: {other:?}");
                    silent.push((node, said.chars().take(200).collect()));
                }
            }
        }
        Self { by: None, items, silent: silent_nodes(&silent) }
    }

    fn json(&self) -> Value {
        serde_json::to_value(self).expect("reports have string keys and serialise")
    }
}

impl<T> OfNode<T> {
    pub(super) fn new(node: &str, report: T) -> Self {
        Self { node: node.to_owned(), report }
    }
}

impl Narrowed {
    fn has_node(&self, node: &str) -> bool {
        let name = node.split('@').next().unwrap_or(node);
        self.node.as_ref().is_none_or(|wanted| wanted == node || wanted == name)
    }

    fn has_service(&self, service: &str) -> bool {
        self.service.as_ref().is_none_or(|wanted| wanted == service)
    }
}

/// The greatest first, each entity once: one that has moved lately is told of by two nodes.
fn greatest(mut entries: Vec<TopEntry>, limit: usize) -> Vec<TopEntry> {
    entries.sort_by(|one, other| other.value.total_cmp(&one.value));
    let mut known = HashSet::new();
    entries.retain(|entry| known.insert(entry.entity.clone()));
    entries.truncate(limit);
    entries
}

/// Each node as it sees itself.
#[utoipa::path(get, path = "/admin/v1/nodes", tag = "views",
    params(("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<NodeReport>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn nodes(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Nodes.look(&cluster, &narrowed).await)
}

/// The shards that are served, by service and number.
#[utoipa::path(get, path = "/admin/v1/shards", tag = "views",
    params(("service" = Option<String>, Query, description = "Only of this service"), ("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<ShardReport>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn shards(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Shards.look(&cluster, &narrowed).await)
}

/// Shards that came and went lately, newest first.
#[utoipa::path(get, path = "/admin/v1/moves", tag = "views",
    params(("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<OfNode<MoveReport>>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn moves(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Moves.look(&cluster, &narrowed).await)
}

/// What entities were asked, by kind and node.
#[utoipa::path(get, path = "/admin/v1/types", tag = "views",
    params(("kind" = Option<String>, Query, description = "Only this kind"), ("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<TypeReport>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn types(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Types.look(&cluster, &narrowed).await)
}

/// The entities that stand out; sampled.
#[utoipa::path(get, path = "/admin/v1/top", tag = "views",
    params(("by" = Option<TopBy>, Query, description = "By what they stand out: `messages` unless given"),
        ("limit" = Option<u32>, Query, description = "At most so many, 50 unless given"), ("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<TopEntry>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn top(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Top.look(&cluster, &narrowed).await)
}

/// What supervises what, down to the shards, by node.
#[utoipa::path(get, path = "/admin/v1/tree", tag = "views",
    params(("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<Branch>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn tree(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Tree.look(&cluster, &narrowed).await)
}

/// The figures of the last quarter of an hour, by node; a point every 5 seconds.
#[utoipa::path(get, path = "/admin/v1/points", tag = "views",
    params(("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<OfNode<Points>>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn points(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Points.look(&cluster, &narrowed).await)
}

/// What works behind the shards of each node, and what it rests on: journal writers, databases, publishers, consumers,
/// Kafka, Redis.
#[utoipa::path(get, path = "/admin/v1/infrastructure", tag = "views",
    params(("node" = Option<String>, Query, description = "Only of this node, by its name or name@generation")),
    responses((status = 200, body = Listed<InfrastructureReport>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn infrastructure(State(cluster): State<Cluster>, Query(narrowed): Query<Narrowed>) -> Json<Value> {
    Json(View::Infrastructure.look(&cluster, &narrowed).await)
}

/// Nodes that did not answer, as every view names them.
pub(super) fn silent_nodes(silent: &[(String, String)]) -> Vec<SilentNode> {
    silent.iter().map(|(node, reason)| SilentNode { node: node.clone(), reason: reason.clone() }).collect()
}
