//! Lists over the state tables of one kind: by declared, indexed columns only, page by page.

use crate::entity::ColumnValue;
use crate::reference::Key;

/// The largest page.
pub const PAGE_MAX: u32 = 500;

/// Which instances of a kind, in the order of their keys (bytes).
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Columns that must equal a value; each must be among the kind's declared columns.
    pub equals: Vec<(&'static str, ColumnValue)>,
    /// Only keys after this one.
    pub after: Option<Key>,
    /// At most so many, up to [`PAGE_MAX`].
    pub limit: u32,
}

impl Query {
    /// The first page of everything.
    pub fn new() -> Self {
        Self { equals: Vec::new(), after: None, limit: 100 }
    }

    /// Only those whose column has this text.
    #[must_use]
    pub fn text(mut self, column: &'static str, value: impl Into<String>) -> Self {
        self.equals.push((column, ColumnValue::Text(value.into())));
        self
    }

    /// Only those whose column has this number.
    #[must_use]
    pub fn integer(mut self, column: &'static str, value: i64) -> Self {
        self.equals.push((column, ColumnValue::Integer(value)));
        self
    }

    /// Goes on after a key.
    #[must_use]
    pub fn after(mut self, key: Option<Key>) -> Self {
        self.after = key;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit.clamp(1, PAGE_MAX);
        self
    }
}

/// One row of a list: an entity's head as it was last committed.
#[derive(Clone, Debug)]
pub struct Listed<H> {
    /// The instance.
    pub key: Key,
    /// Its version.
    pub entity_version: u64,
    /// Its head.
    pub head: H,
}
