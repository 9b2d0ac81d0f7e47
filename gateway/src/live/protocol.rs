//! The messages, JSON, one a WebSocket text message (or the `data` of one Server-Sent Event).
//!
//! A client sends one of
//! - `{"token": "ACCESS TOKEN"}`: first, within 5 s, unless the token came as a subprotocol; again at any time,
//!   of the same user, to stay longer than the last one lets it
//! - `{"subscribe": {"order": "ID"}}`, with the `cursor` of the last message to go on from there
//! - `{"subscribe": {"deliveries": true}}`: a rider's own
//! - `{"subscribe": {"store": "ID"}}`: the open orders of a store, for its staff
//! - `{"unsubscribe": {…}}`: as it was subscribed to, without a cursor
//!
//! and hears, each with `of` saying to which subscription it belongs,
//! - `snapshot`: how the thing stands, first, and again when it can't be gone on from where the client was. An
//!   order's is at least as new as its `cursor`: what comes next may already be in it
//! - `resumed`: everything since the cursor has been sent; from here on it is live
//! - `event`: what happened: `id`, `type`, `time`, `subject`, `data` of the public event
//! - `position`: where the rider is who has the watched order: `rider`, `lat`, `lng`, `at_ms`
//! - `problem`: as over HTTP. With an `of`, that subscription has ended; without, a message was not understood
//!
//! Of each entity (an order, its payment, its delivery) events come in order, none lacks, none comes twice;
//! those of different entities may overtake each other by a little.

use nakku_cluster::Key;
use nakku_cluster::events::{Envelope, Signal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::hub::position_topic;
use super::subscription::Subscription;
use crate::extract;
use crate::problem::{Code, Problem};

/// The WebSocket subprotocol that this is.
pub const SUBPROTOCOL: &str = "nakku.live.v1";
/// What a subprotocol begins with that is an access token.
pub const BEARER: &str = "bearer.";

/// The largest message of a client, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Close codes (RFC 6455, 7.4.1 and 7.4.2).
pub mod close {
    /// The message was too large.
    pub const TOO_LARGE: u16 = 1009;
    /// The client is too slow (`slow`) or sends too much (`too many messages`).
    pub const POLICY: u16 = 1008;
    /// This gateway is going: connect again at once.
    pub const RESTART: u16 = 1012;
    /// The access token is missing, not valid, or has expired; the reason is the problem's code.
    pub const TOKEN: u16 = 4001;
}

/// What a client sends: one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Received {
    token: Option<String>,
    subscribe: Option<Target>,
    unsubscribe: Option<Target>,
}

/// To what: one of the first three.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// An order's id.
    pub order: Option<String>,
    /// The caller's own deliveries: `true`.
    pub deliveries: Option<bool>,
    /// A store's id.
    pub store: Option<String>,
    /// Of the last message of the order that was heard.
    pub cursor: Option<String>,
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Shows an access token.
    Token(String),
    /// Wants to hear of something, perhaps from somewhere on.
    Subscribe(Subscription, Option<Cursor>),
    /// No longer wants to.
    Unsubscribe(Subscription),
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is none of those that there are.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let received: Received = extract::parse(text.as_bytes())?;
        match received {
            Received { token: Some(token), subscribe: None, unsubscribe: None } => Ok(Self::Token(token)),
            Received { token: None, subscribe: Some(target), unsubscribe: None } => {
                let (subscription, cursor) = target.read()?;
                Ok(Self::Subscribe(subscription, cursor))
            }
            Received { token: None, subscribe: None, unsubscribe: Some(target) } => {
                Ok(Self::Unsubscribe(target.read()?.0))
            }
            _ => Err(Problem::new(Code::InvalidValue, "one of token, subscribe and unsubscribe is needed")),
        }
    }
}

impl Target {
    /// Reads it.
    ///
    /// # Errors
    /// When it names nothing, several things, or something that can't be.
    pub fn read(self) -> Result<(Subscription, Option<Cursor>), Problem> {
        let Self { order, deliveries, store, cursor } = self;
        let key = |field: &str, text: String| {
            Key::new(text).map_err(|error| Problem::new(Code::InvalidValue, error.to_string()).field(field))
        };
        let subscription = match (order, deliveries, store) {
            (Some(order), None, None) => Subscription::Order(key("order", order)?),
            (None, Some(true), None) => Subscription::Deliveries,
            (None, None, Some(store)) => Subscription::Store(key("store", store)?),
            _ => {
                let detail = "one of order, deliveries (true) and store is needed";
                return Err(Problem::new(Code::InvalidValue, detail));
            }
        };
        // Boards begin anew; a client need not know which of them do.
        let cursor = cursor.filter(|_| matches!(subscription, Subscription::Order(_)));
        let malformed =
            |error: super::cursor::NoCursor| Problem::new(Code::InvalidValue, error.to_string()).field("cursor");
        let cursor = cursor.map(|text| text.parse().map_err(malformed)).transpose()?;
        Ok((subscription, cursor))
    }
}

