//! Lists over the state tables of one kind: by declared, indexed columns only, page by page.

use crate::entity::ColumnValue;
use crate::reference::Key;

/// The largest page.
pub const PAGE_MAX: u32 = 500;

/// What a list must contain, which says where it may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// All that has been acknowledged: it is read from the primary.
    #[default]
    Latest,
    /// All that has been acknowledged in the shard where this key lies; the list must lie there as a whole. The
    /// shard's owner knows its last durable row, and reads from a replica that has it, else from the primary.
    Own(Key),
    /// It may be as old as the setting for replicas says: it is read from one that is not further behind, else
    /// from the primary.
    Recent,
}

/// Which instances of a kind, in the order of their keys (bytes).
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// How much of what has happened it must show.
    pub freshness: Freshness,
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
        Self { freshness: Freshness::Latest, equals: Vec::new(), after: None, limit: 100 }
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

    /// With all that has been acknowledged in the shard of this key, where the whole list lies.
    #[must_use]
    pub fn own(mut self, key: &Key) -> Self {
        self.freshness = Freshness::Own(key.clone());
        self
    }

    /// It may be a moment old.
    #[must_use]
    pub fn recent(mut self) -> Self {
        self.freshness = Freshness::Recent;
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
