//! What can be told about what gateways share.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::Secret;

/// What gateways share, and for how long it is relied on.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// Where it is kept. Without, each gateway keeps its own.
    pub redis: Option<RedisSettings>,
    /// How long a gateway relies on a session being open before it asks the user again. Default 5 s; 0 asks
    /// with every request.
    pub session_ttl: Duration,
    /// How long an access token is good for, which is as long as the end of its session is remembered. A gateway
    /// sets it to that of its own settings.
    pub access_token_lifetime: Duration,
    /// How long a page is served from the cache. Default 5 s; 0 caches none.
    pub page_ttl: Duration,
    /// How many bytes of pages a gateway keeps in memory. Default 32 MiB.
    pub pages_bytes_max: usize,
    /// A rider who has not been heard of for so long is nowhere. Default 120 s.
    pub position_ttl: Duration,
}

impl Default for SharedSettings {
    fn default() -> Self {
        Self {
            redis: None,
            session_ttl: Duration::from_secs(5),
            access_token_lifetime: Duration::from_secs(15 * 60),
            page_ttl: Duration::from_secs(5),
            pages_bytes_max: 32 * 1024 * 1024,
            position_ttl: Duration::from_secs(120),
        }
    }
}

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://HOST:PORT`, or `rediss://` for TLS, with user and password if wanted. One is a single server, more
    /// are members of one cluster.
    pub urls: Vec<Secret>,
    /// For addresses that have none.
    pub password: Option<Secret>,
    /// Certificates that sign the servers' (PEM). Default the machine's own store.
    pub tls_ca: Option<PathBuf>,
    /// How long one operation may take before the gateway goes on without. Default 50 ms.
    pub deadline: Duration,
    /// What every key begins with. Default `nakku`.
    pub prefix: String,
}

impl RedisSettings {
    /// Where the servers are, without secrets.
    pub fn location(&self) -> String {
        let host = |url: &Secret| {
            let rest = url.expose().split_once("://").map_or(url.expose(), |(_, rest)| rest);
            let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            rest.split(['/', '?']).next().unwrap_or_default().to_owned()
        };
        self.urls.iter().map(host).collect::<Vec<_>>().join(", ")
    }

    /// The defaults with these servers.
    pub fn new(urls: impl IntoIterator<Item = String>) -> Self {
        Self {
            urls: urls.into_iter().map(Secret::new).collect(),
            password: None,
            tls_ca: None,
            deadline: Duration::from_millis(50),
            prefix: "nakku".to_owned(),
        }
    }
}
