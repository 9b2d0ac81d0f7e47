//! What one entity has outstanding: its effects, and its reminder.

use axum::Json;
use axum::extract::State;
use nakku_cluster::inspect::{Act, EffectAt};
use nakku_cluster::{Cluster, Key};

use super::bodies::Acted;
use super::entities::{perform, whose};
use super::reason::Because;
use crate::admin::session::Operator;
use crate::extract::{Json as Body, Path};
use crate::problem::{Code, Problem, ProblemBody};

/// Makes the next attempt of an outstanding effect now, not after its pause. One whose attempt is under way is tried
/// again at once if that fails.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/effects/{effect}/retry", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one"),
        ("effect" = String, Path, description = "`STEP`, or `STEP:ORDINAL` where the step has several")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn retry(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key, effect)): Path<(String, Key, String)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, effect) = (whose(kind, key), named(&effect)?);
    let act = Act::RetryEffect { entity: entity.clone(), effect };
    perform(&cluster, &operator, &because, "retry_effect", &entity, act).await
}

/// Ends an outstanding effect as if its attempts were used up: the entity is given the command that it has for that.
/// Refused (`wrong_state`) when it has none, because then it would want the effect again at once.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/effects/{effect}/give-up", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one"),
        ("effect" = String, Path, description = "`STEP`, or `STEP:ORDINAL` where the step has several")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn give_up(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key, effect)): Path<(String, Key, String)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, effect) = (whose(kind, key), named(&effect)?);
    let act = Act::GiveUpEffect { entity: entity.clone(), effect };
    perform(&cluster, &operator, &because, "give_up_effect", &entity, act).await
}

/// Gives an entity now what its reminder would give it. What follows the entity decides by its state and the clock, so
/// that before its time nothing may: then `entities` is 0.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/reminder/fire", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn fire(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, name) = (whose(kind, key), "fire_reminder");
    perform(&cluster, &operator, &because, name, &entity, Act::FireReminder { entity: entity.clone() }).await
}

/// Always refused (`wrong_state`), with why: when an entity must be awake is a function of its state, so that a reminder
/// that was cancelled would be set again by the next commit, and by whoever reads the entity anew.
#[utoipa::path(post, path = "/admin/v1/entities/{kind}/{key}/reminder/cancel", tag = "acts",
    params(("kind" = String, Path, description = "Such as `order.order`"), ("key" = String, Path, description = "Which one")),
    request_body = Because,
    responses((status = 200, body = Acted), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn cancel(
    State(cluster): State<Cluster>,
    operator: Operator,
    Path((kind, key)): Path<(String, Key)>,
    Body(because): Body<Because>,
) -> Result<Json<Acted>, Problem> {
    let (entity, name) = (whose(kind, key), "cancel_reminder");
    perform(&cluster, &operator, &because, name, &entity, Act::CancelReminder { entity: entity.clone() }).await
}

fn named(effect: &str) -> Result<EffectAt, Problem> {
    effect.parse().map_err(|reason: String| Problem::new(Code::InvalidValue, reason).field("effect"))
}
