//! Reading through the cache that gateways share.

use nakku_cluster::Freshness;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::Problem;
use crate::shared::{Found, PageKey};

/// Longer queries come from nobody who shares them with others; in bytes.
const PART_BYTES_MAX: usize = 256;

/// A page from the cache, else read and put there. A problem is not kept. The reading is told whether it may be from
/// a replica: only while nothing has changed that a replica may not show yet, so that who has changed something sees
/// it, and nothing older is kept behind it.
pub(super) async fn cached<T: Serialize + DeserializeOwned>(
    edge: &Edge,
    key: PageKey,
    read: impl AsyncFnOnce(Freshness) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let found = if key.part.len() > PART_BYTES_MAX { Found::Closed } else { edge.shared.pages.get(&key).await };
    let count = |outcome: &str| METRICS.pages.with_label_values(&[key.subject.as_str(), outcome]).inc();
    match found {
        Found::Page(body) => {
            // What another version of the program put may not be readable here.
            if let Ok(page) = serde_json::from_slice(&body) {
                count("hit");
                return Ok(page);
            }
            count("closed");
            read(Freshness::Latest).await
        }
        Found::Nothing { version, changed_lately } => {
            count("miss");
            let page = read(if changed_lately { Freshness::Latest } else { Freshness::Recent }).await?;
            match serde_json::to_vec(&page) {
                Ok(body) => edge.shared.pages.put(&key, version, body.into()).await,
                Err(error) => tracing::warn!(%error, subject = key.subject.as_str(), "page not cached"),
            }
            Ok(page)
        }
        Found::Closed => {
            count("closed");
            read(Freshness::Latest).await
        }
    }
}
