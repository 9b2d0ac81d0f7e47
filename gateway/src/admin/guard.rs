//! Who is let in to the admin listener, and from where: the admin token, or a session's cookie with the proof that
//! the request comes from the console's own page. Whatever isn't named here is closed.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nakku_cluster::Cluster;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::console;
use super::session::{self, Operator, Sessions};
use crate::auth::{Passwords, bearer};
use crate::problem::{Code, Problem};
use crate::settings::AdminSettings;
use crate::shared::Bucket;
use crate::shared::in_process::LimitsInProcess;

/// Admins log in rarely, and wait for each other.
const HASHES_MAX: usize = 1;
const HASHES_WAITING_MAX: usize = 8;
/// Log-ins that one address may try at once, and a minute.
const LOG_INS_MAX: u32 = 10;

/// What decides who is let in.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) cluster: Cluster,
    pub(crate) passwords: Passwords,
    pub(crate) sessions: Sessions,
    pub(crate) limits: LimitsInProcess,
    pub(crate) log_ins: Bucket,
    token: [u8; 32],
    hosts: Vec<Authority>,
    behind_tls: bool,
    /// Known once it listens.
    listens: OnceLock<SocketAddr>,
}

/// A host and its port, as in `Host` and in URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    /// In lower case, an IPv6 address without brackets.
    host: String,
    port: Option<u16>,
}

impl Guard {
    pub(crate) fn new(cluster: Cluster, settings: &AdminSettings) -> Self {
        Self {
            cluster,
            passwords: Passwords::new(HASHES_MAX, HASHES_WAITING_MAX),
            sessions: Sessions::default(),
            limits: LimitsInProcess::default(),
            log_ins: Bucket::new("admin-log-in", LOG_INS_MAX, Duration::from_secs(60), LOG_INS_MAX),
            token: Sha256::digest(settings.token.expose()).into(),
            hosts: settings.hosts.iter().filter_map(|text| Authority::parse(text)).collect(),
            behind_tls: settings.behind_tls,
            listens: OnceLock::new(),
        }
    }

    /// To be called when the address is known.
    pub(crate) fn listens(&self, address: SocketAddr) {
        let _ = self.listens.set(address);
    }

    /// Compares digests, so that the time of a comparison tells nothing about the token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        <[u8; 32]>::from(Sha256::digest(given)) == self.token
    }

    /// Whether the browser speaks TLS, as far as is known here.
    pub(crate) fn is_secure(&self, headers: &HeaderMap) -> bool {
        let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        self.behind_tls || forwarded.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
    }

    /// Who sent the request.
    pub(crate) async fn operator(&self, method: &Method, headers: &HeaderMap) -> Result<Operator, Problem> {
        if headers.contains_key(AUTHORIZATION) {
            let token = bearer(headers)?;
            if self.is_token(token) {
                return Ok(Operator::token());
            }
            return Err(if is_of_a_user(token) {
                Problem::new(Code::Forbidden, "a user's token opens nothing here, whatever their roles; log in instead")
            } else {
                Problem::new(Code::TokenInvalid, "this is not the admin token")
            });
        }
        let missing = || Problem::new(Code::TokenMissing, "the header Authorization: Bearer is missing, and a session");
        let session = self.sessions.of(&self.cluster, headers).await?.ok_or_else(missing)?;
        let changes = !matches!(*method, Method::GET | Method::HEAD);
        if changes && !session.is_shown_by(headers) {
            let detail = format!("the header {} is missing or not that of the session", session::CSRF_HEADER);
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(session.operator)
    }

    /// Refuses what a page of another site had its browser send: under a foreign name that points here, or openly.
    fn check_origin(&self, request: &Request) -> Result<(), Problem> {
        let refused = |detail: String| Problem::new(Code::Forbidden, detail);
        let host = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or_else(|| request.headers().get(HOST).and_then(|value| value.to_str().ok()));
        let host = host.and_then(Authority::parse);
        let Some(host) = host.filter(|host| self.is_own(host)) else {
            return Err(refused(
                "the name in the header Host is none of this listener; admin.hosts can name it".into(),
            ));
        };
        let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let same = origin.and_then(|(scheme, rest)| {
            let default = if scheme == "https" { 443 } else { 80 };
            let origin = Authority::parse(rest)?;
            let same = origin.host == host.host && origin.port.unwrap_or(default) == host.port.unwrap_or(default);
            same.then_some(())
        });
        same.ok_or_else(|| refused("the request comes from a page of another origin".into()))
    }

    fn is_own(&self, asked: &Authority) -> bool {
        let named = |entry: &Authority| entry.host == asked.host && (entry.port.is_none() || entry.port == asked.port);
        if self.hosts.iter().any(named) {
            return true;
        }
        let Some(listens) = self.listens.get() else { return false };
        if asked.port.unwrap_or(80) != listens.port() {
            return false;
        }
        // An address can't be made to point elsewhere; only names can.
        let own = |address: IpAddr| {
            address.is_loopback() || listens.ip().is_unspecified() || address == listens.ip().to_canonical()
        };
        asked.host == "localhost" || asked.host.parse::<IpAddr>().is_ok_and(|address| own(address.to_canonical()))
    }
}

impl Authority {
    /// `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (host, rest) = match text.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':')?.parse().ok()?),
        };
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        (!host.is_empty() && host.bytes().all(sound)).then(|| Self { host: host.to_ascii_lowercase(), port })
    }
}

/// Lets a request pass with its [`Operator`], or refuses it.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let answer = async {
        guard.check_origin(&request)?;
        if !is_open(&request) {
            // The body can't be lent to another thread, so the request isn't either.
            let (method, headers) = (request.method().clone(), request.headers().clone());
            let operator = guard.operator(&method, &headers).await?;
            request.extensions_mut().insert(operator);
        }
        Ok::<_, Problem>(next.run(request).await)
    };
    let mut answer = answer.await.into_response();
    let headers = answer.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Whether it has the form of the tokens that users have; nothing is checked of it.
fn is_of_a_user(token: &str) -> bool {
    let mut parts = token.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let head = parts.next().flatten().and_then(|head| serde_json::from_slice::<Value>(&head).ok());
    parts.filter(Option::is_some).count() == 2 && head.is_some_and(|head| head["alg"].is_string())
}

/// The console's files hold nothing of the cluster, who logs in is not known yet, and whether somebody has is no error.
fn is_open(request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    (reads && console::holds(request.uri().path()))
        || ((reads || request.method() == Method::POST) && request.uri().path() == session::PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_as_in_urls() {
        let parse = |text| Authority::parse(text).map(|Authority { host, port }| (host, port));
        assert_eq!(parse("Admin.Example:8443"), Some(("admin.example".into(), Some(8443))));
        assert_eq!(parse("localhost"), Some(("localhost".into(), None)));
        assert_eq!(parse("[::1]:7947"), Some(("::1".into(), Some(7947))));
        assert_eq!(parse("127.0.0.1:7947"), Some(("127.0.0.1".into(), Some(7947))));
        for wrong in ["", ":80", "a:b", "a:99999", "[::1", "[::1]x", "a/b", "user@host"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
