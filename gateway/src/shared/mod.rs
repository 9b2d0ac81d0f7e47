//! What several gateways share, each behind a small trait with two implementations: in this process, and on
//! Redis.
//!
//! None of it is a source of truth. Without Redis, or while it is away, limits count for each gateway, whether
//! a session is open is asked of its user, pages are read from where they come, and positions are asked of
//! whoever keeps them: no request fails for it.
//!
//! - [`limits`]: how fast somebody may go on asking
//! - [`sessions`]: which sessions are known to be open or ended
//! - [`pages`]: answers that many ask for
//! - [`positions`]: where riders are
//! - [`in_process`]: all four within one gateway
//! - [`on_redis`]: all four on Redis, or on a cluster of them
//! - [`settings`]: what can be told

pub mod in_process;
pub mod limits;
pub mod on_redis;
pub mod pages;
pub mod positions;
pub mod sessions;
pub mod settings;

use std::sync::Arc;

pub use self::limits::{Bucket, RateLimits, Taken};
pub use self::pages::{Found, PageKey, Pages, Subject};
pub use self::positions::{Nearby, Position, Positions};
pub use self::sessions::{Mark, Sessions, Standing};
pub use self::settings::{RedisSettings, SharedSettings};

/// What is shared is out of reach. Whoever asked goes to the source of truth, or on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what gateways share is away")]
pub struct Away;

/// Everything that gateways share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// How fast somebody may go on asking.
    pub limits: Arc<dyn RateLimits>,
    /// Which sessions are known to be open or ended.
    pub sessions: Arc<dyn Sessions>,
    /// Answers that many ask for.
    pub pages: Arc<dyn Pages>,
    /// Where riders are.
    pub positions: Arc<dyn Positions>,
    redis: Option<Arc<on_redis::Link>>,
}

impl Shared {
    /// As the settings say. Redis may be away: it is waited for for a moment, then looked for in the background.
    ///
    /// # Errors
    /// When a setting can't be right.
    pub async fn start(settings: &SharedSettings) -> Result<Self, String> {
        let Some(redis) = &settings.redis else { return Ok(Self::in_process(settings)) };
        let link = on_redis::Link::start(redis).await?;
        Ok(Self {
            limits: Arc::new(on_redis::LimitsOnRedis::new(link.clone())),
            sessions: Arc::new(on_redis::SessionsOnRedis::new(link.clone(), settings)),
            pages: Arc::new(on_redis::PagesOnRedis::new(link.clone(), settings)),
            positions: Arc::new(on_redis::PositionsOnRedis::new(link.clone(), settings)),
            redis: Some(link),
        })
    }

    /// Shared with nobody.
    pub fn in_process(settings: &SharedSettings) -> Self {
        Self {
            limits: Arc::new(in_process::LimitsInProcess::default()),
            sessions: Arc::new(in_process::SessionsInProcess::new(settings)),
            pages: Arc::new(in_process::PagesInProcess::new(settings)),
            positions: Arc::new(in_process::PositionsInProcess::new(settings)),
            redis: None,
        }
    }

    /// How Redis is, where there is one.
    pub fn redis(&self) -> Option<on_redis::LinkStatus> {
        self.redis.as_ref().map(|link| link.status())
    }
}
