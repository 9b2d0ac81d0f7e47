//! How fast a user and an address may send requests. One more is answered 429 with `Retry-After`; every answer
//! says where the limits stand, in the fields of the IETF's draft "RateLimit header fields for HTTP".

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::bearer;
use crate::client_address::{client_address, client_network};
use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem};
use crate::server::Peer;
use crate::shared::{Bucket, Taken};

/// What the limits are.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Where they stand.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Routes on which passwords are tried and users made.
const LOG_IN_ROUTES: [&str; 2] = ["/auth/login", "/auth/register"];

/// How many requests are allowed.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Whether there are any limits. Default true.
    pub enabled: bool,
    /// Requests a second of one user. Default 50.
    pub per_user_per_s: u32,
    /// How many of them at once. Default 200.
    pub per_user_burst: u32,
    /// Requests a second from one address. Default 200.
    pub per_address_per_s: u32,
    /// How many of them at once. Default 1000.
    pub per_address_burst: u32,
    /// Log-ins and registrations a minute from one address. Default 120.
    pub log_ins_per_address_per_min: u32,
    /// How many of them at once. Default 60.
    pub log_ins_per_address_burst: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            per_user_per_s: 50,
            per_user_burst: 200,
            per_address_per_s: 200,
            per_address_burst: 1_000,
            log_ins_per_address_per_min: 120,
            log_ins_per_address_burst: 60,
        }
    }
}

/// The buckets that the settings describe.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    user: Bucket,
    address: Bucket,
    log_in: Bucket,
}

impl Limits {
    /// From settings; none when they are off.
    pub fn new(settings: &LimitSettings) -> Option<Self> {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_secs(60);
        let LimitSettings { per_user_per_s, per_user_burst, per_address_per_s, per_address_burst, .. } = *settings;
        settings.enabled.then(|| Self {
            user: Bucket::new("user", per_user_per_s, SECOND, per_user_burst),
            address: Bucket::new("address", per_address_per_s, SECOND, per_address_burst),
            log_in: Bucket::new(
                "log-in",
                settings.log_ins_per_address_per_min,
                MINUTE,
                settings.log_ins_per_address_burst,
            ),
        })
    }
}

/// Lets a request through, or answers 429.
pub async fn limit(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let Some(limits) = &edge.limits else { return next.run(request).await };
    let asked = asked_of(&edge, limits, &request);
    let takes = asked.iter().map(|(bucket, subject)| edge.shared.limits.take(bucket, subject));
    let taken = futures::future::join_all(takes).await;
    let outcome: Vec<(Bucket, Taken)> = asked.iter().map(|(bucket, _)| *bucket).zip(taken).collect();
    let refused = outcome.iter().filter(|(_, taken)| !taken.allowed).max_by_key(|(_, taken)| taken.retry_after);
    let mut response = match refused {
        Some((bucket, taken)) => {
            METRICS.rate_limited.with_label_values(&[bucket.name]).inc();
            Problem::new(Code::RateLimited, format!("more requests than the limit {:?} allows", bucket.name))
                .member("policy", bucket.name)
                .retry_after(taken.retry_after)
                .into_response()
        }
        None => next.run(request).await,
    };
    let (policy, state) = fields(&outcome);
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// From which buckets a request takes, and as whom.
fn asked_of(edge: &Edge, limits: &Limits, request: &Request) -> Vec<(Bucket, String)> {
    let mut asked = Vec::with_capacity(3);
    // Only a token that is signed names a user, so nobody can use up another's limit.
    if let Some(claims) = bearer(request.headers()).ok().and_then(|token| edge.tokens.check(token).ok()) {
        asked.push((limits.user, claims.sub.to_string()));
    }
    if let Some(Peer(peer)) = request.extensions().get::<Peer>() {
        let client = client_network(client_address(*peer, request.headers(), &edge.settings.trusted_proxies));
        if LOG_IN_ROUTES.contains(&request.uri().path().trim_start_matches("/api/v1")) {
            asked.push((limits.log_in, client.clone()));
        }
        asked.push((limits.address, client));
    }
    asked
}

/// `RateLimit-Policy` and `RateLimit`: quota and window, what is left and when all of it is back, in seconds.
fn fields(outcome: &[(Bucket, Taken)]) -> (String, String) {
    let seconds = |duration: Duration| duration.as_millis().div_ceil(1000);
    let (mut policy, mut state) = (String::new(), String::new());
    for (bucket, taken) in outcome {
        let comma = if policy.is_empty() { "" } else { ", " };
        let Bucket { name, burst, .. } = bucket;
        let _ = write!(policy, "{comma}\"{name}\";q={burst};w={}", seconds(bucket.window()));
        let _ = write!(state, "{comma}\"{name}\";r={};t={}", taken.remaining, seconds(taken.full_after));
    }
    (policy, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_structured_as_the_draft_has_them() {
        let limits = Limits::new(&LimitSettings::default()).unwrap();
        let (taken, _) = limits.user.take(0, 0);
        let (policy, state) = fields(&[(limits.user, taken), (limits.address, limits.address.take(0, 0).0)]);
        assert_eq!(policy, r#""user";q=200;w=4, "address";q=1000;w=5"#);
        assert_eq!(state, r#""user";r=199;t=1, "address";r=999;t=1"#);
        assert!(Limits::new(&LimitSettings { enabled: false, ..LimitSettings::default() }).is_none());
    }
}
