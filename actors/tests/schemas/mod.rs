//! Holds public events against the schemas that the program gives out.

use std::collections::BTreeMap;

use boon::{Compiler, Draft, SchemaIndex};
use nakku_cluster::events::PublicEvent;
use serde_json::Value;

/// The schemas of all public events.
pub struct Schemas {
    compiled: boon::Schemas,
    events: BTreeMap<&'static str, (u16, Value, SchemaIndex)>,
}

impl Schemas {
    /// From name, version and schema of each.
    pub fn new(events: impl IntoIterator<Item = (&'static str, u16, Value)>) -> Self {
        let mut compiled = boon::Schemas::new();
        let compile = |(event_type, version, schema): (&'static str, u16, Value)| {
            let index = compile(&mut compiled, &schema);
            (event_type, (version, schema, index))
        };
        let events = events.into_iter().map(compile).collect();
        Self { compiled, events }
    }

    /// Panics unless the event has a schema, fits it and says nothing that the schema does not name.
    pub fn check(&self, event: &PublicEvent) {
        let PublicEvent { event_type, data, .. } = event;
        let data = &data.value();
        let known = self.events.get(event_type).unwrap_or_else(|| panic!("{event_type} is unknown"));
        let (version, schema, index) = known;
        assert_eq!(event.schema_version, *version, "{event_type}");
        if let Err(error) = self.compiled.validate(data, *index) {
            panic!("{event_type}: {error:#} in {data}");
        }
        assert_eq!(undeclared(schema, data), None, "{event_type} says more than its schema: {data}");
    }
}

/// Compiles one schema of draft 7.
pub fn compile(schemas: &mut boon::Schemas, schema: &Value) -> SchemaIndex {
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V7);
    let url = format!("http://127.0.0.1/{}", schema["title"].as_str().unwrap_or("schema"));
    compiler.add_resource(&url, schema.clone()).unwrap_or_else(|error| panic!("{url}: {error}"));
    compiler.compile(&url, schemas).unwrap_or_else(|error| panic!("{url}: {error:#}"))
}

/// A member of the data that the schema does not declare.
fn undeclared(schema: &Value, data: &Value) -> Option<String> {
    match data {
        Value::Object(members) => {
            // A schema that names no properties takes any.
            let properties = schema.get("properties")?;
            members.iter().find_map(|(name, member)| match properties.get(name) {
                Some(declared) => undeclared(declared, member),
                None => Some(name.clone()),
            })
        }
        Value::Array(items) => items.iter().find_map(|item| undeclared(&schema["items"], item)),
        _ => None,
    }
}
