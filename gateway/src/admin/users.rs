//! `POST /admin/v1/users`: users with any role, where the API makes customers only; and `/{id}/erase`, which forgets
//! one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json as JsonBody, Router};
use nakku_actors::user::command::{ErasedBy, ErasureReason, Role};
use nakku_cluster::{Ask, Cluster, Key};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use super::inspect::reason::note;
use super::session::Operator;
use crate::auth::{self, NewUser, Passwords};
use crate::erasure::{self, ErasureBody};
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem, ProblemBody};
use crate::routes::users::UserBody;

/// How long each of the entities may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Operators make few users at a time.
const HASHES_MAX: usize = 1;
/// And wait for each other.
const HASHES_WAITING_MAX: usize = 16;

/// What the routes are, for the document of the admin API.
#[derive(OpenApi)]
#[openapi(paths(create, erase))]
pub(crate) struct Documented;

/// What the route needs.
#[derive(Clone)]
struct Users {
    cluster: Cluster,
    passwords: Arc<Passwords>,
}

/// Its routes.
pub(crate) fn routes(cluster: Cluster) -> Router {
    let passwords = Arc::new(Passwords::new(HASHES_MAX, HASHES_WAITING_MAX));
    Router::new()
        .route("/admin/v1/users", post(create))
        .route("/admin/v1/users/{id}/erase", post(erase))
        .with_state(Users { cluster, passwords })
}

/// Who is to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Which nobody else has.
    email: String,
    /// As they want to be called.
    name: String,
    /// 8 characters at least.
    password: String,
    /// At least one of `customer`, `rider`, `store`, `admin`.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    store: Option<Key>,
}

/// Why somebody is to be erased.
#[derive(Deserialize, ToSchema)]
#[schema(as = WhyErased)]
#[serde(deny_unknown_fields)]
struct Why {
    /// `requested`, `inactive`, `abuse` or `legal`: a code, since a text could name somebody.
    #[schema(value_type = String)]
    reason: ErasureReason,
}

/// Forgets a user for good. The gateways hear of it by the event, and let no token of the user's pass any more.
#[utoipa::path(post, path = "/admin/v1/users/{id}/erase", tag = "users",
    params(("id" = String, Path, description = "The user's key")), request_body = Why,
    responses((status = 200, body = ErasureBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn erase(
    State(users): State<Users>,
    operator: Operator,
    Path(user): Path<String>,
    Json(body): Json<Why>,
) -> Result<JsonBody<ErasureBody>, Problem> {
    let user = Key::new(user).map_err(|_| Problem::new(Code::NotFound, "there is no user under this key"))?;
    let ask = Ask::within(ASK_TIMEOUT);
    note(&operator.0, "erase_user", &user, &format!("{:?}", body.reason));
    erasure::erase(&users.cluster, &ask, &user, ErasedBy::Operator, body.reason).await.map(JsonBody)
}

/// Makes a user with any role.
#[utoipa::path(post, path = "/admin/v1/users", tag = "users", request_body = Body,
    responses((status = 201, body = UserBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn create(
    State(users): State<Users>,
    operator: Operator,
    Json(body): Json<Body>,
) -> Result<(StatusCode, JsonBody<UserBody>), Problem> {
    if body.roles.is_empty() {
        return Err(Problem::new(Code::MissingField, "a user has a role at least").field("roles"));
    }
    let Body { email, name, password, roles, store } = body;
    let new = NewUser { email, name, password, roles, store };
    let (user, profile) = auth::register(&users.cluster, &users.passwords, Ask::within(ASK_TIMEOUT), new).await?;
    note(&operator.0, "create_user", &user, &format!("{:?}", profile.roles));
    Ok((StatusCode::CREATED, JsonBody(UserBody::new(&user, &profile))))
}
