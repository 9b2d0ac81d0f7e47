//! What the messages between two nodes look like.
//!
//! A message is a cast from node to node: a kind (a word), 16 bytes that say which link and which request
//! it belongs to, a header as MessagePack map with named fields, and a body. An unknown kind or header can
//! therefore still be answered, unknown fields are skipped and missing ones take their default.

use std::fmt;

use bytes::Bytes;
use ractor::message::{BoxedDowncastErr, SerializedMessage};
use ractor::{Message, RpcReplyPort};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::membership::NodeId;

/// The scope of all groups of ports.
pub const SCOPE: &str = "nakku-links";
/// What the link and the request number take at the front of a message's metadata.
pub const ROUTE_BYTES: usize = 16;
/// What a message takes besides header and body, roughly; credits count it in.
pub const OVERHEAD_BYTES: usize = 256;

/// The kinds of messages.
pub mod kind {
    /// Wants an answer.
    pub const REQUEST: &str = "request";
    /// The answer: the body is all there is.
    pub const ANSWER: &str = "answer";
    /// It was not executed: the body is a [`Refusal`](crate::link::Refusal) as JSON.
    pub const REFUSAL: &str = "refusal";
    /// It may have been executed, but there is no answer.
    pub const LOST: &str = "lost";
    /// Wants none.
    pub const NOTICE: &str = "notice";
    /// To be sent back as it is.
    pub const PING: &str = "ping";
    /// A ping that came back.
    pub const PONG: &str = "pong";
    /// Several of the others, one behind the other.
    pub const BATCH: &str = "batch";
}

/// The process group that a node's port is the only member of.
pub fn group(node: &NodeId) -> String {
    format!("port/{node}")
}

/// Which link a message belongs to, and which request on it; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Agreed in the hello, unique among all links of both nodes.
    pub link: u64,
    /// Chosen by the asking side.
    pub request: u64,
}

/// A message as it arrives. Taking it off the wire cannot fail.
pub struct Frame {
    /// One of [`kind`], or what a newer version sends.
    pub kind: String,
    /// Route and header.
    pub metadata: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// Set when the sender made a call of it, which no version does.
    pub call: Option<RpcReplyPort<Vec<u8>>>,
}

/// The header of a request.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestHeader<'a> {
    /// Whom it is for.
    #[serde(borrow)]
    pub service: &'a str,
    /// The sender's.
    #[serde(default)]
    pub epoch: u64,
    /// The sender's life.
    pub from_generation: u64,
    /// The life that it is meant for.
    pub to_generation: u64,
    /// W3C `traceparent`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<&'a str>,
    /// The target's own header.
    #[serde(default, borrow)]
    pub header: Raw<'a>,
}

/// The body of a ping, meaningful to its sender only.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ping {
    /// When it was sent, by the sender's clock.
    pub sent_at_us: u64,
    /// How many bytes of answers and notices had gone before it.
    pub bytes_before: u64,
}

/// Bytes inside a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl Route {
    /// The first bytes of the metadata, with room for a header.
    pub fn start(self, header_bytes: usize) -> Vec<u8> {
        let mut metadata = Vec::with_capacity(ROUTE_BYTES + header_bytes);
        metadata.extend_from_slice(&self.link.to_be_bytes());
        metadata.extend_from_slice(&self.request.to_be_bytes());
        metadata
    }

    /// Reads it off the metadata.
    pub fn of(metadata: &[u8]) -> Option<Self> {
        let (link, rest) = metadata.split_first_chunk::<8>()?;
        let (request, _) = rest.split_first_chunk::<8>()?;
        Some(Self { link: u64::from_be_bytes(*link), request: u64::from_be_bytes(*request) })
    }
}

impl RequestHeader<'_> {
    /// Appends this to a route.
    pub fn write(&self, metadata: &mut Vec<u8>) {
        rmp_serde::encode::write_named(metadata, self).expect("a header of strings and numbers serialises");
    }

    /// Reads what follows the route.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(metadata: &[u8]) -> Result<RequestHeader<'_>, String> {
        let header = metadata.get(ROUTE_BYTES..).unwrap_or_default();
        rmp_serde::from_slice(header).map_err(|error| error.to_string())
    }
}

/// A cast that is ready to be sent.
pub fn cast(kind: &str, metadata: Vec<u8>, body: Bytes) -> SerializedMessage {
    SerializedMessage::Cast { variant: kind.to_owned(), args: body.into(), metadata: Some(metadata) }
}

impl Message for Frame {
    fn serializable() -> bool {
        true
    }

    fn serialize(self) -> Result<SerializedMessage, BoxedDowncastErr> {
        Ok(SerializedMessage::Cast { variant: self.kind, args: self.body, metadata: Some(self.metadata) })
    }

    fn deserialize(message: SerializedMessage) -> Result<Self, BoxedDowncastErr> {
        match message {
            SerializedMessage::Cast { variant, args, metadata } => {
                Ok(Self { kind: variant, metadata: metadata.unwrap_or_default(), body: args, call: None })
            }
            SerializedMessage::Call { variant, args, reply, metadata } => {
                Ok(Self { kind: variant, metadata: metadata.unwrap_or_default(), body: args, call: Some(reply) })
            }
            SerializedMessage::CallReply(..) => Err(BoxedDowncastErr),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind)
            .field("metadata_bytes", &self.metadata.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Raw<'de>, E> {
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_bytes(Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Route = Route { link: 7, request: 9 };

    #[test]
    fn a_header_survives_the_wire() {
        let header = RequestHeader {
            service: "inventory",
            epoch: 3,
            from_generation: 4,
            to_generation: 5,
            traceparent: Some("00-aa-bb-01"),
            header: Raw(b"\x00\xff"),
        };
        let mut metadata = ROUTE.start(64);
        header.write(&mut metadata);
        assert_eq!(Route::of(&metadata), Some(ROUTE));
        let read = RequestHeader::read(&metadata).unwrap();
        assert_eq!((read.service, read.epoch, read.from_generation, read.to_generation), ("inventory", 3, 4, 5));
        assert_eq!((read.traceparent, read.header), (Some("00-aa-bb-01"), Raw(b"\x00\xff".as_slice())));
    }

    #[test]
    fn newer_and_older_versions_are_understood() {
        #[derive(Serialize)]
        struct Newer {
            tenant: Vec<u32>,
            service: &'static str,
            from_generation: u64,
            to_generation: u64,
            priority: Option<&'static str>,
        }
        let newer =
            Newer { tenant: vec![1, 2], service: "cart", from_generation: 1, to_generation: 2, priority: Some("high") };
        let mut metadata = ROUTE.start(64);
        rmp_serde::encode::write_named(&mut metadata, &newer).unwrap();
        let read = RequestHeader::read(&metadata).unwrap();
        assert_eq!((read.service, read.epoch, read.traceparent), ("cart", 0, None));
        assert!(read.header.0.is_empty());
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for length in 0..64_usize {
            let garbage: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(151) ^ 0xc1).collect();
            assert!(RequestHeader::read(&garbage).is_err());
            assert_eq!(Route::of(&garbage).is_some(), length >= ROUTE_BYTES);
        }
    }
}
