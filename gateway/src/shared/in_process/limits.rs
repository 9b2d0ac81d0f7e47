//! Token buckets of one gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use quick_cache::sync::Cache;

use crate::shared::{Bucket, RateLimits, Taken};

/// How many subjects are counted; one more may be given a full bucket again.
const SUBJECTS_MAX: usize = 100_000;

/// Token buckets of one gateway.
#[derive(Debug)]
pub struct LimitsInProcess {
    begun: Instant,
    /// When each bucket will be full, in microseconds since `begun`.
    full_at: Cache<(&'static str, Arc<str>), Arc<AtomicU64>>,
}

impl Default for LimitsInProcess {
    fn default() -> Self {
        Self { begun: Instant::now(), full_at: Cache::new(SUBJECTS_MAX) }
    }
}

#[async_trait]
impl RateLimits for LimitsInProcess {
    async fn take(&self, bucket: &Bucket, subject: &str) -> Taken {
        let key = (bucket.name, Arc::from(subject));
        let full = || Ok::<_, std::convert::Infallible>(Arc::new(AtomicU64::new(0)));
        let Ok(full_at) = self.full_at.get_or_insert_with(&key, full);
        let mut known = full_at.load(Ordering::Acquire);
        loop {
            let now_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let (taken, next) = bucket.take(now_us, known);
            if !taken.allowed {
                return taken;
            }
            match full_at.compare_exchange_weak(known, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return taken,
                Err(changed) => known = changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn exactly_the_burst_is_let_in_at_once() {
        let limits = Arc::new(LimitsInProcess::default());
        let bucket = Bucket::new("test", 1, Duration::from_secs(3600), 25);
        let one = |subject: &'static str| {
            let limits = limits.clone();
            tokio::spawn(async move { limits.take(&bucket, subject).await.allowed })
        };
        let asked: Vec<_> = (0..200).map(|_| one("u-1")).collect();
        let mut allowed = 0;
        for answer in asked {
            allowed += u32::from(answer.await.unwrap());
        }
        assert_eq!(allowed, 25);
        assert!(one("u-2").await.unwrap(), "others have buckets of their own");
    }
}
