//! `POST /admin/v1/users`: users with any role. The API makes customers only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json as JsonBody, Router};
use nakku_actors::user::command::Role;
use nakku_cluster::{Ask, Cluster, Key};
use serde::Deserialize;

use crate::auth::{self, NewUser, Passwords};
use crate::extract::Json;
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

/// Its route.
pub(crate) fn routes(cluster: Cluster) -> Router {
    let passwords = Arc::new(Passwords::new(HASHES_MAX, HASHES_WAITING_MAX));
    Router::new().route("/admin/v1/users", post(create)).with_state(Users { cluster, passwords })
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
