//! Whom a route lets in: it takes one of these as an argument.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use nakku_actors::user::command::Role;
use nakku_cluster::Key;

use crate::auth::{Claims, authenticate};
use crate::edge::Edge;
use crate::problem::{Code, Problem};
use crate::trace::RequestContext;

/// Anybody with a valid access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the token says.
    pub claims: Claims,
}

/// A caller who buys.
#[derive(Clone, Debug)]
pub struct CustomerOnly(pub Caller);

/// A caller who delivers.
#[derive(Clone, Debug)]
pub struct RiderOnly(pub Caller);

/// A caller who runs a store, or everything.
#[derive(Clone, Debug)]
pub struct StaffOnly(pub Caller);

impl Caller {
    /// The user's key.
    pub fn user(&self) -> &Key {
        &self.claims.sub
    }

    /// Whether the user has a role.
    pub fn has(&self, role: Role) -> bool {
        self.claims.roles.contains(&role)
    }

    /// Lets in who has one of these roles.
    fn with_one_of(self, roles: &[Role]) -> Result<Self, Problem> {
        if roles.iter().any(|role| self.has(*role)) {
            return Ok(self);
        }
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        Err(Problem::new(Code::Forbidden, "the token's roles don't allow this").member("roles", roles))
    }
}

impl StaffOnly {
    /// A store's staff runs its own store only; admins run all.
    ///
    /// # Errors
    /// Forbidden for another store.
    pub fn of_store(&self, store: &Key) -> Result<(), Problem> {
        if self.0.has(Role::Admin) || self.0.claims.store.as_ref() == Some(store) {
            Ok(())
        } else {
            Err(Problem::new(Code::Forbidden, "this is another store's").member("roles", vec![Role::Admin.as_str()]))
        }
    }
}

impl FromRequestParts<Arc<Edge>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        let ask = RequestContext::from_request_parts(parts, edge).await?.ask();
        let claims = authenticate(edge, bearer(&parts.headers)?, ask).await?;
        Ok(Self { claims })
    }
}

impl FromRequestParts<Arc<Edge>> for CustomerOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, edge).await?.with_one_of(&[Role::Customer]).map(Self)
    }
}

impl FromRequestParts<Arc<Edge>> for RiderOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, edge).await?.with_one_of(&[Role::Rider]).map(Self)
    }
}

impl FromRequestParts<Arc<Edge>> for StaffOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, edge).await?.with_one_of(&[Role::Store, Role::Admin]).map(Self)
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750).
///
/// # Errors
/// When there is none.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers
        .get(AUTHORIZATION)
        .ok_or_else(|| Problem::new(Code::TokenMissing, "the header Authorization: Bearer is missing"))?;
    let invalid = || Problem::new(Code::TokenInvalid, "the header Authorization holds no bearer token");
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(invalid()) }
}
