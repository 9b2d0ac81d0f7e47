//! The AsyncAPI document: every topic with its events and who sends and receives on it, made from the code.
//!
//! See <https://www.asyncapi.com/docs/reference/specification/v3.0.0> and, for the envelope,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use std::collections::BTreeMap;

use nakku_cluster::Service;
use nakku_cluster::events::intake;
use serde_json::{Map, Value, json};

use crate::public::EventType;

/// The content type of a message: a CloudEvent in structured mode.
const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// The name of the envelope's schema.
const ENVELOPE: &str = "CloudEvent";

/// The document: the program's version, what is published, and the services, whose consumers receive it.
pub fn document(version: &str, events: &[EventType], services: &[Service]) -> Value {
    let mut topics: BTreeMap<&str, Vec<&EventType>> = BTreeMap::new();
    for event in events {
        topics.entry(&event.topic).or_default().push(event);
    }
    let messages = events.iter().map(|event| (event.event_type.to_owned(), message(event)));
    let schemas = events.iter().map(|event| (event.event_type.to_owned(), event.schema.clone()));
    let schemas = [(ENVELOPE.to_owned(), envelope())].into_iter().chain(schemas);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nakku events",
            "version": version,
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": topics.iter().map(|(topic, events)| ((*topic).to_owned(), channel(topic, events))).collect::<Map<_, _>>(),
        "operations": operations(&topics, services),
        "components": {
            "messages": messages.collect::<Map<_, _>>(),
            "schemas": schemas.collect::<Map<_, _>>(),
        },
    })
}

/// The schema of the envelope: JSON Schema, draft 7.
pub fn envelope() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let number =
        |description: &str| json!({ "type": "string", "pattern": "^[0-9]{1,20}$", "description": description });
    json!({
        "title": ENVELOPE,
        "description": "A CloudEvent 1.0 in structured mode, with the extension attributes service, shard, sequence, \
            previous and topic.",
        "type": "object",
        "properties": {
            "specversion": { "const": "1.0", "description": "Of CloudEvents." },
            "id": text("INCARNATION-SERVICE-SHARD-SEQUENCE: the same each time the event is published."),
            "source": text("/nakku/SERVICE/SHARD."),
            "type": text("The event's name."),
            "subject": text("The key of the entity that it is of; also the key of the message."),
            "time": {
                "type": "string", "format": "date-time",
                "description": "When it was decided, UTC, to the millisecond."
            },
            "datacontenttype": { "const": "application/json", "description": "Of data." },
            "dataschema": text("urn:nakku:event:TYPE:VERSION, of the schema of data."),
            "traceparent": text("W3C trace context of what led to it."),
            "service": text("The service that it is of."),
            "shard": { "type": "integer", "minimum": 0, "description": "The shard of the service, from 0." },
            "sequence": number("Its place in the shard; rises, with gaps. A text, since integers have 32 bits here."),
            "previous": number("The sequence of the shard's public event before it; 0 for the first."),
            "topic": text("Where it is published when that is not the topic of its service."),
            "data": { "type": "object", "description": "What happened." },
        },
        "required": [
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "service",
            "shard", "sequence", "previous", "data"
        ],
    })
}

fn channel(topic: &str, events: &[&EventType]) -> Value {
    let references = events.iter().map(|event| {
        (event.event_type.to_owned(), json!({ "$ref": format!("#/components/messages/{}", event.event_type) }))
    });
    let description = if topic == intake::DEAD_LETTER_TOPIC {
        "What consumers could not process, each with its cause and the whole event.".to_owned()
    } else {
        let service = topic.rsplit('.').next().unwrap_or_default();
        format!("The events of the service {service}. All of an entity are in one partition, in order.")
    };
    json!({
        "address": topic,
        "description": description,
        "messages": references.collect::<Map<_, _>>(),
        "bindings": { "kafka": { "topic": topic, "bindingVersion": "0.5.0" } },
    })
}

fn message(event: &EventType) -> Value {
    let EventType { event_type, version, summary, .. } = event;
    json!({
        "name": event_type,
        "title": event_type,
        "summary": summary,
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [
                { "$ref": format!("#/components/schemas/{ENVELOPE}") },
                {
                    "type": "object",
                    "properties": {
                        "type": { "const": event_type },
                        "dataschema": { "const": format!("urn:nakku:event:{event_type}:{version}") },
                        "data": { "$ref": format!("#/components/schemas/{event_type}") },
                    },
                },
            ],
        },
        "bindings": {
            "kafka": {
                "key": { "type": "string", "description": "The key of the entity: the event's subject." },
                "bindingVersion": "0.5.0",
            },
        },
    })
}

fn operations(topics: &BTreeMap<&str, Vec<&EventType>>, services: &[Service]) -> Value {
    let mut operations = Map::new();
    for topic in topics.keys() {
        let channel = json!({ "$ref": format!("#/channels/{topic}") });
        let summary = format!("Nakku publishes on {topic}.");
        operations.insert(format!("send.{topic}"), json!({ "action": "send", "channel": channel, "summary": summary }));
    }
    for consumer in services.iter().flat_map(|service| &service.consumers) {
        for topic in consumer.sources.iter().map(|source| format!("nakku.{source}")) {
            if !topics.contains_key(&*topic) {
                continue;
            }
            let channel = json!({ "$ref": format!("#/channels/{topic}") });
            let summary = format!("The consumer group {} consumes {topic}.", consumer.group);
            let operation = json!({ "action": "receive", "channel": channel, "summary": summary });
            operations.insert(format!("receive.{}.{topic}", consumer.group), operation);
        }
    }
    Value::Object(operations)
}

const DESCRIPTION: &str = "\
What Nakku tells the outside. Every event is published at least once, in the order of its shard: `sequence` rises \
within `service` and `shard`, a repetition has the same `id`, and `previous` names the event before, so that a consumer \
knows what it lacks. Amounts are integers in minor units (paise), times in data are milliseconds since the Unix epoch. \
Persons are named by opaque keys only.";
