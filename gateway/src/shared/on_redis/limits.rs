//! Token buckets of all gateways. Out of reach of Redis each gateway counts by itself.

use std::sync::Arc;

use async_trait::async_trait;

use super::Link;
use super::script::Script;
use crate::shared::in_process::LimitsInProcess;
use crate::shared::{Bucket, RateLimits, Taken};

/// Token buckets of all gateways.
#[derive(Debug)]
pub struct LimitsOnRedis {
    link: Arc<Link>,
    take: Script,
    alone: LimitsInProcess,
}

impl LimitsOnRedis {
    /// On this link.
    pub fn new(link: Arc<Link>) -> Self {
        Self { link, take: Script::new(include_str!("take.lua")), alone: LimitsInProcess::default() }
    }
}

#[async_trait]
impl RateLimits for LimitsOnRedis {
    async fn take(&self, bucket: &Bucket, subject: &str) -> Taken {
        let key = self.link.key(format_args!("limit:{}:{subject}", bucket.name));
        let arguments = [bucket.interval_us().to_string(), bucket.burst.to_string()];
        let [interval, burst] = &arguments;
        let taken = self.link.script("take_token", &self.take, &[&key], &[interval, burst]).await;
        match taken {
            Ok((1_u8, remaining, _, full_after_us)) => Taken::allowed(remaining, full_after_us),
            Ok((_, _, retry_after_us, full_after_us)) => Taken::refused(retry_after_us, full_after_us),
            Err(_) => self.alone.take(bucket, subject).await,
        }
    }
}
