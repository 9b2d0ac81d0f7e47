//! `/auth`: registering, logging in, and exchanging refresh tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json as JsonBody, Router};
use nakku_actors::user::command::{NewSession, Profile, Role};
use nakku_actors::user::token::{FAMILY_BYTES, RefreshToken, SECRET_BYTES};
use nakku_actors::user::{self, Command, Reply, User};
use nakku_cluster::{AskError, Key, Ref, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::users::UserBody;
use crate::auth::{self, Caller, NewUser};
use crate::edge::Edge;
use crate::extract::Json;
use crate::problem::{Code, Problem, ProblemBody};
use crate::shared::Standing;
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/refresh", post(refresh))
        .route("/logout", post(logout))
}

/// Registers a customer and opens a session.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "auth", request_body = Registration,
    responses((status = 201, body = Session), (status = "default", body = ProblemBody)))]
pub async fn register(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Json(body): Json<Registration>,
) -> Result<(StatusCode, JsonBody<Session>), Problem> {
    let Registration { email, password, name } = body;
    // Roles are not the client's to choose.
    let new = NewUser { email, name, password, roles: vec![Role::Customer], store: None };
    let (user, _) = auth::register(&edge.cluster, &edge.passwords, context.ask(), new).await?;
    let session = open_session(&edge, &context, user).await?;
    Ok((StatusCode::CREATED, JsonBody(session)))
}

/// Checks e-mail and password and opens a session.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", request_body = Credentials,
    responses((status = 200, body = Session), (status = "default", body = ProblemBody)))]
pub async fn login(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Json(body): Json<Credentials>,
) -> Answer<Session> {
    let Credentials { email, password } = body;
    let user = auth::log_in(&edge.cluster, &edge.passwords, || context.ask(), &email, password).await?;
    open_session(&edge, &context, user).await.map(JsonBody)
}

/// Exchanges a refresh token, once, for new tokens. A token that comes back ends its session.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Session), (status = "default", body = ProblemBody)))]
pub async fn refresh(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Json(body): Json<Refresh>,
) -> Answer<Session> {
    let refused = |detail: &str| Problem::new(Code::RefreshTokenInvalid, detail);
    let old: RefreshToken = body.refresh_token.parse().map_err(|_| refused("this is no refresh token"))?;
    let new = old.next(rand::random::<[u8; SECRET_BYTES]>());
    let rotate = Command::RotateRefresh {
        family: old.family.clone(),
        old_hash: old.hash(),
        new_hash: new.hash(),
        expires_at: refresh_expiry(&edge),
    };
    let user = old.user;
    match edge.cluster.ask(&Ref::<User>::new(user.clone()), &rotate, context.ask()).await {
        Ok(answered) => match answered.reply {
            Reply::Rotated { profile } => session(&edge, &new, &profile).map(JsonBody),
            Reply::Reused { .. } => {
                auth::session_ended(&edge, &user, &new.family).await;
                Err(refused("the token was used before; its session has ended"))
            }
            other => Err(Problem::unexpected(&other)),
        },
        // An unknown user says no more than an unknown session.
        Err(AskError::Rejected { rejection: user::Rejection::NotFound, .. }) => Err(refused("the session has ended")),
        Err(error) => Err(error.into()),
    }
}

/// Ends the session of the access token, and with it the token.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", security(("bearer" = [])),
    responses((status = 204, description = "ended"), (status = "default", body = ProblemBody)))]
pub async fn logout(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let revoke = Command::RevokeRefresh { family: caller.claims.sid.clone() };
    edge.cluster.ask(&Ref::<User>::new(caller.user().clone()), &revoke, context.ask()).await?;
    auth::session_ended(&edge, caller.user(), &caller.claims.sid).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Who registers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// `name@domain`.
    #[schema(example = "asha@example.com")]
    pub email: String,
    /// 8 characters at least.
    #[schema(format = Password)]
    pub password: String,
    /// 1 to 100 characters.
    #[schema(example = "Asha Rao")]
    pub name: String,
}

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// As registered, in any case.
    #[schema(example = "asha@example.com")]
    pub email: String,
    /// As registered.
    #[schema(format = Password)]
    pub password: String,
}

/// A refresh token to be exchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest of the session.
    pub refresh_token: String,
}

/// An open session.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// For `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// How long the access token is good for, in seconds.
    pub expires_in: u64,
    /// To be exchanged, once, for the next tokens.
    pub refresh_token: String,
    /// Who it is.
    pub user: UserBody,
}

async fn open_session(edge: &Edge, context: &RequestContext, user: Key) -> Result<Session, Problem> {
    let token = RefreshToken::open(user.clone(), rand::random::<[u8; FAMILY_BYTES]>(), rand::random());
    let new = NewSession { family: token.family.clone(), token_hash: token.hash(), expires_at: refresh_expiry(edge) };
    let logged_in = Command::LoggedIn { session: new };
    let standing = edge.shared.sessions.look(&user, &token.family).await;
    match edge.cluster.ask(&Ref::<User>::new(user.clone()), &logged_in, context.ask_once()).await?.reply {
        Reply::Profile(profile) => {
            if let Standing::Unknown { mark, .. } = standing {
                edge.shared.sessions.note_open(&user, &token.family, &mark).await;
            }
            session(edge, &token, &profile)
        }
        other => Err(Problem::unexpected(&other)),
    }
}

fn session(edge: &Edge, token: &RefreshToken, profile: &Profile) -> Result<Session, Problem> {
    Ok(Session {
        access_token: edge.tokens.issue(&token.user, &profile.roles, profile.store.as_ref(), &token.family)?,
        token_type: "Bearer",
        expires_in: edge.tokens.lifetime().as_secs(),
        refresh_token: token.expose(),
        user: UserBody::new(&token.user, profile),
    })
}

fn refresh_expiry(edge: &Edge) -> Timestamp {
    Timestamp::now().plus(edge.settings.refresh_token_lifetime)
}
