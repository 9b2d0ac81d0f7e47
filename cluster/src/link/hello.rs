//! The first words on a connection: who dials whom, and whether both can talk.
//!
//! Each side sends one JSON object behind its length (four bytes, big-endian). Unknown fields are skipped,
//! so that this can grow; only what both know about versions decides whether they can talk.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::membership::NodeId;

/// The oldest version of the messages that this software can speak.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest.
pub const PROTOCOL_MAX: u32 = 1;
/// Nobody has more to say.
const HELLO_BYTES_MAX: usize = 16 << 10;

/// What the dialing side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Both sides must be of the same cluster.
    pub cluster_id: String,
    /// Who dials.
    pub from: NodeId,
    /// Who is meant: an address may have passed to another node, or to another life of it.
    pub to: NodeId,
    /// The oldest version of the messages that the dialing side speaks.
    pub protocol_min: u32,
    /// The newest.
    pub protocol_max: u32,
    /// For the log.
    #[serde(default)]
    pub software_version: String,
}

/// What the accepting side answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hello", rename_all = "snake_case")]
pub enum HelloAnswer {
    /// Both speak ractor_cluster's protocol from here on.
    Welcome {
        /// Who answers.
        from: NodeId,
        /// The version of the messages, the newest that both speak.
        protocol: u32,
        /// What this link is called in every message on it.
        link: u64,
        /// For the log.
        #[serde(default)]
        software_version: String,
    },
    /// The connection is closed after this.
    Refused {
        /// Why.
        reason: HelloRefusal,
    },
}

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum HelloRefusal {
    /// Another cluster.
    #[error("it belongs to another cluster")]
    WrongCluster,
    /// No version of the messages that both speak.
    #[error("it speaks protocol versions {protocol_min} to {protocol_max} only")]
    NoCommonVersion {
        /// The oldest that the refusing side speaks.
        protocol_min: u32,
        /// The newest.
        protocol_max: u32,
    },
    /// The dialing side is an earlier life of a node.
    #[error("it knows generation {known} of the node, which is newer")]
    StaleGeneration {
        /// The newest life that the refusing side knows.
        known: u64,
    },
    /// Another node, or another life of it, has the address now.
    #[error("the address is that of {actual}")]
    WrongNode {
        /// Who.
        actual: NodeId,
    },
    /// The refusing side does not know the dialing one; it may have yet to hear of it.
    #[error("it does not know this node (yet)")]
    NotListed,
    /// Another connection of the same node came in between, or the node stops.
    #[error("it has another connection of this node, or stops")]
    Busy,
    /// The hello can't be read.
    #[error("it could not read the hello")]
    Undecodable,
    /// A reason that only newer versions know.
    #[error("it has a reason that this version does not know")]
    #[serde(other)]
    Unknown,
}

impl Hello {
    /// What this software says.
    pub fn new(cluster_id: &str, from: &NodeId, to: &NodeId) -> Self {
        Self {
            cluster_id: cluster_id.to_owned(),
            from: from.clone(),
            to: to.clone(),
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// What can be checked without knowing the other nodes; the version to speak.
    ///
    /// # Errors
    /// Why the dialing side is refused.
    pub fn check(&self, cluster_id: &str, node: &NodeId) -> Result<u32, HelloRefusal> {
        if self.cluster_id != cluster_id {
            return Err(HelloRefusal::WrongCluster);
        }
        let protocol = self.protocol_max.min(PROTOCOL_MAX);
        if protocol < self.protocol_min.max(PROTOCOL_MIN) {
            return Err(HelloRefusal::NoCommonVersion { protocol_min: PROTOCOL_MIN, protocol_max: PROTOCOL_MAX });
        }
        if self.to != *node {
            return Err(HelloRefusal::WrongNode { actual: node.clone() });
        }
        if self.from.name == node.name {
            return Err(HelloRefusal::StaleGeneration { known: node.generation });
        }
        Ok(protocol)
    }
}

/// Sends one side's words.
///
/// # Errors
/// The socket's.
pub async fn say(socket: &mut (impl AsyncWrite + Unpin), words: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(words)?;
    let mut message = u32::try_from(json.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
    message.extend(json);
    socket.write_all(&message).await?;
    socket.flush().await
}

/// Reads the other side's words and not a byte more.
///
/// # Errors
/// The socket's, or `InvalidData` when they are too long or no such words.
pub async fn hear<T: DeserializeOwned>(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = socket.read_u32().await? as usize;
    if length > HELLO_BYTES_MAX {
        let reason = format!("a hello of {length} bytes is none of ours");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut json = vec![0; length];
    socket.read_exact(&mut json).await?;
    serde_json::from_slice(&json).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mismatch_has_its_refusal() {
        let (here, peer) = (NodeId::new("a", 5), NodeId::new("b", 7));
        let hello = Hello::new("shop", &peer, &here);
        assert_eq!(hello.check("shop", &here), Ok(1));
        assert_eq!(hello.check("other", &here), Err(HelloRefusal::WrongCluster));
        let actual = NodeId::new("a", 6);
        assert_eq!(hello.check("shop", &actual), Err(HelloRefusal::WrongNode { actual: actual.clone() }));
        let newer = Hello { protocol_min: 2, protocol_max: 9, ..hello.clone() };
        let refusal = HelloRefusal::NoCommonVersion { protocol_min: 1, protocol_max: 1 };
        assert_eq!(newer.check("shop", &here), Err(refusal));
        let both = Hello { protocol_min: 1, protocol_max: 9, ..hello.clone() };
        assert_eq!(both.check("shop", &here), Ok(1));
        let myself = Hello { from: NodeId::new("a", 4), ..hello };
        assert_eq!(myself.check("shop", &here), Err(HelloRefusal::StaleGeneration { known: 5 }));
    }

    #[tokio::test]
    async fn words_of_a_newer_version_are_understood() {
        let (mut newer, mut here) = tokio::io::duplex(4096);
        let words = serde_json::json!({
            "hello": "refused", "since": 12, "reason": { "reason": "too_tall", "height": 3 }
        });
        say(&mut newer, &words).await.unwrap();
        let answer: HelloAnswer = hear(&mut here).await.unwrap();
        assert_eq!(answer, HelloAnswer::Refused { reason: HelloRefusal::Unknown });
    }

    #[tokio::test]
    async fn what_is_no_hello_is_an_error() {
        let (mut stranger, mut here) = tokio::io::duplex(4096);
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(hear::<Hello>(&mut here).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
