//! JSON that is written once and handed on as it is.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as Read, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON document as text. Nothing of it is looked at when it is read or written as part of another one.
#[derive(Clone, Debug, Serialize, Read)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl Written {
    /// Of anything that serialises.
    ///
    /// # Panics
    /// When it has a map with keys that are no texts: a mistake of the program.
    pub fn new(data: &impl Serialize) -> Self {
        Self(serde_json::value::to_raw_value(data).expect("public events have string keys and serialise"))
    }

    /// What is written. A document that [`is_readable`](Self::is_readable) denies comes as its text.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|_| Value::String(self.text().to_owned()))
    }

    /// The document.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Whether it can be read at all: a document may be well-formed and yet have numbers that fit nothing, or be
    /// nested too deeply.
    pub(crate) fn is_readable(&self) -> Result<(), serde_json::Error> {
        serde_json::from_str::<Looked>(self.text()).map(|Looked| ())
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl PartialEq<Value> for Written {
    fn eq(&self, other: &Value) -> bool {
        self.value() == *other
    }
}

/// Everything, seen as a [`Value`] would see it, and not kept.
struct Looked;

impl<'de> Deserialize<'de> for Looked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Looked)
    }
}

impl<'de> Visitor<'de> for Looked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Looked>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<IgnoredAny, Looked>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_handed_on_as_it_was_written() {
        let written = Written::new(&json!({ "b": [1, "zwei", null], "a": 1.5 }));
        assert_eq!(written, json!({ "b": [1, "zwei", null], "a": 1.5 }));
        assert!(written.is_readable().is_ok());
        let read: Written = serde_json::from_str(r#"{ "b":  1 }"#).unwrap();
        assert_eq!(serde_json::to_string(&vec![read]).unwrap(), r#"[{ "b":  1 }]"#);
    }

    #[test]
    fn what_no_value_can_hold_is_seen_before_anybody_reads_it() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for unreadable in ["1e999", r#"{"a":[-1e999]}"#, &deep] {
            let read: Written = serde_json::from_str(unreadable).unwrap();
            assert!(read.is_readable().is_err(), "{unreadable}");
            assert_eq!(read.value(), Value::String(unreadable.into()));
        }
    }
}
