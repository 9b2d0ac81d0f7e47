//! One event as it travels: CloudEvents 1.0, structured JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::intake::Mark;
use super::written::Written;
use crate::reference::Key;
use crate::store::JournalRow;
use crate::time::Timestamp;

/// What an entity lets the outside know of one of its own events.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicEvent {
    /// Its name, such as `order.confirmed`.
    pub event_type: &'static str,
    /// Of its schema; raised when a field changes its meaning or goes.
    pub schema_version: u16,
    /// What it says.
    pub data: Written,
    /// Where it goes when not to the topic of its service.
    pub topic: Option<&'static str>,
}

impl PublicEvent {
    /// An event of the first version of its schema.
    ///
    /// # Panics
    /// When the data has a map with keys that are no texts: a mistake of the program.
    pub fn new(event_type: &'static str, data: &impl Serialize) -> Self {
        Self { event_type, schema_version: 1, data: Written::new(data), topic: None }
    }
}

/// An event on its way, see <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
///
/// Beside the attributes of the specification it carries `service`, `shard`, `sequence` and `previous`, by
/// which a consumer drops repeats and sees what it lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Envelope<D = Value> {
    /// `1.0`.
    #[schema(value_type = String)]
    pub specversion: Cow<'static, str>,
    /// `INCARNATION-SERVICE-SHARD-SEQUENCE`: the same each time the event is published.
    pub id: String,
    /// `/nakku/SERVICE/SHARD`.
    pub source: String,
    /// Its name, such as `order.confirmed`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub event_type: Cow<'static, str>,
    /// The entity's key; also the key of the message.
    pub subject: String,
    /// When it was decided, UTC, to the millisecond.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String)]
    pub time: Timestamp,
    /// `application/json`.
    #[schema(value_type = String)]
    pub datacontenttype: Cow<'static, str>,
    /// Names type and version of the schema of `data`: `urn:nakku:event:order.confirmed:1`.
    pub dataschema: String,
    /// W3C trace context of what led to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
    /// The service that it is of.
    #[schema(value_type = String)]
    pub service: Cow<'static, str>,
    /// The shard of the service, from 0.
    pub shard: u32,
    /// Its place in the shard; rises, with gaps. Text, because the specification's integers have 32 bits.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub sequence: u64,
    /// The place of the shard's public event before it; 0 for the first.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub previous: u64,
    /// Where it goes when not to the topic of its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub topic: Option<Cow<'static, str>>,
    /// What happened.
    #[schema(value_type = Value)]
    pub data: D,
}

/// An event on its way from a journal to an intake: nobody there looks at what it says, so that it is written once and
/// handed on.
pub type SealedEnvelope = Envelope<Written>;

impl SealedEnvelope {
    /// From a committed row and what its entity lets the outside know of it.
    pub fn sealed(
        service: &'static str,
        incarnation: u64,
        row: &JournalRow,
        event: PublicEvent,
        previous: u64,
    ) -> Self {
        let JournalRow { shard, seq, .. } = row;
        Self {
            specversion: "1.0".into(),
            id: format!("{incarnation}-{service}-{shard}-{seq}"),
            source: format!("/nakku/{service}/{shard}"),
            event_type: event.event_type.into(),
            subject: row.entity.split_once('/').map_or("", |(_, key)| key).into(),
            time: row.occurred_at,
            datacontenttype: "application/json".into(),
            dataschema: format!("urn:nakku:event:{}:{}", event.event_type, event.schema_version),
            traceparent: row.traceparent.clone(),
            service: service.into(),
            shard: *shard,
            sequence: *seq,
            previous,
            topic: event.topic.map(Into::into),
            data: event.data,
        }
    }

    /// For whoever reads what it says.
    pub fn opened(self) -> Envelope {
        self.with(|data| data.value())
    }

    /// What it says, typed.
    ///
    /// # Errors
    /// When the data does not fit; says where.
    pub fn data<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(self.data.text()).map_err(|error| format!("{} {}: {error}", self.event_type, self.id))
    }
}

impl<D> Envelope<D> {
    /// The same with its data as something else.
    fn with<E>(self, make: impl FnOnce(D) -> E) -> Envelope<E> {
        let Self { specversion, id, source, event_type, subject, time, datacontenttype, dataschema, .. } = self;
        let Self { traceparent, service, shard, sequence, previous, topic, data, .. } = self;
        Envelope {
            specversion,
            id,
            source,
            event_type,
            subject,
            time,
            datacontenttype,
            dataschema,
            traceparent,
            service,
            shard,
            sequence,
            previous,
            topic,
            data: make(data),
        }
    }

    /// The key of the entity that it is of.
    ///
    /// # Errors
    /// When the subject is no key: the event is not of this program.
    pub fn key(&self) -> Result<Key, crate::reference::KeyError> {
        Key::new(self.subject.as_str())
    }

    /// The incarnation of the database that it comes from: the first part of its id; 0 when that is none.
    pub fn incarnation(&self) -> u64 {
        self.id.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Where an intake is that has consumed it.
    pub(super) fn mark(&self) -> Mark {
        Mark { high_water: self.sequence, incarnation: self.incarnation() }
    }
}

impl Envelope {
    /// From a committed row and what its entity lets the outside know of it.
    pub fn new(service: &'static str, incarnation: u64, row: &JournalRow, event: PublicEvent, previous: u64) -> Self {
        SealedEnvelope::sealed(service, incarnation, row, event, previous).opened()
    }

    /// What it says, typed.
    ///
    /// # Errors
    /// When the data does not fit; says where.
    pub fn data<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        T::deserialize(&self.data).map_err(|error| format!("{} {}: {error}", self.event_type, self.id))
    }

    /// As an intake is given it.
    pub fn closed(self) -> SealedEnvelope {
        self.with(|data| Written::new(&data))
    }
}

mod text {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod rfc3339 {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Error as _, Serializer};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use crate::time::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).map_err(S::Error::custom)?;
        serializer.serialize_str(&at.format(&Rfc3339).map_err(S::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(D::Error::custom)?;
        Ok(Timestamp(millis))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envelope_is_a_cloud_event() {
        let row = JournalRow {
            shard: 7,
            seq: 42,
            epoch: 3,
            writer: "node-1@1".into(),
            entity: "order/u-1.o-2".into(),
            entity_version: 2,
            previous_seq: 41,
            command_id: String::new(),
            event_type: "order.confirmed".into(),
            payload: Vec::new(),
            occurred_at: Timestamp(1_700_000_000_123),
            traceparent: String::new(),
        };
        let event = PublicEvent::new("order.confirmed", &json!({ "total_minor": 100 }));
        let envelope = Envelope::new("order", 1, &row, event, 40);
        let json = serde_json::to_value(&envelope).unwrap();
        assert_eq!(
            json,
            json!({
                "specversion": "1.0", "id": "1-order-7-42", "source": "/nakku/order/7", "type": "order.confirmed",
                "subject": "u-1.o-2", "time": "2023-11-14T22:13:20.123Z", "datacontenttype": "application/json",
                "dataschema": "urn:nakku:event:order.confirmed:1", "service": "order", "shard": 7, "sequence": "42",
                "previous": "40", "data": { "total_minor": 100 }
            })
        );
        let sealed: SealedEnvelope = serde_json::from_slice(&serde_json::to_vec(&envelope).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(&sealed).unwrap(), json);
        assert_eq!(sealed.opened(), envelope);
        assert_eq!(serde_json::from_value::<Envelope>(json).unwrap(), envelope);
        assert_eq!(envelope.key().unwrap().as_str(), "u-1.o-2");
    }
}
