//! What a node's processor does for a time, as stacks or as a picture.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nakku_cluster::Cluster;
use nakku_cluster::inspect::question::PROFILE_S_MAX;
use nakku_cluster::inspect::{ProfileFormat, Question, Report};
use serde::Deserialize;

use super::reason::{Because, audit};
use super::told;
use crate::admin::session::Operator;
use crate::extract::{Json as Body, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// For how long, unless asked otherwise.
const SECONDS: u32 = 10;

/// For how long, and what is wanted of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profiled {
    #[serde(default)]
    seconds: Option<u32>,
    #[serde(default)]
    format: Option<ProfileFormat>,
}

/// Profiles what a node's processor does, and answers when the time is over. One at a time for each node.
#[utoipa::path(post, path = "/admin/v1/nodes/{name}/profile", tag = "acts",
    params(("name" = String, Path, description = "The node's name"),
        ("seconds" = Option<u32>, Query, description = "For so long, 1 to 60; 10 unless given"),
        ("format" = Option<ProfileFormat>, Query, description = "`folded` unless given")),
    request_body = Because,
    responses((status = 200, description = "Folded stacks as text, or a flame graph as SVG",
        content((String = "text/plain"), (String = "image/svg+xml"))), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn take(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path(node): Path<String>,
    Query(profiled): Query<Profiled>,
    Body(because): Body<Because>,
) -> Result<Response, Problem> {
    let seconds = profiled.seconds.unwrap_or(SECONDS);
    let format = profiled.format.unwrap_or(ProfileFormat::Folded);
    if seconds == 0 || seconds > PROFILE_S_MAX {
        let detail = format!("a profile is of 1 to {PROFILE_S_MAX} seconds");
        return Err(Problem::new(Code::InvalidValue, detail).field("seconds"));
    }
    audit(&operator.0, &because.reason, "profile", format_args!("{node} for {seconds} s"))?;
    let (number, bytes) = match cluster.inspect(&node, Question::Profile { seconds, format }).await.map_err(told)? {
        Report::Profiled { number, bytes } => (number, bytes),
        other => return Err(refused(other)),
    };
    let mut profile: Vec<u8> = Vec::new();
    while (profile.len() as u64) < bytes {
        let question = Question::ProfilePart { number, from: profile.len() as u64 };
        let part = match cluster.inspect(&node, question).await.map_err(told)? {
            Report::ProfilePart { base64 } => BASE64_STANDARD.decode(base64).unwrap_or_default(),
            other => return Err(refused(other)),
        };
        if part.is_empty() {
            return Err(refused(Report::Moved));
        }
        profile.extend(part);
    }
    let kind = match format {
        ProfileFormat::Folded => "text/plain; charset=utf-8",
        ProfileFormat::Flamegraph => "image/svg+xml",
    };
    Ok(([(CONTENT_TYPE, kind)], profile).into_response())
}

fn refused(report: Report) -> Problem {
    match report {
        Report::Refused { reason } => Problem::new(Code::WrongState, reason),
        _ => Problem::new(Code::Unavailable, "the node answered something else"),
    }
}
