//! What the edge can be told, with its defaults. Parsing of files, variables and flags is done above.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

pub use crate::live::LiveSettings;
pub use crate::rate_limit::LimitSettings;
pub use crate::shared::{RedisSettings, SharedSettings};

/// The fewest bytes of a secret that signs tokens: the size of the hash (RFC 7518, 3.2).
pub const JWT_SECRET_BYTES_MIN: usize = 32;

/// Settings of the public listener.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where HTTP comes in. Default `0.0.0.0:8080`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Signs access tokens (HS256). The same on every gateway of a cluster, at least
    /// [`JWT_SECRET_BYTES_MIN`] bytes, no default.
    pub jwt_secret: Secret,
    /// How long an access token is good for. Default 15 minutes.
    pub access_token_lifetime: Duration,
    /// How long a refresh token is good for unless it is used. Default 30 days.
    pub refresh_token_lifetime: Duration,
    /// The largest request body, in bytes. Default 64 KiB.
    pub body_bytes_max: usize,
    /// How long a request may take in all, from its header to its answer. Default 10 s.
    pub request_timeout: Duration,
    /// How long the edge waits for one entity within a request, which is never more than half of the time that the
    /// request has left. Default 5 s.
    pub ask_timeout: Duration,
    /// How many requests may be in progress; one more is answered 503 at once. Default 1024.
    pub in_flight_max: usize,
    /// How many connections may be open; one more waits in the kernel's queue. Default 8192.
    pub connections_max: usize,
    /// How long a client may take to send the header of a request. An idle connection is closed after the
    /// same time. Default 60 s.
    pub header_timeout: Duration,
    /// How many passwords may be hashed at once; each takes a core and 19 MiB. Default 4.
    pub password_hashes_max: usize,
    /// How many requests may wait for a password to be hashed; one more is answered 503. Default 64.
    pub password_hashes_waiting_max: usize,
    /// When draining, how long new connections are still accepted so that load balancers notice that
    /// `/ready` says no. Default 2 s.
    pub drain_notice: Duration,
    /// Proxies whose `X-Forwarded-For` says whom a request comes from. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// How fast requests may come.
    pub limits: LimitSettings,
    /// What it shares with other gateways.
    pub shared: SharedSettings,
    /// What live connections may take.
    pub live: LiveSettings,
}

impl GatewaySettings {
    /// The defaults with a secret.
    pub fn new(jwt_secret: Secret) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080),
            jwt_secret,
            access_token_lifetime: Duration::from_secs(15 * 60),
            refresh_token_lifetime: Duration::from_secs(30 * 24 * 3600),
            body_bytes_max: 64 * 1024,
            request_timeout: Duration::from_secs(10),
            ask_timeout: Duration::from_secs(5),
            in_flight_max: 1024,
            connections_max: 8192,
            header_timeout: Duration::from_secs(60),
            password_hashes_max: 4,
            password_hashes_waiting_max: 64,
            drain_notice: Duration::from_secs(2),
            trusted_proxies: Vec::new(),
            limits: LimitSettings::default(),
            shared: SharedSettings::default(),
            live: LiveSettings::default(),
        }
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first setting that can't be right, and why.
    pub fn check(&self) -> Result<(), String> {
        let secret_bytes = self.jwt_secret.expose().len();
        if secret_bytes < JWT_SECRET_BYTES_MIN {
            return Err(format!("jwt_secret has {secret_bytes} bytes, at least {JWT_SECRET_BYTES_MIN} are needed"));
        }
        let counts = [
            ("body_bytes_max", self.body_bytes_max),
            ("in_flight_max", self.in_flight_max),
            ("connections_max", self.connections_max),
            ("password_hashes_max", self.password_hashes_max),
            ("password_hashes_waiting_max", self.password_hashes_waiting_max),
            ("live.connections_max", self.live.connections_max),
            ("live.queue_max", self.live.queue_max),
        ];
        let durations = [
            ("access_token_lifetime", self.access_token_lifetime),
            ("refresh_token_lifetime", self.refresh_token_lifetime),
            ("request_timeout", self.request_timeout),
            ("ask_timeout", self.ask_timeout),
            ("header_timeout", self.header_timeout),
            ("live.heartbeat", self.live.heartbeat),
        ];
        let zero = counts.iter().find(|(_, count)| *count == 0).map(|(name, _)| name);
        let zero = zero.or_else(|| durations.iter().find(|(_, time)| time.is_zero()).map(|(name, _)| name));
        zero.map_or(Ok(()), |name| Err(format!("{name} is 0, it must be more")))
    }
}

/// Settings of the admin listener.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where. Default `127.0.0.1:7947`.
    pub listen: SocketAddr,
    /// The bearer token that its requests must carry, at least 16 bytes, no default.
    pub token: Secret,
    /// Further names, `HOST` or `HOST:PORT`, under which its pages and routes may be asked for. Default none.
    pub hosts: Vec<String>,
    /// Whether a proxy ends TLS in front of it, without which it listens on loopback only. Default no.
    pub behind_tls: bool,
    /// Of webhooks; nothing, as by default, when there are none.
    pub webhooks: Option<WebhookSettings>,
}

impl AdminSettings {
    /// The defaults with a token.
    pub fn new(token: Secret) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7947),
            token,
            hosts: Vec::new(),
            behind_tls: false,
            webhooks: None,
        }
    }
}

/// What is allowed of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Whether its address may begin with `http://`. Default no.
    pub allow_plain_http: bool,
}

/// Settings of the listeners on which a node answers for each service that it runs.
#[derive(Clone, Debug)]
pub struct ServicePortSettings {
    /// The address that they all listen on. Default `0.0.0.0`.
    pub host: IpAddr,
    /// Service and port; port 0 takes a free one.
    pub ports: Vec<(String, u16)>,
}

impl ServicePortSettings {
    /// The default address with these services and ports.
    pub fn new(ports: Vec<(String, u16)>) -> Self {
        Self { host: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ports }
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
