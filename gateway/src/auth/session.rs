//! Whether an access token still counts: its session may have ended before its time. The user knows; what
//! gateways share spares asking it with every request.

use nakku_actors::user::{Command, Rejection, Reply, User};
use nakku_cluster::{Ask, AskError, Failure, Key, Ref};

use super::Claims;
use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem};
use crate::shared::Standing;

/// What a token says, if it was issued here, has not expired and its session is open. The ask bounds how long the user
/// may take to say so; it must leave the request time to be answered.
///
/// # Errors
/// 401 when one of these is not so; 503 when the user can't be asked and this gateway has not known the session.
pub async fn authenticate(edge: &Edge, token: &str, ask: Ask) -> Result<Claims, Problem> {
    let claims = edge.tokens.check(token)?;
    let (open, source) = is_open(edge, &claims, ask).await?;
    METRICS.session_checks.with_label_values(&[source]).inc();
    if open { Ok(claims) } else { Err(Problem::new(Code::TokenRevoked, "the session of the access token has ended")) }
}

/// To be called when the user has committed the end of one session.
pub async fn session_ended(edge: &Edge, user: &Key, session: &str) {
    edge.shared.sessions.end(user, session).await;
}

/// To be called when the user has committed anything that ends sessions without naming them: a new password, a
/// role taken away, an erased user.
pub async fn sessions_ended(edge: &Edge, user: &Key) {
    edge.shared.sessions.end_some(user).await;
}

/// Whether the session is open, and who said so.
async fn is_open(edge: &Edge, claims: &Claims, ask: Ask) -> Result<(bool, &'static str), Problem> {
    let sessions = &edge.shared.sessions;
    let (mark, was_open) = match sessions.look(&claims.sub, &claims.sid).await {
        Standing::Open => return Ok((true, "noted")),
        Standing::Ended => return Ok((false, "noted")),
        Standing::Unknown { mark, was_open } => (mark, was_open),
    };
    let command = Command::Session { family: claims.sid.clone() };
    match edge.cluster.ask(&Ref::<User>::new(claims.sub.clone()), &command, ask).await {
        Ok(answered) => match answered.reply {
            Reply::Session { open: true } => {
                sessions.note_open(&claims.sub, &claims.sid, &mark).await;
                Ok((true, "user"))
            }
            Reply::Session { open: false } => {
                sessions.end(&claims.sub, &claims.sid).await;
                Ok((false, "user"))
            }
            other => Err(Problem::unexpected(&other)),
        },
        Err(AskError::Rejected { rejection: Rejection::NotFound, .. }) => Ok((false, "user")),
        // A node of the version before does not know the question; with it, a token counted for its whole time.
        Err(AskError::Failed(Failure::Invalid { .. })) => Ok((true, "token")),
        // The user is out of reach. A token is short-lived, and the one who holds it has been let in before.
        Err(AskError::Failed(_)) if was_open => Ok((true, "token")),
        Err(error) => Err(error.into()),
    }
}