/// Where a rider is, the body of a signal on `rider/ID`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl Position {
    /// Tells everybody who watches an order of this rider.
    pub fn signal(&self, rider: &Key) -> Signal {
        let body = json!({ "lat": self.lat, "lng": self.lng, "at_ms": self.at_ms }).to_string();
        Signal { topic: position_topic(rider), body }
    }
}

/// One message to a client.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is: the name of the Server-Sent Event and the member that says it.
    pub kind: &'static str,
    /// The message.
    pub json: String,
    /// How far the client is with it; absent when it is where it was.
    pub cursor: Option<String>,
    /// Whether the subscription has ended with it.
    pub last: bool,
}

impl Told {
    /// How the thing stands.
    pub fn snapshot(of: &Subscription, body: &Value, cursor: Option<&Cursor>) -> Self {
        Self::new(of, "snapshot", body, cursor)
    }

    /// Everything since the cursor has been told.
    pub fn resumed(of: &Subscription, cursor: &Cursor) -> Self {
        Self::new(of, "resumed", &json!(true), Some(cursor))
    }

    /// What happened.
    pub fn event(of: &Subscription, event: &Envelope, cursor: Option<&Cursor>) -> Self {
        let mut body = serde_json::to_value(event).unwrap_or_default();
        if let Value::Object(members) = &mut body {
            members.retain(|name, _| matches!(name.as_str(), "id" | "type" | "time" | "subject" | "data"));
        }
        Self::new(of, "event", &body, cursor)
    }

    /// Where the rider is.
    pub fn position(of: &Subscription, rider: &Key, position: &Position) -> Self {
        let Position { lat, lng, at_ms } = position;
        Self::new(of, "position", &json!({ "rider": rider, "lat": lat, "lng": lng, "at_ms": at_ms }), None)
    }

    /// A subscription has ended, or was not made.
    pub fn ended(of: &Subscription, problem: Problem) -> Self {
        Self { last: true, ..Self::new(of, "problem", &problem_body(problem), None) }
    }

    /// Something is wrong that belongs to no subscription.
    pub fn problem(problem: Problem) -> Self {
        let json = json!({ "problem": problem_body(problem) }).to_string();
        Self { kind: "problem", json, cursor: None, last: true }
    }

    fn new(of: &Subscription, kind: &'static str, body: &Value, cursor: Option<&Cursor>) -> Self {
        let cursor = cursor.map(Cursor::to_string);
        let mut message = json!({ "of": of.name(), kind: body });
        if let Some(cursor) = &cursor {
            message["cursor"] = json!(cursor);
        }
        Self { kind, json: message.to_string(), cursor, last: false }
    }
}

fn problem_body(problem: Problem) -> Value {
    serde_json::to_value(problem.body()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Request::read(text).unwrap_err().code
    }

    #[test]
    fn requests_are_read() {
        let order = Subscription::Order(Key::new("u-1.o-2").unwrap());
        assert_eq!(Request::read(r#"{"token":"abc"}"#), Ok(Request::Token("abc".into())));
        let text = r#"{"subscribe":{"order":"u-1.o-2","cursor":"order.4"}}"#;
        assert_eq!(Request::read(text), Ok(Request::Subscribe(order.clone(), Some("order.4".parse().unwrap()))));
        assert_eq!(Request::read(r#"{"unsubscribe":{"order":"u-1.o-2"}}"#), Ok(Request::Unsubscribe(order)));
        let text = r#"{"subscribe":{"deliveries":true,"cursor":"whatever"}}"#;
        assert_eq!(Request::read(text), Ok(Request::Subscribe(Subscription::Deliveries, None)));
    }

    #[test]
    fn each_way_of_being_wrong_has_its_code() {
        assert_eq!(code("{"), Code::BrokenJson);
        assert_eq!(code("7"), Code::WrongType);
        assert_eq!(code("{}"), Code::InvalidValue);
        assert_eq!(code(r#"{"follow":1}"#), Code::UnknownField);
        assert_eq!(code(r#"{"subscribe":{}}"#), Code::InvalidValue);
        assert_eq!(code(r#"{"subscribe":{"order":"a","store":"b"}}"#), Code::InvalidValue);
        assert_eq!(code(r#"{"subscribe":{"order":7}}"#), Code::WrongType);
        assert_eq!(code(r#"{"subscribe":{"deliveries":false}}"#), Code::InvalidValue);
        assert_eq!(code(r#"{"subscribe":{"order":"u-1.o-2","cursor":"x"}}"#), Code::InvalidValue);
        assert_eq!(code(r#"{"token":"a","subscribe":{"deliveries":true}}"#), Code::InvalidValue);
    }
}
