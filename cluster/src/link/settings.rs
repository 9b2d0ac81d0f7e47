//! What the links of a node are set up with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::membership::NodeId;

/// How long connecting, the TLS handshake and the hello may take together, unless set otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a peer may be silent, unless set otherwise. Healthy peers speak four times as often.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the operating system may refuse bytes of ours, unless set otherwise.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many requests may be unanswered on one link, unless set otherwise.
pub const CREDIT_MESSAGES: u32 = 4096;
/// What no setting may raise it above: what is counted together with the bytes in one word.
pub const CREDIT_MESSAGES_LIMIT: u32 = (1 << 24) - 1;
/// How many bytes of requests may be unanswered on one link, unless set otherwise.
pub const CREDIT_BYTES: u64 = 32 << 20;
/// What no setting may raise it above, for the same reason.
pub const CREDIT_BYTES_LIMIT: u64 = (1 << 40) - 1;
/// The largest request, answer or notice, unless set otherwise.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// What no setting may raise `message_bytes_max` above: frames of 16 MiB break a link.
pub const MESSAGE_BYTES_LIMIT: usize = 8 << 20;

/// How the links of a node behave.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Only nodes with the same one are let in.
    pub cluster_id: String,
    /// Who this node is. A [`NodeId`] is never used for a second process.
    pub node: NodeId,
    /// Where peers connect to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Shared by all nodes. A guard against accidents, not against attackers: that is what `tls` is for.
    pub cookie: String,
    /// Mutual TLS; without it links are plain and anyone who reaches the port may read and speak.
    pub tls: Option<TlsFiles>,
    /// For connecting, the TLS handshake and the hello together, and then again until the link is ready.
    pub connect_timeout: Duration,
    /// After this much silence of a peer its link is closed.
    pub idle_timeout: Duration,
    /// After the operating system has taken no byte for so long the link is closed.
    pub write_timeout: Duration,
    /// How much may be unanswered on a link.
    pub credits: LinkCredits,
    /// The largest request, answer or notice, header and body together.
    pub message_bytes_max: usize,
}

/// What may be unanswered on one link; beyond it a request is refused at once as overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCredits {
    /// Requests.
    pub messages: u32,
    /// Bytes of these requests, and bytes of answers that a peer has not yet taken: two messages at least.
    pub bytes: u64,
}

impl Default for LinkCredits {
    fn default() -> Self {
        Self { messages: CREDIT_MESSAGES, bytes: CREDIT_BYTES }
    }
}

/// Where this node's certificate, its key and the cluster's certificate authority are, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// This node's certificate, followed by intermediate ones if there are any.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority (one or several certificates) that every node's certificate comes from. It should
    /// sign nothing else: whoever holds a certificate of it is let in.
    pub authority: PathBuf,
}

/// Another node to hold a link to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub node: NodeId,
    /// Where it listens, `host:port`.
    pub address: String,
}

impl LinkSettings {
    /// Plain links with the documented defaults.
    pub fn new(cluster_id: impl Into<String>, node: NodeId, listen: SocketAddr, cookie: impl Into<String>) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            node,
            listen,
            cookie: cookie.into(),
            tls: None,
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            credits: LinkCredits::default(),
            message_bytes_max: MESSAGE_BYTES_MAX,
        }
    }
}
