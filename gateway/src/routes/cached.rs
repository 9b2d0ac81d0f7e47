//! Reading through the cache that gateways share.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::Problem;
use crate::shared::{Found, PageKey};

/// Longer queries come from nobody who shares them with others; in bytes.
const PART_BYTES_MAX: usize = 256;

/// A page from the cache, else read and put there. A problem is not kept.
pub(super) async fn cached<T: Serialize + DeserializeOwned>(
    edge: &Edge,
    key: PageKey,
    read: impl Future<Output = Result<T, Problem>>,
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
            read.await
        }
        Found::Nothing { version } => {
            count("miss");
            let page = read.await?;
            match serde_json::to_vec(&page) {
                Ok(body) => edge.shared.pages.put(&key, version, body.into()).await,
                Err(error) => tracing::warn!(%error, subject = key.subject.as_str(), "page not cached"),
            }
            Ok(page)
        }
        Found::Closed => {
            count("closed");
            read.await
        }
    }
}
