//! The access token of a connection, for as long as the connection lives: it may end, or its session may.

use std::sync::Arc;

use nakku_cluster::Timestamp;
use tokio::time::Instant;

use super::subscription::ask;
use crate::auth::{self, Caller};
use crate::edge::Edge;
use crate::problem::{Code, Problem};

/// So many heartbeats pass between two looks at whether the session is still open.
const HEARTBEATS: u32 = 4;

/// A token and whose it is.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Who is connected.
    pub caller: Caller,
    token: String,
}

/// Whose token it is.
///
/// # Errors
/// As for any request: 401 when it doesn't count.
pub async fn authenticate(edge: &Edge, token: String) -> Result<Shown, Problem> {
    let claims = auth::authenticate(edge, &token, ask(edge)).await?;
    Ok(Shown { caller: Caller { claims }, token })
}

impl Shown {
    /// A token that has just been checked.
    pub fn checked(caller: Caller, token: String) -> Self {
        Self { caller, token }
    }

    /// Resolves when it no longer counts, and says why.
    pub async fn refused(self, edge: Arc<Edge>) -> Problem {
        let ends_at = Timestamp(i64::try_from(self.caller.claims.exp.saturating_mul(1000)).unwrap_or(i64::MAX));
        let ends = Instant::now() + ends_at.since(Timestamp::now());
        let pause = edge.live.settings().heartbeat * HEARTBEATS;
        loop {
            let look_at = Instant::now() + pause;
            tokio::time::sleep_until(look_at.min(ends)).await;
            if look_at >= ends {
                return Problem::new(Code::TokenExpired, "the access token has expired");
            }
            // Who was let in stays while it can't be known.
            if let Err(problem) = auth::authenticate(&edge, &self.token, ask(&edge)).await
                && problem.status() == axum::http::StatusCode::UNAUTHORIZED
            {
                return problem;
            }
        }
    }
}
