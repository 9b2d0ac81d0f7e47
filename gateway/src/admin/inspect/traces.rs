//! The path of one request over all its hops.

use axum::Json;
use axum::extract::State;
use nakku_cluster::Cluster;
use nakku_cluster::inspect::path::PathReport;
use nakku_cluster::inspect::{Everywhere, Question, Report};
use serde::Serialize;
use utoipa::ToSchema;

use super::views::{SilentNode, silent_nodes};
use crate::extract::Path;
use crate::problem::{Code, Problem, ProblemBody};

/// Hexadecimal digits of a trace's id.
const TRACE_DIGITS: usize = 32;

/// A path, and the nodes whose hops may be missing in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Traced {
    #[serde(flatten)]
    path: PathReport,
    /// Nodes that did not answer in time.
    silent: Vec<SilentNode>,
}

/// The path of one request: its hops on all nodes, each below the one that led to it.
#[utoipa::path(get, path = "/admin/v1/traces/{trace}", tag = "views",
    params(("trace" = String, Path, description = "32 hexadecimal digits")),
    responses((status = 200, body = Traced), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn show(State(cluster): State<Cluster>, Path(trace): Path<String>) -> Result<Json<Traced>, Problem> {
    let trace = trace.to_ascii_lowercase();
    if trace.len() != TRACE_DIGITS || !trace.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let detail = format!("a trace has an id of {TRACE_DIGITS} hexadecimal digits");
        return Err(Problem::new(Code::InvalidValue, detail).field("trace"));
    }
    let Everywhere { answers, mut silent } = cluster.inspect_everywhere(&Question::Path { trace: trace.clone() }).await;
    let mut found = Vec::new();
    let mut more = 0;
    for (node, report) in answers {
        match report {
            Report::Hops { hops, left_out } => {
                more += left_out;
                found.extend(hops.into_iter().map(|hop| (node.clone(), hop)));
            }
            Report::Refused { reason } => silent.push((node, reason)),
            _ => silent.push((node, "it answered something else".to_owned())),
        }
    }
    if found.is_empty() {
        let among = if silent.is_empty() { "no node" } else { "no node that answers" };
        return Err(Problem::new(
            Code::NotFound,
            format!(
                "{among} keeps a hop of it: hops stay in memory for a minute or more, of a busy node's traces only a share is kept, and none of those that the caller marks as not sampled"
            ),
        ));
    }
    Ok(Json(Traced { path: PathReport::of(trace, found, more), silent: silent_nodes(&silent) }))
}
