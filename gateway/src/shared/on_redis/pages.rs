//! Pages of all gateways. Out of reach of Redis there is no cache: this gateway would not hear of changes that
//! others make.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Link;
use crate::shared::{Found, PageKey, Pages, SharedSettings, Subject};

/// How much longer than a page a change of its subject is remembered: for longer than any request lasts that
/// began to read before it.
const VERSION_MARGIN: Duration = Duration::from_secs(120);
/// Larger pages are not kept, in bytes.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Between the version and the body.
const SEPARATOR: u8 = b'\n';

/// Pages of all gateways.
#[derive(Debug)]
pub struct PagesOnRedis {
    link: Arc<Link>,
    ttl: Duration,
}

impl PagesOnRedis {
    /// On this link.
    pub fn new(link: Arc<Link>, settings: &SharedSettings) -> Self {
        Self { link, ttl: settings.page_ttl }
    }

    /// Where the version of a thing or, without an id, of the list is.
    fn version_key(&self, subject: Subject, id: Option<&str>) -> String {
        let subject = subject.as_str();
        match id {
            Some(id) => self.link.key(format_args!("page:{{{subject}:one:{id}}}")),
            None => self.link.key(format_args!("page:{{{subject}:list}}")),
        }
    }

    /// Where the page is, and the version that it rests on: in one slot.
    fn keys(&self, key: &PageKey) -> (String, String) {
        let version_key = self.version_key(key.subject, key.id.as_deref());
        (format!("{version_key}:{}", key.part), version_key)
    }
}

#[async_trait]
impl Pages for PagesOnRedis {
    async fn get(&self, key: &PageKey) -> Found {
        if self.ttl.is_zero() {
            return Found::Closed;
        }
        let (page_key, version_key) = self.keys(key);
        let mut get = redis::cmd("MGET");
        get.arg(&page_key).arg(&version_key);
        let found: Result<(Option<Vec<u8>>, Option<String>), _> = self.link.run("get_page", &page_key, &get).await;
        let Ok((page, version)) = found else { return Found::Closed };
        let version = version.unwrap_or_default();
        let body = page.and_then(|page| {
            let end = page.iter().position(|byte| *byte == SEPARATOR)?;
            (page[..end] == *version.as_bytes()).then(|| Bytes::from(page).slice(end + 1..))
        });
        let changed_lately = !version.is_empty();
        body.map_or(Found::Nothing { version, changed_lately }, Found::Page)
    }

    async fn put(&self, key: &PageKey, version: String, body: Bytes) {
        if body.len() > PAGE_BYTES_MAX {
            return;
        }
        let (page_key, _) = self.keys(key);
        let mut page = version.into_bytes();
        page.push(SEPARATOR);
        page.extend_from_slice(&body);
        let mut set = redis::cmd("SET");
        set.arg(&page_key).arg(page).arg("PX").arg(self.ttl.as_millis().max(1) as u64);
        let _: Result<(), _> = self.link.run("put_page", &page_key, &set).await;
    }

    async fn invalidate(&self, subject: Subject, id: &str) {
        let ttl_ms = (self.ttl + VERSION_MARGIN).as_millis() as u64;
        let change = async |version_key: String| {
            let mut set = redis::cmd("SET");
            set.arg(&version_key).arg(format!("{:016x}", rand::random::<u64>())).arg("PX").arg(ttl_ms);
            let _: Result<(), _> = self.link.run("invalidate_page", &version_key, &set).await;
        };
        tokio::join!(change(self.version_key(subject, Some(id))), change(self.version_key(subject, None)));
    }
}
