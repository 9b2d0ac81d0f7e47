//! Links between nodes: requests with answers, notices, and the hint that a node has gone silent.
//!
//! A link is a socket of ours (connected or accepted here, with mutual TLS, a hello and deadlines for
//! reading and writing) over which ractor_cluster carries messages from actor to actor. This part knows
//! nothing of shards: a request names a service and is answered by whoever the node gave as [`Inbound`].
//!
//! * [`settings`]: what the links of a node are set up with
//! * [`inbound`]: what travels, and who receives it
//! * [`links`]: the links of a node as everything else sees them
//! * [`error`]: how they fail
//! * `dial`, `accept`, `hello`, `tls`, `stream`: how a socket becomes a link
//! * `supervisor`: which links there are
//! * `connection`, `pending`, `credits`, `outbox`: one link, what is unanswered on it, its bounds, and what
//!   waits to be sent
//! * `port`, `wire`: how messages arrive, and what they look like
//! * `table`: what all of these share

mod accept;
mod connection;
mod credits;
mod dial;
pub mod error;
mod hello;
pub mod inbound;
pub mod links;
mod outbox;
mod pending;
mod port;
pub mod settings;
mod stream;
mod supervisor;
mod table;
mod tls;
mod wire;

pub use error::{LinkError, LinkFailure, Refusal};
pub use inbound::{Inbound, Request};
pub use links::{Links, PeerStatus, Recipients};
pub use settings::{
    CREDIT_BYTES_LIMIT, CREDIT_MESSAGES_LIMIT, LinkCredits, LinkSettings, MESSAGE_BYTES_MAX, Peer, TlsFiles,
};
