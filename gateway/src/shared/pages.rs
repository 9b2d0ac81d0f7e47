//! Answers that many ask for and that change seldom. Nothing personal belongs here, and no price that is
//! charged comes from here.
//!
//! Each page rests on one subject. A change of the subject makes every page on it stale at once, also those
//! that are being read at that moment: what is put carries the version of the subject that was seen before
//! the reading began.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// What pages are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The catalogue.
    Product,
    /// The stores.
    Store,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Product, Self::Store];

    /// As written in keys and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Store => "store",
        }
    }
}

/// Names a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// What it is about.
    pub subject: Subject,
    /// Which one; nothing for a list, which rests on all of them.
    pub id: Option<String>,
    /// Tells the pages on the same subject apart.
    pub part: String,
}

impl PageKey {
    /// A page on one thing.
    pub fn of(subject: Subject, id: impl Into<String>) -> Self {
        Self { subject, id: Some(id.into()), part: String::new() }
    }

    /// A page of a list.
    pub fn list(subject: Subject, part: impl Into<String>) -> Self {
        Self { subject, id: None, part: part.into() }
    }
}

/// A change is known for at least so long. No replica may be further behind.
pub const CHANGE_KNOWN: Duration = Duration::from_secs(60);

/// What a look for a page found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The page.
    Page(Bytes),
    /// None: it is to be read, and put under this version of its subject.
    Nothing {
        /// Empty if nothing has changed of late.
        version: String,
        /// Whether it has changed within the last minute, here or as far as is known elsewhere: a replica may not
        /// show it yet.
        changed_lately: bool,
    },
    /// The cache is out of reach or off: the page is to be read and not put.
    Closed,
}

/// Keeps pages for a short time.
#[async_trait]
pub trait Pages: std::fmt::Debug + Send + Sync {
    /// Looks for a page.
    async fn get(&self, key: &PageKey) -> Found;

    /// Puts a page that was read after its subject had this version.
    async fn put(&self, key: &PageKey, version: String, body: Bytes);

    /// Makes every page on a thing stale, and every list of its kind. To be called once the change is committed.
    async fn invalidate(&self, subject: Subject, id: &str);
}
