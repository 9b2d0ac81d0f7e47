//! What nodes say to each other, self-describing: MessagePack with field names, so that nodes of two
//! versions run side by side. New fields take defaults; unknown ones are passed over.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ask::Once;
use crate::entity::ColumnValue;
use crate::error::Failure;
use crate::events::{Envelope, Page};
use crate::handle::Outcome;
use crate::inspect::{Question, Report};
use crate::query::{Freshness, Query};
use crate::reference::{Address, Key};
use crate::store::{ListedRow, StateTable};

/// A call from node to node. The command of an ask travels beside it, as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireCall {
    Ask(WireAsk),
    List(WireList),
    History(WireHistory),
    Reread(WireReread),
    Inspect(WireInspect),
    Watch(WireWatch),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireAsk {
    pub kind: String,
    pub key: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Address>,
    pub deadline_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireList {
    pub kind: String,
    pub equals: Vec<(String, WireValue)>,
    pub after: Option<Key>,
    pub limit: u32,
    /// See [`Freshness`]; a version that does not know these reads from the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Key>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recent: bool,
}

/// The public events of one entity behind a seq.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireHistory {
    pub kind: String,
    pub key: Key,
    pub after_seq: u64,
    pub limit: u32,
}

/// Some of the journal of a shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireReread {
    pub service: String,
    pub shard: u32,
    pub after: u64,
    pub until: u64,
}

/// Whose events a gateway wants to hear of as they happen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireWatch {
    /// Rises with each that the node tells.
    pub number: u64,
    /// All when there is nothing.
    pub services: Option<Vec<String>>,
}

/// A question about the node itself, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireInspect {
    question: Body,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireValue {
    Text(String),
    Integer(i64),
    Null,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireAnswer {
    Reply {
        json: Body,
        entity_version: u64,
    },
    Rejected {
        json: Body,
        entity_version: u64,
    },
    Failed {
        failure: Failure,
    },
    Rows {
        rows: Vec<WireRow>,
    },
    /// Envelopes as JSON.
    Events {
        json: Body,
    },
    /// Of a journal, as JSON.
    Page {
        json: Body,
    },
    /// What an inspector says, as JSON.
    Report {
        json: Body,
    },
    /// It is done, and there is nothing to say.
    Done,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WireRow {
    key: Key,
    version: u64,
    head: Body,
}

/// JSON as one run of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Body(Vec<u8>);

pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(value).expect("calls and answers serialise").into()
}

pub(crate) fn decode_call(bytes: &[u8]) -> Result<WireCall, Failure> {
    rmp_serde::from_slice(bytes).map_err(|error| Failure::Invalid { reason: format!("call not understood: {error}") })
}

/// What can't be read has an unknown outcome.
pub(crate) fn decode_answer(bytes: &[u8]) -> WireAnswer {
    rmp_serde::from_slice(bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "an answer of another node was not understood");
        WireAnswer::Failed { failure: Failure::TimedOut }
    })
}

impl WireCall {
    pub(crate) fn service(&self) -> &str {
        let kind = match self {
            Self::Ask(WireAsk { kind, .. }) | Self::List(WireList { kind, .. }) => kind,
            Self::History(WireHistory { kind, .. }) => kind,
            Self::Reread(WireReread { service, .. }) => service,
            Self::Inspect(_) => "inspector",
            Self::Watch(_) => "gateway",
        };
        kind.split('.').next().unwrap_or_default()
    }
}

impl WireAnswer {
    pub(crate) fn into_outcome(self) -> Outcome {
        match self {
            Self::Reply { json, entity_version } => Outcome::Reply { json: json.0, entity_version },
            Self::Rejected { json, entity_version } => Outcome::Rejected { json: json.0, entity_version },
            Self::Failed { failure } => Outcome::Failed(failure),
            Self::Rows { .. } | Self::Events { .. } | Self::Page { .. } | Self::Report { .. } | Self::Done => {
                Outcome::Failed(Failure::TimedOut)
            }
        }
    }
}

impl From<Result<Vec<Envelope>, Failure>> for WireAnswer {
    fn from(events: Result<Vec<Envelope>, Failure>) -> Self {
        let json = events.and_then(|events| {
            serde_json::to_vec(&events).map_err(|error| Failure::Invalid { reason: error.to_string() })
        });
        match json {
            Ok(json) => Self::Events { json: Body(json) },
            Err(failure) => Self::Failed { failure },
        }
    }
}

