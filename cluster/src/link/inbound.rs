//! What travels over a link, and who receives it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::membership::NodeId;

/// A request to another node. Every field travels by name, so that either side may be newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whom it is for there, such as the name of a service.
    pub service: Arc<str>,
    /// What the receiver needs in order to route it; may be empty.
    pub header: Bytes,
    /// What the target decodes; not copied on its way from here to the socket.
    pub body: Bytes,
    /// W3C `traceparent`.
    pub traceparent: Option<String>,
    /// The epoch that the sender believes in; it is the receiver's to refuse a stale one.
    pub epoch: u64,
}

/// Who receives what comes over the links of this node.
#[async_trait]
pub trait Inbound: Send + Sync + 'static {
    /// Executes a request and answers it; a refusal is an answer too. It runs as a task of its own, and its
    /// sender's credits stay taken until it ends, so it must end about when the sender's deadline does.
    /// A panic reaches the sender as [`LinkFailure::OutcomeUnknown`](super::LinkFailure::OutcomeUnknown).
    async fn request(&self, from: &NodeId, request: Request) -> Bytes;

    /// Takes a notice. It is called on the links' own task, in the order of sending, and must not block.
    fn notice(&self, from: &NodeId, notice: Bytes);
}
