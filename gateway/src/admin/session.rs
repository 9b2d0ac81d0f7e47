//! Who acts on the admin listener.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::problem::{Code, Problem};

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
