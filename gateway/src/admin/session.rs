//! `/admin/v1/session`: admins log in, with their account or with the admin token, and are known by a cookie after
//! that. Sessions are few, live in this node's memory and end with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::post;
use axum::{Json as JsonBody, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nakku_actors::user::command::Role;
use nakku_actors::user::{Command, Reply, User};
use nakku_cluster::{Ask, AskError, Cluster, Key, Ref};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{OpenApi, ToSchema};

use super::guard::Guard;
use crate::auth;
use crate::client_address::client_network;
use crate::extract::Json;
use crate::problem::{Code, Problem, ProblemBody};
use crate::server::Peer;
use crate::shared::RateLimits;

/// Where one logs in.
pub(crate) const PATH: &str = "/admin/v1/session";
/// The cookie of a session.
pub(crate) const COOKIE_NAME: &str = "nakku_admin";
/// Where the page shows that a request is its own.
pub(crate) const CSRF_HEADER: &str = "x-nakku-csrf";
/// One more ends the one that was unused for longest.
const SESSIONS_MAX: usize = 64;
/// How long a session lives, used or not.
const LIFE: Duration = Duration::from_secs(8 * 3600);
/// How long it lives unused.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long somebody who is no admin any more may still act.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// How long each of the entities may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Who sent a request, in the request's extensions: the e-mail of an admin, or `token`. For the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator(pub String);

impl Operator {
    /// Whoever holds the admin token.
    pub(crate) fn token() -> Self {
        Self("token".to_owned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::new(Code::TokenMissing, "nobody is logged in"))
    }
}

/// The sessions that are open, by a digest of what their cookies hold, so that the time of a look tells nothing.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

/// An open session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) operator: Operator,
    /// Nobody when it was opened by the admin token.
    user: Option<Key>,
    /// What requests that change something must show.
    pub(crate) csrf: String,
    opened: Instant,
    used: Instant,
    /// When the user was known to be an admin.
    checked: Instant,
}

/// What a new session is known by: never in the log.
struct Opened {
    cookie: String,
    csrf: String,
}

impl Sessions {
    fn open(&self, operator: Operator, user: Option<Key>, now: Instant) -> Opened {
        let (cookie, csrf) = (random_text(), random_text());
        let session = Session { operator, user, csrf: csrf.clone(), opened: now, used: now, checked: now };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.lives(now));
        if open.len() >= SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            oldest.and_then(|id| open.remove(&id));
        }
        open.insert(digest(&cookie), session);
        Opened { cookie, csrf }
    }

    /// The session of a cookie, which counts as used now.
    fn look(&self, cookie: &str, now: Instant) -> Option<Session> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get_mut(&digest(cookie)).filter(|session| session.lives(now))?;
        session.used = now;
        Some(session.clone())
    }

    fn checked(&self, cookie: &str, now: Instant) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = open.get_mut(&digest(cookie)) {
            session.checked = now;
        }
    }

    fn close(&self, cookie: &str) -> Option<Session> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(cookie))
    }

    /// The open session of a request, of somebody who is an admin still. While the cluster can't tell, it stays: this
    /// is what one looks into such a cluster with.
    pub(crate) async fn of(&self, cluster: &Cluster, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        let Some(cookie) = cookie(headers) else { return Ok(None) };
        let ended = || Problem::new(Code::TokenRevoked, "the session has ended; log in again");
        let now = Instant::now();
        let session = self.look(cookie, now).ok_or_else(ended)?;
        if let Some(user) = &session.user
            && now.duration_since(session.checked) > CHECK_EVERY
        {
            if !is_admin(cluster, user).await.unwrap_or(true) {
                self.close(cookie);
                return Err(ended());
            }
            self.checked(cookie, now);
        }
        Ok(Some(session))
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.opened) < LIFE && now.duration_since(self.used) < IDLE_MAX
    }

    /// Whether a request shows what only the page of this session knows.
    pub(crate) fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(CSRF_HEADER).map(|value| Sha256::digest(value.as_bytes()));
        shown.is_some_and(|shown| shown == Sha256::digest(&self.csrf))
    }
}

/// Its routes.
pub(crate) fn routes(guard: Arc<Guard>) -> Router {
    Router::new().route(PATH, post(open).get(show).delete(close)).with_state(guard)
}

/// Who logs in: either by e-mail and password, or by the admin token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// Of an account with the role admin.
    #[serde(default)]
    email: Option<String>,
    /// Of the account.
    #[serde(default)]
    password: Option<String>,
    /// The admin token.
    #[serde(default)]
    token: Option<String>,
}

/// A session.
#[derive(Serialize, ToSchema)]
struct SessionBody {
    /// The e-mail of an admin, or `token`; null when nobody is logged in.
    operator: Option<String>,
    /// What requests that change something must show in the header `X-Nakku-Csrf`.
    csrf: String,
}

/// What the routes are, for the document of the admin API.
#[derive(OpenApi)]
#[openapi(paths(open, show, close))]
pub(crate) struct Documented;

