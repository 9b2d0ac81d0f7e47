//! How fast somebody may go on asking: a token bucket for each subject.
//!
//! A bucket is kept as one time, the generic cell rate algorithm's theoretical arrival time: when the bucket
//! would be full again. It says the same as a count of tokens and when it was taken, needs no refilling, and
//! an absent one is full.

use std::time::Duration;

use async_trait::async_trait;

/// How big a bucket is and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Names the policy, in keys, in headers and in metrics.
    pub name: &'static str,
    /// How many requests may come at once.
    pub burst: u32,
    /// How long one token takes to come back.
    pub interval: Duration,
}

impl Bucket {
    /// So many in a period, and so many at once; at least one of each.
    pub fn new(name: &'static str, per_period: u32, period: Duration, burst: u32) -> Self {
        Self { name, burst: burst.max(1), interval: (period / per_period.max(1)).max(Duration::from_micros(1)) }
    }

    /// How long an empty one takes to be full.
    pub fn window(&self) -> Duration {
        self.interval * self.burst
    }

    pub(crate) fn interval_us(&self) -> u64 {
        u64::try_from(self.interval.as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes a token at a time in microseconds from a bucket that would be full at another. Returns what came of
    /// it and when the bucket will be full now.
    pub(crate) fn take(&self, now_us: u64, full_at_us: u64) -> (Taken, u64) {
        let interval = self.interval_us();
        let room = interval.saturating_mul(u64::from(self.burst));
        let full_at = full_at_us.max(now_us);
        let wanted = full_at.saturating_add(interval);
        let ahead = wanted - now_us;
        if ahead > room {
            return (Taken::refused(ahead - room, full_at - now_us), full_at);
        }
        (Taken::allowed((room - ahead) / interval, ahead), wanted)
    }
}

/// What came of taking a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether there was one.
    pub allowed: bool,
    /// How many are left.
    pub remaining: u32,
    /// When the next one comes; zero if this one was taken.
    pub retry_after: Duration,
    /// When the bucket is full again.
    pub full_after: Duration,
}

impl Taken {
    pub(crate) fn allowed(remaining: u64, full_after_us: u64) -> Self {
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        let full_after = Duration::from_micros(full_after_us);
        Self { allowed: true, remaining, retry_after: Duration::ZERO, full_after }
    }

    pub(crate) fn refused(retry_after_us: u64, full_after_us: u64) -> Self {
        let (retry_after, full_after) = (Duration::from_micros(retry_after_us), Duration::from_micros(full_after_us));
        Self { allowed: false, remaining: 0, retry_after, full_after }
    }
}

/// Counts what somebody asks for.
#[async_trait]
pub trait RateLimits: std::fmt::Debug + Send + Sync {
    /// Takes a token from the bucket of a subject (a user, an address). Never fails: out of reach of the others,
    /// a gateway counts by itself.
    async fn take(&self, bucket: &Bucket, subject: &str) -> Taken;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let bucket = Bucket::new("test", 10, Duration::from_secs(1), 3);
        let (mut full_at, mut allowed) = (0, 0);
        let mut take = |now_us| {
            let (taken, next) = bucket.take(now_us, full_at);
            full_at = next;
            taken
        };
        let left: Vec<u32> = (0..3).map(|_| take(1_000_000).remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = take(1_000_000);
        assert_eq!((refused.allowed, refused.retry_after), (false, Duration::from_millis(100)));
        assert_eq!(refused.full_after, bucket.window());
        for now_us in (1_000_001..=2_000_000).step_by(1_000) {
            allowed += u32::from(take(now_us).allowed);
        }
        assert_eq!(allowed, 9, "ten a second, the last one a moment later");
        assert_eq!(take(10_000_000).remaining, 2, "never more than the burst");
    }

    #[test]
    fn extremes_do_not_overflow() {
        let bucket = Bucket::new("test", 0, Duration::from_secs(u64::MAX / 2_000_000), u32::MAX);
        assert!(bucket.take(u64::MAX / 2, 0).0.allowed);
        assert!(Bucket::new("test", u32::MAX, Duration::from_secs(1), 0).take(0, 0).0.allowed);
    }
}
