//! Pages of one gateway. Of changes that other gateways make it hears by their events, else when a page's time is over.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::shared::pages::CHANGE_KNOWN;
use crate::shared::{Found, PageKey, Pages, SharedSettings, Subject};

/// What a page weighs besides its body and its key, in bytes, roughly.
const PAGE_OVERHEAD_BYTES: u64 = 200;
/// How many pages are expected; a hint for the cache's tables.
const PAGES_EXPECTED: usize = 4_096;
/// How many changed things are remembered; a page on one more may be served for its time.
const VERSIONS_MAX: usize = 50_000;

/// Pages of one gateway.
#[derive(Debug)]
pub struct PagesInProcess {
    ttl: Duration,
    pages: Cache<PageKey, Page, ByBytes>,
    /// Drawn anew with each change; a subject without one stands at the empty text. Under no id stands the list.
    versions: Cache<(Subject, Option<String>), Version>,
}

#[derive(Clone, Debug)]
struct Version {
    text: String,
    since: Instant,
}

#[derive(Clone, Debug)]
struct Page {
    body: Bytes,
    version: String,
    until: Instant,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<PageKey, Page> for ByBytes {
    fn weight(&self, key: &PageKey, page: &Page) -> u64 {
        let text = key.id.as_ref().map_or(0, String::len) + key.part.len();
        (text + page.body.len()) as u64 + PAGE_OVERHEAD_BYTES
    }
}

impl PagesInProcess {
    /// Keeps as much for as long as the settings say.
    pub fn new(settings: &SharedSettings) -> Self {
        let pages = Cache::with_weighter(PAGES_EXPECTED, settings.pages_bytes_max as u64, ByBytes);
        Self { ttl: settings.page_ttl, pages, versions: Cache::new(VERSIONS_MAX) }
    }

    fn version(&self, key: &PageKey) -> Option<Version> {
        self.versions.get(&(key.subject, key.id.clone()))
    }
}

#[async_trait]
impl Pages for PagesInProcess {
    async fn get(&self, key: &PageKey) -> Found {
        if self.ttl.is_zero() {
            return Found::Closed;
        }
        let known = self.version(key);
        let changed_lately = known.as_ref().is_some_and(|version| version.since.elapsed() < CHANGE_KNOWN);
        let version = known.map(|version| version.text).unwrap_or_default();
        match self.pages.get(key) {
            Some(page) if page.version == version && page.until > Instant::now() => Found::Page(page.body),
            _ => Found::Nothing { version, changed_lately },
        }
    }

    async fn put(&self, key: &PageKey, version: String, body: Bytes) {
        self.pages.insert(key.clone(), Page { body, version, until: Instant::now() + self.ttl });
    }

    async fn invalidate(&self, subject: Subject, id: &str) {
        for id in [Some(id.to_owned()), None] {
            let version = Version { text: format!("{:016x}", rand::random::<u64>()), since: Instant::now() };
            self.versions.insert((subject, id), version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(settings: SharedSettings) -> PagesInProcess {
        PagesInProcess::new(&settings)
    }

    async fn fill(pages: &PagesInProcess, key: &PageKey, body: &'static [u8]) {
        match pages.get(key).await {
            Found::Nothing { version, .. } => pages.put(key, version, Bytes::from_static(body)).await,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_change_makes_the_page_and_the_lists_stale_and_nothing_else() {
        let pages = pages(SharedSettings::default());
        let [one, other] = ["butter", "bread"].map(|sku| PageKey::of(Subject::Product, sku));
        let list = PageKey::list(Subject::Product, "category=dairy");
        let store = PageKey::of(Subject::Store, "butter");
        for key in [&one, &other, &list, &store] {
            fill(&pages, key, b"old").await;
            assert_eq!(pages.get(key).await, Found::Page(Bytes::from_static(b"old")));
        }
        pages.invalidate(Subject::Product, "butter").await;
        for key in [&one, &list] {
            fill(&pages, key, b"new").await;
            assert_eq!(pages.get(key).await, Found::Page(Bytes::from_static(b"new")));
        }
        for key in [&other, &store] {
            assert_eq!(pages.get(key).await, Found::Page(Bytes::from_static(b"old")));
        }
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_served_after_it() {
        let pages = pages(SharedSettings::default());
        let key = PageKey::of(Subject::Product, "butter");
        let Found::Nothing { version, changed_lately: false } = pages.get(&key).await else { panic!("it is empty") };
        pages.invalidate(Subject::Product, "butter").await;
        pages.put(&key, version, Bytes::from_static(b"old")).await;
        assert!(matches!(pages.get(&key).await, Found::Nothing { changed_lately: true, .. }));
    }

    #[tokio::test]
    async fn pages_end_and_memory_is_bounded() {
        let brief = pages(SharedSettings { page_ttl: Duration::from_millis(1), ..SharedSettings::default() });
        let key = PageKey::of(Subject::Store, "s-1");
        fill(&brief, &key, b"old").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(matches!(brief.get(&key).await, Found::Nothing { .. }));
        let off = pages(SharedSettings { page_ttl: Duration::ZERO, ..SharedSettings::default() });
        assert_eq!(off.get(&key).await, Found::Closed);

        let narrow = pages(SharedSettings { pages_bytes_max: 64 * 1024, ..SharedSettings::default() });
        for number in 0..1_000 {
            let key = PageKey::list(Subject::Product, number.to_string());
            narrow.put(&key, String::new(), Bytes::from(vec![0; 1_000])).await;
        }
        assert!(narrow.pages.weight() <= 64 * 1024, "{}", narrow.pages.weight());
        assert!(!narrow.pages.is_empty());
    }
}
