//! What lies outside the cluster and is called by an effect: a card network, an SMS gateway.

use std::time::Duration;

use async_trait::async_trait;

/// How long a call of a provider may take that says nothing else.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);

/// One provider, registered at a node under its name and reached by
/// [`Call::provider`](crate::outstanding::Call::provider).
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The name that effects call it by.
    fn name(&self) -> &'static str;

    /// How long one call may take; then it is cut, and the caller repeats.
    fn deadline(&self) -> Duration {
        DEADLINE_DEFAULT
    }

    /// Carries out a request (JSON) and returns the answer (JSON). A repetition of an idempotency key is the
    /// same request: it is carried out once and answered alike.
    ///
    /// # Errors
    /// When there is no answer; the caller repeats with the same key.
    async fn call(&self, idempotency_key: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError>;
}

/// Why a provider gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It could not be reached. Nothing has happened.
    #[error("{provider} is unavailable: {cause}")]
    Unavailable {
        /// Which one.
        provider: &'static str,
        /// What went wrong.
        cause: String,
    },
    /// It was asked and did not answer; what was asked may have happened.
    #[error("{provider} did not answer: {cause}")]
    OutcomeUnknown {
        /// Which one.
        provider: &'static str,
        /// What went wrong.
        cause: String,
    },
}
