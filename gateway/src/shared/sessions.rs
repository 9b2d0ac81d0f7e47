//! Which sessions are known to be open or ended. A session's end takes its access tokens with it; the user
//! entity alone knows for certain, and what is kept here spares asking it with every request.
//!
//! What a gateway has read of a user may be old by the time it notes it. So whoever finds a session unknown
//! gets a mark of the user's state of notes, and a note with an old mark counts for nothing.

use async_trait::async_trait;
use nakku_cluster::Key;

/// What is known about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was open a moment ago.
    Open,
    /// It has ended, for good.
    Ended,
    /// Its user has to be asked.
    Unknown {
        /// To note the answer with.
        mark: Mark,
        /// Whether this gateway has known it to be open, though not within the time for which it relies on it.
        was_open: bool,
    },
}

/// Where a user's notes stood when a session was looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// On this gateway.
    pub(crate) here: u64,
    /// On what is shared, if it could be reached.
    pub(crate) shared: Option<String>,
}

/// Keeps notes about sessions.
#[async_trait]
pub trait Sessions: std::fmt::Debug + Send + Sync {
    /// What is known about a session.
    async fn look(&self, user: &Key, session: &str) -> Standing;

    /// Notes that the user, asked after `mark` was given, called the session open.
    async fn note_open(&self, user: &Key, session: &str, mark: &Mark);

    /// Notes that a session has ended. To be called once its user has committed it.
    async fn end(&self, user: &Key, session: &str);

    /// Has every session of a user asked for again, because some have ended (a new password, a role taken away,
    /// an erased user). To be called once the user has committed it.
    async fn end_some(&self, user: &Key);
}