impl From<Result<Page, Failure>> for WireAnswer {
    fn from(page: Result<Page, Failure>) -> Self {
        let json = page
            .and_then(|page| serde_json::to_vec(&page).map_err(|error| Failure::Invalid { reason: error.to_string() }));
        match json {
            Ok(json) => Self::Page { json: Body(json) },
            Err(failure) => Self::Failed { failure },
        }
    }
}

impl WireInspect {
    pub(crate) fn new(question: &Question) -> Self {
        Self { question: Body(serde_json::to_vec(question).expect("a question has string keys and serialises")) }
    }

    pub(crate) fn question(&self) -> Result<Question, Failure> {
        serde_json::from_slice(&self.question.0).map_err(|error| Failure::Invalid {
            reason: format!("a question that this version does not know: {error}"),
        })
    }
}

impl From<&Report> for WireAnswer {
    fn from(report: &Report) -> Self {
        match serde_json::to_vec(report) {
            Ok(json) => Self::Report { json: Body(json) },
            Err(error) => Self::Failed { failure: Failure::Invalid { reason: error.to_string() } },
        }
    }
}

impl Body {
    /// The page of [`WireAnswer::Page`].
    pub(crate) fn page(&self) -> Result<Page, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| Failure::Invalid { reason: error.to_string() })
    }

    /// The report of [`WireAnswer::Report`].
    pub(crate) fn report(&self) -> Result<Report, Failure> {
        serde_json::from_slice(&self.0)
            .map_err(|error| Failure::Invalid { reason: format!("an answer of another version: {error}") })
    }

    /// The events of [`WireAnswer::Events`].
    pub(crate) fn events(&self) -> Result<Vec<Envelope>, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| Failure::Invalid { reason: error.to_string() })
    }
}

impl From<Outcome> for WireAnswer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Reply { json, entity_version } => Self::Reply { json: Body(json), entity_version },
            Outcome::Rejected { json, entity_version } => Self::Rejected { json: Body(json), entity_version },
            Outcome::Failed(failure) => Self::Failed { failure },
        }
    }
}

impl WireList {
    pub(crate) fn new(kind: String, query: &Query) -> Self {
        let value = |value: &ColumnValue| match value {
            ColumnValue::Text(text) => WireValue::Text(text.clone()),
            ColumnValue::Integer(number) => WireValue::Integer(*number),
            ColumnValue::Null => WireValue::Null,
        };
        let equals = query.equals.iter().map(|(column, wanted)| ((*column).to_owned(), value(wanted))).collect();
        let (own, recent) = match &query.freshness {
            Freshness::Latest => (None, false),
            Freshness::Own(key) => (Some(key.clone()), false),
            Freshness::Recent => (None, true),
        };
        Self { kind, equals, after: query.after.clone(), limit: query.limit, own, recent }
    }

    /// The query over a table of this node's version.
    pub(crate) fn query(&self, table: &StateTable) -> Result<Query, Failure> {
        let freshness = match &self.own {
            Some(key) => Freshness::Own(key.clone()),
            None if self.recent => Freshness::Recent,
            None => Freshness::Latest,
        };
        let mut query = Query { freshness, equals: Vec::new(), after: self.after.clone(), limit: self.limit };
        for (name, value) in &self.equals {
            let Some(column) = table.columns.iter().find(|column| column.name == name) else {
                return Err(Failure::Invalid { reason: format!("{} has no column {name:?}", self.kind) });
            };
            let value = match value {
                WireValue::Text(text) => ColumnValue::Text(text.clone()),
                WireValue::Integer(number) => ColumnValue::Integer(*number),
                WireValue::Null => ColumnValue::Null,
            };
            query.equals.push((column.name, value));
        }
        Ok(query)
    }
}

impl From<ListedRow> for WireRow {
    fn from(row: ListedRow) -> Self {
        Self { key: row.key, version: row.version, head: Body(row.head) }
    }
}

impl From<WireRow> for ListedRow {
    fn from(row: WireRow) -> Self {
        Self { key: row.key, version: row.version, head: row.head.0 }
    }
}

impl Serialize for Body {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Body;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Body, E> {
                Ok(Body(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Body, E> {
                Ok(Body(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
