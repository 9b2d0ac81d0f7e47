//! `POST /admin/v1/users`: users with any role. The API makes customers only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json as JsonBody, Router};
use nakku_actors::user::command::Role;
use nakku_actors::user::{Command, Reply, User, email};
use nakku_cluster::{Ask, AskError, Cluster, Key, Ref};
use serde::Deserialize;

use crate::auth::Passwords;
use crate::extract::Json;
use crate::problem::{Code, Problem};
use crate::routes::auth::new_user;
use crate::routes::unexpected;
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
struct NewUser {
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
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, JsonBody<UserBody>), Problem> {
    if body.roles.is_empty() {
        return Err(Problem::new(Code::MissingField, "a user has a role at least").field("roles"));
    }
    let email = email::normalise(&body.email)
        .map_err(|error| Problem::new(Code::InvalidValue, error.to_string()).field("email"))?;
    let password_hash = users.passwords.hash(body.password).await?;
    let owner = email::reference(&email);
    let user = new_user();
    let claim = email::Command::Claim { user: user.clone() };
    users.cluster.ask(&owner, &claim, Ask::within(ASK_TIMEOUT)).await?;
    let register = Command::Register { email, name: body.name, password_hash, roles: body.roles, store: body.store };
    let registered = users.cluster.ask(&Ref::<User>::new(user.clone()), &register, Ask::within(ASK_TIMEOUT)).await;
    if let Err(AskError::Rejected { rejection, .. }) = registered {
        // So that the same e-mail can be tried again at once; if this is lost the claim ends by itself.
        let _ = users.cluster.ask(&owner, &email::Command::Release { user }, Ask::within(ASK_TIMEOUT)).await;
        return Err(rejection.into());
    }
    match registered?.reply {
        Reply::Profile(profile) => {
            tracing::info!(user = %user, roles = ?profile.roles, "user made by the admin API");
            Ok((StatusCode::CREATED, JsonBody(UserBody::new(&user, &profile))))
        }
        other => Err(unexpected(&other)),
    }
}
