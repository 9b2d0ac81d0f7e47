//! What the public events of all services have in common: a name, a version and a schema each.
//!
//! Every service says in its `public.rs` what the outside is told of its entities' events. The structs there
//! are the contract with consumers, in this program and outside: [`PublicData`] names each, and [`events`]
//! lists all of them. Data holds keys, amounts and times; no e-mail, name of a person, address, telephone
//! number or secret is ever in it. A field is only added, and then optional, unless the version is raised.

use std::collections::BTreeMap;

use nakku_cluster::events::{PublicEvent, intake};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::{cart, delivery, inventory, location, notification, order, payment, product, user};

/// The data of one public event.
pub trait PublicData: Serialize + DeserializeOwned + ToSchema {
    /// The event's name, such as `order.confirmed`.
    const TYPE: &'static str;
    /// Of its schema; raised when a field changes its meaning or goes.
    const VERSION: u16 = 1;

    /// As it is published.
    fn event(&self) -> PublicEvent {
        PublicEvent { schema_version: Self::VERSION, ..PublicEvent::new(Self::TYPE, self) }
    }
}

/// One kind of public event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    /// Its name, such as `order.confirmed`.
    pub event_type: &'static str,
    /// Of its schema.
    pub version: u16,
    /// Where it is published, such as `nakku.order`.
    pub topic: String,
    /// What happened, in a sentence or two.
    pub summary: String,
    /// Of its data: JSON Schema, draft 7, without references.
    pub schema: Value,
}

impl EventType {
    /// Of the data of an event of a service.
    pub fn of<D: PublicData>(service: &str) -> Self {
        Self::on_topic::<D>(format!("nakku.{service}"))
    }

    fn on_topic<D: PublicData>(topic: String) -> Self {
        let json = |schema: &RefOr<Schema>| serde_json::to_value(schema).expect("a schema has string keys");
        let mut referenced = Vec::new();
        D::schemas(&mut referenced);
        let referenced = referenced.iter().map(|(name, schema)| (name.clone(), json(schema))).collect();
        let mut schema = json(&D::schema());
        inline(&mut schema, &referenced);
        schema["title"] = D::TYPE.into();
        let summary = schema["description"].as_str().unwrap_or_default().to_owned();
        Self { event_type: D::TYPE, version: D::VERSION, topic, summary, schema }
    }
}

/// Puts what a schema refers to in the place of the reference, where a description that is given there stands,
/// and descriptions in one line.
fn inline(schema: &mut Value, referenced: &BTreeMap<String, Value>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.remove("$ref") {
                let name = reference.rsplit('/').next().unwrap_or_default();
                let target = referenced.get(name).and_then(Value::as_object);
                for (name, member) in target.into_iter().flatten() {
                    members.entry(name.clone()).or_insert_with(|| member.clone());
                }
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            members.values_mut().for_each(|member| inline(member, referenced));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| inline(item, referenced)),
        _ => {}
    }
}

/// Every public event, in the order of the services.
pub fn events() -> Vec<EventType> {
    let mut events = user::public::events();
    events.extend(product::public::events());
    events.extend(inventory::public::events());
    events.extend(order::public::events());
    events.extend(cart::public::events());
    events.extend(payment::public::events());
    events.extend(delivery::public::events());
    events.extend(notification::public::events());
    events.extend(location::public::events());
    events.push(EventType::on_topic::<DeadLettered>(intake::DEAD_LETTER_TOPIC.to_owned()));
    events
}

/// An event could not be processed by a consumer and was set aside; the stream behind it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLettered {
    /// The consumer group that could not, such as `nakku-analytics`.
    pub group: String,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was set aside, in milliseconds since the Unix epoch.
    pub set_aside_at: i64,
    /// The event with its whole envelope, as it was published.
    #[schema(value_type = Object)]
    pub event: Value,
}

impl PublicData for DeadLettered {
    const TYPE: &'static str = intake::DEAD_LETTERED;
}

/// The schema of a key in public data.
pub(crate) struct KeySchema;

impl PartialSchema for KeySchema {
    fn schema() -> RefOr<Schema> {
        let pattern = Some("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$");
        ObjectBuilder::new().schema_type(Type::String).pattern(pattern).into()
    }
}

impl ToSchema for KeySchema {}

#[cfg(test)]
pub(crate) mod tests;
