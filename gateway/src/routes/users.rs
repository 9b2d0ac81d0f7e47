//! `/users`: who one is, where things are to be brought, and being forgotten.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json as JsonBody, Router};
use nakku_actors::position::Position;
use nakku_actors::user::command::{Address, ErasedBy, ErasureReason, Profile, Role};
use nakku_actors::user::{Command, Reply, User};
use nakku_cluster::{Key, Ref};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::location::optional_position;
use crate::auth::{self, Caller};
use crate::edge::Edge;
use crate::erasure::{self, ErasureBody};
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/me", get(me).delete(erase))
        .route("/me/addresses", post(add_address))
        .route("/me/addresses/{id}", delete(remove_address))
}

/// Who the access token belongs to.
#[utoipa::path(get, path = "/api/v1/users/me", tag = "users", security(("bearer" = [])),
    responses((status = 200, body = UserBody), (status = "default", body = ProblemBody)))]
pub async fn me(State(edge): State<Arc<Edge>>, context: RequestContext, caller: Caller) -> Answer<UserBody> {
    ask(&edge, &context, &caller, Command::Get).await.map(JsonBody)
}

/// Erases the caller, for good: name, e-mail, addresses, cart and inbox are forgotten, every session ends, and the
/// e-mail may be registered anew. Orders stay under the opaque id. Refused while an order is under way.
#[utoipa::path(delete, path = "/api/v1/users/me", tag = "users", security(("bearer" = [])), request_body = Farewell,
    responses((status = 200, description = "erased", body = ErasureBody), (status = "default", body = ProblemBody)))]
pub async fn erase(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<Farewell>,
) -> Answer<ErasureBody> {
    let user = caller.user();
    let answered = edge.cluster.ask(&Ref::<User>::new(user.clone()), &Command::Credentials, context.ask()).await?;
    let password_hash = match answered.reply {
        Reply::Credentials { password_hash, .. } => password_hash,
        other => return Err(Problem::unexpected(&other)),
    };
    // Whoever found an unlocked telephone has a token, too.
    if !edge.passwords.verify(body.password, Some(password_hash)).await? {
        return Err(Problem::new(Code::WrongCredentials, "the password is wrong"));
    }
    let erased = erasure::erase(&edge.cluster, &context.ask(), user, ErasedBy::User, ErasureReason::Requested).await?;
    auth::sessions_ended(&edge, user).await;
    Ok(JsonBody(erased))
}

/// Adds an address, or replaces the one with this id.
#[utoipa::path(post, path = "/api/v1/users/me/addresses", tag = "users", security(("bearer" = [])),
    request_body = NewAddress,
    responses((status = 201, body = AddressBody), (status = "default", body = ProblemBody)))]
pub async fn add_address(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<NewAddress>,
) -> Result<(StatusCode, JsonBody<AddressBody>), Problem> {
    let NewAddress { id, label, line, city, pin_code, lat, lng } = body;
    let position = optional_position(lat, lng)?;
    let id = id.unwrap_or_else(|| format!("a-{:016x}", rand::random::<u64>()));
    let address = Address { label, line, city, pin_code, position };
    let command = Command::AddAddress { id: id.clone(), address: address.clone() };
    ask(&edge, &context, &caller, command).await?;
    Ok((StatusCode::CREATED, JsonBody(AddressBody::new(id, address))))
}

/// Removes an address, if it is there.
#[utoipa::path(delete, path = "/api/v1/users/me/addresses/{id}", tag = "users", security(("bearer" = [])),
    params(("id" = String, Path, description = "The address")),
    responses((status = 204, description = "gone"), (status = "default", body = ProblemBody)))]
pub async fn remove_address(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    ask(&edge, &context, &caller, Command::RemoveAddress { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who wants to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Farewell {
    /// As registered.
    #[schema(format = Password)]
    pub password: String,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserBody {
    /// Such as `u-…`.
    #[schema(value_type = String)]
    pub id: Key,
    /// In lower case.
    pub email: String,
    /// As given.
    pub name: String,
    /// `customer`, `rider`, `store`, `admin`.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Key>,
    /// In the order of their ids.
    pub addresses: Vec<AddressBody>,
    /// Milliseconds since the Unix epoch.
    pub registered_at_ms: i64,
}

/// An address with its id.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddressBody {
    /// Its id.
    pub id: String,
    /// Such as `home`.
    pub label: String,
    /// House, street, area.
    pub line: String,
    /// City.
    pub city: String,
    /// Postal index number.
    pub pin_code: String,
    /// Latitude in degrees, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
    /// Longitude in degrees, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lng: Option<f64>,
}

/// An address to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    /// 1 to 40 letters, digits or `-`; drawn when absent.
    #[serde(default)]
    pub id: Option<String>,
    /// 1 to 40 characters; `home` when absent.
    #[serde(default = "home")]
    #[schema(example = "home")]
    pub label: String,
    /// House, street, area; up to 200 characters.
    #[schema(example = "12 Hill Road, Bandra West")]
    pub line: String,
    /// Up to 60 characters.
    #[schema(example = "Mumbai")]
    pub city: String,
    /// Six digits, the first not 0.
    #[schema(example = "400050")]
    pub pin_code: String,
    /// Latitude in degrees, if it is known; a longitude goes with it.
    #[serde(default)]
    #[schema(example = 19.0544)]
    pub lat: Option<f64>,
    /// Longitude in degrees.
    #[serde(default)]
    #[schema(example = 72.8267)]
    pub lng: Option<f64>,
}

fn home() -> String {
    "home".to_owned()
}

impl UserBody {
    /// From what the user shows of itself.
    pub fn new(id: &Key, profile: &Profile) -> Self {
        Self {
            id: id.clone(),
            email: profile.email.clone(),
            name: profile.name.clone(),
            roles: profile.roles.clone(),
            store: profile.store.clone(),
            addresses: profile.addresses.iter().cloned().map(|(id, address)| AddressBody::new(id, address)).collect(),
            registered_at_ms: profile.registered_at.0,
        }
    }
}

impl AddressBody {
    fn new(id: String, address: Address) -> Self {
        let Address { label, line, city, pin_code, position } = address;
        let (lat, lng) = position.map(Position::degrees).unzip();
        Self { id, label, line, city, pin_code, lat, lng }
    }
}

/// Every command here is idempotent and is answered with the profile.
async fn ask(edge: &Edge, context: &RequestContext, caller: &Caller, command: Command) -> Result<UserBody, Problem> {
    match edge.cluster.ask(&Ref::<User>::new(caller.user().clone()), &command, context.ask()).await?.reply {
        Reply::Profile(profile) => Ok(UserBody::new(caller.user(), &profile)),
        other => Err(Problem::unexpected(&other)),
    }
}
