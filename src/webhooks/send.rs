//! Makes one attempt to deliver an event by HTTP.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nakku_actors::notification::webhook::sender::{Outcome, SENDER, SendAnswer, SendRequest};
use nakku_cluster::{Provider, ProviderError, Timestamp};
use reqwest::{Client, Response, Url, redirect};
use tokio::sync::Semaphore;

use super::address::{PublicOnly, Refused, is_public};
use super::signature;

/// The type of the body: a CloudEvent in structured mode.
const CONTENT_TYPE: &str = "application/cloudevents+json";
/// How long an endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the connection to it may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is left to the attempt itself beyond the endpoint's time.
const MARGIN: Duration = Duration::from_secs(5);
/// How much of an answer is read; it is of no interest, but an endpoint that is read from is not told that the
/// connection broke.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// Attempts of one node that are under way at the same time, so that slow endpoints leave the shop's own effects their
/// room.
const IN_FLIGHT_MAX: usize = 256;
/// How long a connection is kept for the next delivery.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Connections that are kept to one endpoint.
const IDLE_CONNECTIONS_MAX: usize = 4;
/// The longest reason in a log, in characters.
const REASON_MAX: usize = 300;

/// See the module.
#[derive(Debug)]
pub struct HttpSender {
    client: Client,
    allow_private: bool,
    permits: Semaphore,
}

impl HttpSender {
    /// `allow_private` is for trials only: it lets events go to any address, and in the clear.
    ///
    /// # Errors
    /// When there is no TLS on this machine.
    pub fn new(allow_private: bool) -> Result<Self, String> {
        let client = Client::builder()
            .user_agent(concat!("Nakku-Webhooks/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PublicOnly { allow_private }))
            .redirect(redirect::Policy::none())
            // A proxy of the environment would resolve names by itself.
            .no_proxy()
            .https_only(!allow_private)
            .referer(false)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build()
            .map_err(|error| format!("webhooks: {error}"))?;
        Ok(Self { client, allow_private, permits: Semaphore::new(IN_FLIGHT_MAX) })
    }

    /// One attempt.
    async fn send(&self, request: SendRequest) -> Outcome {
        match self.attempt(request).await {
            Ok(status) => Outcome::Answered { status },
            Err(reason) => Outcome::Unanswered { reason: reason.chars().take(REASON_MAX).collect() },
        }
    }

    async fn attempt(&self, request: SendRequest) -> Result<u16, String> {
        let url: Url = request.url.parse().map_err(|error| format!("no URL: {error}"))?;
        self.check_literal(&url).map_err(|refused| refused.to_string())?;
        let now = Timestamp::now();
        let previous = request.previous.filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        let keys: Vec<Vec<u8>> =
            [Some(request.secret), previous].into_iter().flatten().filter_map(|one| one.key()).collect();
        if keys.is_empty() {
            return Err("the webhook has no secret to sign with".into());
        }
        let seconds = now.0.div_euclid(1000);
        let signature = signature::header(&keys, &request.event_id, seconds, request.body.as_bytes());
        let sent = self
            .client
            .post(url)
            .header("content-type", CONTENT_TYPE)
            .header("webhook-id", request.event_id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(request.body)
            .send();
        let response = sent.await.map_err(|error| told(&error))?;
        let status = response.status().as_u16();
        read_some(response).await;
        Ok(status)
    }

    /// An address that is written out is not resolved, so it is judged here.
    fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        match literal {
            Some(address) if !self.allow_private && !is_public(address) => Err(Refused(address)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for HttpSender {
    fn name(&self) -> &'static str {
        SENDER
    }

    fn deadline(&self) -> Duration {
        TIMEOUT + MARGIN
    }

    async fn call(&self, _: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let unavailable = |cause: String| ProviderError::Unavailable { provider: SENDER, cause };
        let request: SendRequest = serde_json::from_slice(request).map_err(|error| unavailable(error.to_string()))?;
        let busy = |_| unavailable(format!("{IN_FLIGHT_MAX} attempts are under way"));
        let _permit = self.permits.try_acquire().map_err(busy)?;
        let began = Instant::now();
        let outcome = self.send(request).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        serde_json::to_vec(&SendAnswer { outcome, took_ms }).map_err(|error| unavailable(error.to_string()))
    }
}

/// Reads the beginning of the answer and lets go of the rest.
async fn read_some(mut response: Response) {
    let mut read = 0;
    while read < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => break,
        }
    }
}

/// Why there was no answer, without the address, which may hold what is none of a log's business.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "there was no answer in time".into();
    }
    // The innermost cause says what happened; those around it only where.
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    if innermost.is::<reqwest::Error>() {
        return "the request could not be made".into();
    }
    format!("no connection: {innermost}")
}
