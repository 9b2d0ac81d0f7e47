//! Where events are published to.

use async_trait::async_trait;

use super::SealedEnvelope;

/// A broker, or the consumers of this cluster themselves.
#[async_trait]
pub trait EventSink: std::fmt::Debug + Send + Sync + 'static {
    /// Publishes events; those of a shard are in the order of their sequence and stay so. Answers for each in
    /// turn whether it has been taken for good. After the first of a shard that has not, the publisher sends
    /// this one and all that follow it again.
    async fn publish(&self, events: &[SealedEnvelope]) -> Vec<Result<(), SinkError>>;

    /// Whether it can be reached, for the status.
    async fn check(&self) -> Result<(), SinkError>;

    /// Where it is, without secrets.
    fn location(&self) -> &str;
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);
