//! The list of public events, and a check that every test which runs entities makes of what they publish.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use nakku_cluster::events::{DeadLetter, Envelope, PublicEvent, intake};
use nakku_cluster::{Entity, Key, Timestamp};
use serde_json::{Value, json};

use super::{EventType, events};
use crate::asyncapi;
use crate::user;

#[path = "../../tests/schemas/mod.rs"]
mod schemas;

static SCHEMAS: LazyLock<schemas::Schemas> = LazyLock::new(|| {
    schemas::Schemas::new(events().into_iter().map(|event| (event.event_type, event.version, event.schema)))
});

/// Panics when an entity publishes what has no schema, does not fit it, or says more than it declares.
pub(crate) fn check_published(published: Option<&PublicEvent>) {
    if let Some(event) = published {
        assert!(!event.event_type.starts_with(user::event::PRIVATE_PREFIX), "{event:?}");
        SCHEMAS.check(event);
    }
}

fn envelope_of(event: &EventType, data: Value) -> Envelope {
    Envelope {
        specversion: "1.0".into(),
        id: "1-order-7-42".into(),
        source: "/nakku/order/7".into(),
        event_type: event.event_type.into(),
        subject: "u-1.o-2".into(),
        time: Timestamp(1_700_000_000_123),
        datacontenttype: "application/json".into(),
        dataschema: format!("urn:nakku:event:{}:{}", event.event_type, event.version),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        service: "order".into(),
        shard: 7,
        sequence: 42,
        previous: 40,
        topic: Some(event.topic.clone().into()),
        data,
    }
}

#[test]
fn every_event_is_named_once_and_described() {
    let mut names = BTreeSet::new();
    let topics: BTreeSet<String> = crate::services().iter().map(|service| format!("nakku.{}", service.name)).collect();
    for event in events() {
        assert!(names.insert(event.event_type), "{} stands twice", event.event_type);
        assert!(topics.contains(&event.topic) || event.topic == intake::DEAD_LETTER_TOPIC, "{}", event.topic);
        assert!(!event.summary.is_empty(), "{} has no summary", event.event_type);
        each_reference(&event.schema, &mut |reference| panic!("{} refers to {reference}", event.event_type));
        let properties = event.schema["properties"].as_object().unwrap();
        for (name, schema) in properties {
            assert!(schema["description"].is_string(), "{}: {name} is not described", event.event_type);
            let amount = schema["format"] == "int64" && schema["minimum"].is_null();
            assert!(
                !amount || name == "set_aside_at" || name.ends_with("_minor") || name.ends_with("_ms"),
                "{name} has no unit"
            );
        }
    }
}

#[test]
fn secrets_and_persons_stay_inside() {
    let forbidden = ["email", "e_mail", "address", "phone", "token", "hash", "password", "fingerprint", "reference"];
    for event in events() {
        let properties = event.schema["properties"].as_object().unwrap();
        for name in properties.keys() {
            assert!(!forbidden.iter().any(|word| name.contains(word)), "{} tells {name}", event.event_type);
        }
    }
    let key = Key::new("u-1").unwrap();
    let registered = user::Event::Registered {
        email: "asha@example.in".into(),
        name: "Asha".into(),
        roles: Vec::new(),
        store: None,
        at: Timestamp(1),
    };
    let event = user::User::publish(&key, &registered).unwrap();
    assert_eq!(event.data, json!({ "user": "u-1" }));
    let hash = user::command::PasswordHash::new("secret");
    assert_eq!(user::User::publish(&key, &user::Event::PasswordSet { password_hash: hash }), None);
}

#[test]
fn a_dead_letter_fits_its_schema() {
    let all = events();
    let order = all.iter().find(|event| event.event_type == "order.refunded").unwrap();
    let letter = DeadLetter {
        group: "nakku-analytics".into(),
        reason: "order.refunded 1-order-7-42: missing field `user`".into(),
        attempts: 4,
        set_aside_at: Timestamp(1_700_000_000_456),
        event: envelope_of(order, json!({ "order": "u-1.o-2" })),
    };
    check_published(Some(&PublicEvent::new(intake::DEAD_LETTERED, &letter)));
}

#[test]
fn an_envelope_fits_its_schema() {
    let schema = asyncapi::envelope();
    let mut compiled = boon::Schemas::new();
    let index = schemas::compile(&mut compiled, &schema);
    let event = &events()[0];
    let whole = serde_json::to_value(envelope_of(event, json!({ "user": "u-1" }))).unwrap();
    let sparse = Envelope { traceparent: String::new(), topic: None, ..envelope_of(event, json!({})) };
    for envelope in [&whole, &serde_json::to_value(sparse).unwrap()] {
        compiled.validate(envelope, index).unwrap_or_else(|error| panic!("{error:#}"));
    }
    let told: BTreeSet<_> = whole.as_object().unwrap().keys().collect();
    let declared: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(told, declared);
}

#[test]
fn the_asyncapi_document_is_whole() {
    let document = asyncapi::document("1.2.3", &events(), &crate::services());
    assert_eq!(document["asyncapi"], "3.0.0");
    assert_eq!(document["info"]["version"], "1.2.3");
    each_reference(&document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    });
    let channels = document["channels"].as_object().unwrap();
    let mut sent = BTreeSet::new();
    for event in events() {
        let channel = &channels[&event.topic];
        assert_eq!(channel["address"], json!(event.topic));
        assert!(channel["messages"][event.event_type].is_object(), "{}", event.event_type);
        sent.insert(json!(format!("#/channels/{}", event.topic)).to_string());
    }
    for (name, operation) in document["operations"].as_object().unwrap() {
        assert!(["send", "receive"].contains(&operation["action"].as_str().unwrap()), "{name}");
        if operation["action"] == "send" {
            assert!(sent.remove(&operation["channel"]["$ref"].to_string()), "{name} is sent twice or to nowhere");
        }
    }
    assert!(sent.is_empty(), "nobody sends on {sent:?}");
    // Names of components are letters, digits, '.', '-' and '_' by the specification.
    for kind in ["messages", "schemas"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)), "{name}");
        }
    }
}

#[test]
fn a_message_takes_its_own_event_and_no_other() {
    let all = events();
    let document = asyncapi::document("1.2.3", &all, &crate::services());
    let login = all.iter().find(|event| event.event_type == "user.login").unwrap();
    let mut schema = document["components"]["messages"][login.event_type]["payload"].clone();
    schema["components"] = document["components"].clone();
    let mut compiled = boon::Schemas::new();
    let index = schemas::compile(&mut compiled, &schema);
    let fits = |envelope: &Envelope| compiled.validate(&serde_json::to_value(envelope).unwrap(), index).is_ok();
    let good = envelope_of(login, json!({ "user": "u-1" }));
    assert!(fits(&good));
    assert!(!fits(&Envelope { data: json!({ "user": "u 1" }), ..good.clone() }));
    assert!(!fits(&Envelope { event_type: "user.registered".into(), ..good }));
}

fn each_reference(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(reference) if name == "$ref" => visit(reference),
                    _ => each_reference(member, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}