/// Logs in, by account or by admin token; the answer sets the cookie of the session.
#[utoipa::path(post, path = "/admin/v1/session", tag = "session",
    security(()),
    request_body = Credentials,
    responses((status = 200, body = SessionBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn open(State(guard): State<Arc<Guard>>, request: Request) -> Result<Response, Problem> {
    let peer = request.extensions().get::<Peer>().map(|peer| client_network(peer.0.to_canonical()));
    let peer = peer.unwrap_or_default();
    let taken = guard.limits.take(&guard.log_ins, &peer).await;
    if !taken.allowed {
        return Err(Problem::new(Code::RateLimited, "too many log-ins from this address")
            .member("policy", guard.log_ins.name)
            .retry_after(taken.retry_after));
    }
    let secure = guard.is_secure(request.headers());
    let Json(credentials) = Json::<Credentials>::from_request(request, &()).await?;
    let (operator, user) = match known(&guard, credentials).await {
        Ok(known) => known,
        Err(problem) => {
            tracing::warn!(target: "nakku::audit", peer, code = ?problem.code, "admin log-in refused");
            return Err(problem);
        }
    };
    let opened = guard.sessions.open(operator.clone(), user, Instant::now());
    tracing::info!(target: "nakku::audit", operator = operator.0, peer, "admin logged in");
    let set = set_cookie(&opened.cookie, LIFE, secure);
    Ok((AppendHeaders([(SET_COOKIE, set)]), JsonBody(body(&operator, &opened.csrf))).into_response())
}

/// Who the credentials are of.
async fn known(guard: &Guard, credentials: Credentials) -> Result<(Operator, Option<Key>), Problem> {
    match credentials {
        Credentials { token: Some(token), email: None, password: None } => {
            let right = guard.is_token(&token);
            let wrong = || Problem::new(Code::WrongCredentials, "this is not the admin token");
            right.then(|| (Operator::token(), None)).ok_or_else(wrong)
        }
        Credentials { token: None, email: Some(email), password: Some(password) } => {
            let ask = || Ask::within(ASK_TIMEOUT);
            let user = auth::log_in(&guard.cluster, &guard.passwords, ask, &email, password).await?;
            if is_admin(&guard.cluster, &user).await? {
                Ok((Operator(email.trim().to_lowercase()), Some(user)))
            } else {
                Err(Problem::new(Code::Forbidden, "this account has not the role admin"))
            }
        }
        _ => Err(Problem::new(Code::MissingField, "give either e-mail and password, or the admin token")),
    }
}

/// Who the session is of, and what its page must show, for a page that was loaded anew; nobody when there is none.
#[utoipa::path(get, path = "/admin/v1/session", tag = "session", security(()),
    responses((status = 200, body = SessionBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn show(State(guard): State<Arc<Guard>>, headers: HeaderMap) -> JsonBody<SessionBody> {
    let Ok(operator) = guard.operator(&Method::GET, &headers).await else {
        return JsonBody(SessionBody { operator: None, csrf: String::new() });
    };
    let session = cookie(&headers).and_then(|cookie| guard.sessions.look(cookie, Instant::now()));
    JsonBody(body(&operator, session.as_ref().map_or("", |session| &session.csrf)))
}

/// Logs out.
#[utoipa::path(delete, path = "/admin/v1/session", tag = "session",
    responses((status = 204, description = "The session has ended"), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn close(State(guard): State<Arc<Guard>>, headers: HeaderMap) -> impl IntoResponse {
    if let Some(session) = cookie(&headers).and_then(|cookie| guard.sessions.close(cookie)) {
        tracing::info!(target: "nakku::audit", operator = session.operator.0, "admin logged out");
    }
    let gone = set_cookie("", Duration::ZERO, guard.is_secure(&headers));
    (StatusCode::NO_CONTENT, AppendHeaders([(SET_COOKIE, gone)]))
}

fn body(operator: &Operator, csrf: &str) -> SessionBody {
    SessionBody { operator: Some(operator.0.clone()), csrf: csrf.to_owned() }
}

fn set_cookie(value: &str, life: Duration, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", life.as_secs())
}

/// What the cookie of the session holds, if there is one.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME && !value.is_empty()).then_some(value)
    })
}

async fn is_admin(cluster: &Cluster, user: &Key) -> Result<bool, Problem> {
    match cluster.ask(&Ref::<User>::new(user.clone()), &Command::Get, Ask::within(ASK_TIMEOUT)).await {
        Ok(answered) => match answered.reply {
            Reply::Profile(profile) => Ok(profile.roles.contains(&Role::Admin)),
            other => Err(Problem::unexpected(&other)),
        },
        Err(AskError::Rejected { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn random_text() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_unused_and_used_and_are_few() {
        let sessions = Sessions::default();
        let begun = Instant::now();
        let open = |at: Instant| sessions.open(Operator::token(), None, at).cookie;
        let unused = open(begun);
        assert!(sessions.look(&unused, begun + IDLE_MAX - Duration::from_secs(1)).is_some());
        let used = begun + IDLE_MAX - Duration::from_secs(1);
        assert!(sessions.look(&unused, used + IDLE_MAX).is_none());
        let busy = open(begun);
        let mut now = begun;
        while now + IDLE_MAX / 2 < begun + LIFE {
            now += IDLE_MAX / 2;
            assert!(sessions.look(&busy, now).is_some());
        }
        assert!(sessions.look(&busy, begun + LIFE).is_none());
        let first = open(now);
        let others: Vec<String> =
            (1..=SESSIONS_MAX as u32).map(|n| open(now + Duration::from_millis(n.into()))).collect();
        let later = now + Duration::from_secs(1);
        assert!(sessions.look(&first, later).is_none(), "the one that was unused for longest went");
        assert!(others.iter().all(|cookie| sessions.look(cookie, later).is_some()));
        assert!(sessions.open.lock().unwrap().len() <= SESSIONS_MAX);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers), None);
        headers.insert(COOKIE, "a=b; nakku_admin=x-1; xnakku_admin=y".parse().unwrap());
        assert_eq!(cookie(&headers), Some("x-1"));
        headers.insert(COOKIE, "nakku_admin=".parse().unwrap());
        assert_eq!(cookie(&headers), None);
    }
}
