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

pub mod error;
pub mod inbound;
pub mod links;
pub mod settings;

pub use error::{LinkError, LinkFailure, Refusal};
pub use inbound::{Inbound, Request};
pub use links::{Links, PeerStatus, Recipients};
pub use settings::{LinkSettings, Peer, TlsFiles};
