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

use crate::auth::{self, NewUser, Passwords};
use crate::erasure::{self, ErasureBody};
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem};
use crate::routes::users::UserBody;

/// How long each of the entities may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Operators make few users at a time.
const HASHES_MAX: usize = 1;
/// And wait for each other.
const HASHES_WAITING_MAX: usize = 16;

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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    email: String,
    name: String,
    password: String,
    /// At least one.
    roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    #[serde(default)]
    store: Option<Key>,
}

/// Why somebody is to be erased.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: ErasureReason,
}

/// The gateways hear of it by the event, and let no token of the user's pass any more.
async fn erase(
    State(users): State<Users>,
    Path(user): Path<String>,
    Json(body): Json<Why>,
) -> Result<JsonBody<ErasureBody>, Problem> {
    let user = Key::new(user).map_err(|_| Problem::new(Code::NotFound, "there is no user under this key"))?;
    let ask = Ask::within(ASK_TIMEOUT);
    erasure::erase(&users.cluster, &ask, &user, ErasedBy::Operator, body.reason).await.map(JsonBody)
}

async fn create(
    State(users): State<Users>,
    Json(body): Json<Body>,
) -> Result<(StatusCode, JsonBody<UserBody>), Problem> {
    if body.roles.is_empty() {
        return Err(Problem::new(Code::MissingField, "a user has a role at least").field("roles"));
    }
    let Body { email, name, password, roles, store } = body;
    let new = NewUser { email, name, password, roles, store };
    let (user, profile) = auth::register(&users.cluster, &users.passwords, Ask::within(ASK_TIMEOUT), new).await?;
    tracing::info!(%user, roles = ?profile.roles, "user made by the admin API");
    Ok((StatusCode::CREATED, JsonBody(UserBody::new(&user, &profile))))
}
