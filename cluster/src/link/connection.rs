//! One connected link: its credits, its unanswered requests, and the peer's port once it is known.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ractor::ActorCell;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::credits::{Credits, Window};
use super::error::{LinkFailure, Refusal};
use super::inbound::Request;
use super::outbox::{self, Outbox, Outgoing};
use super::pending::{Ended, Pending};
use super::settings::LinkSettings;
use super::stream::Closer;
use super::wire::{OVERHEAD_BYTES, Ping, Raw, RequestHeader, Route, kind};
use crate::membership::NodeId;
use crate::metrics;

/// With at most so many requests unanswered in both directions, a message does not wait for company.
const LONELY: u32 = 2;

/// One connected link, from the hello to the end of its session.
pub struct Connection {
    /// Names it on this node; never used twice.
    pub number: u64,
    /// Names it in messages, on both nodes.
    pub link: u64,
    /// Who is on the other side.
    pub peer: NodeId,
    /// Ends it.
    pub closer: Closer,
    /// Our unanswered requests.
    pub credits: Credits,
    /// The peer's requests that we have not answered.
    pub serving: Credits,
    own_generation: u64,
    ready_within: Duration,
    pending: Pending,
    window: Window,
    outbox: Outbox,
    sending: OnceLock<AbortHandle>,
    port: RwLock<Option<ActorCell>>,
    port_known: Notify,
    started: Instant,
    round_trip_us: AtomicU64,
}

impl Connection {
    /// A link that both sides have agreed on.
    pub fn new(number: u64, link: u64, peer: NodeId, settings: &LinkSettings) -> Self {
        Self {
            number,
            link,
            peer,
            closer: Closer::default(),
            credits: Credits::new(settings.credits.messages, settings.credits.bytes),
            serving: Credits::new(settings.credits.messages, settings.credits.bytes),
            own_generation: settings.node.generation,
            ready_within: settings.connect_timeout,
            pending: Pending::new(),
            window: Window::new(settings.credits.bytes),
            outbox: Outbox::default(),
            sending: OnceLock::new(),
            port: RwLock::new(None),
            port_known: Notify::new(),
            started: Instant::now(),
            round_trip_us: AtomicU64::new(u64::MAX),
        }
    }

    /// Starts to send; ends with [`Connection::gone`].
    pub fn start(self: &Arc<Self>) {
        let sending = tokio::spawn(self.clone().keep_sending()).abort_handle();
        assert!(self.sending.set(sending).is_ok(), "a connection starts once");
    }

    /// The peer's port has become known, or has changed.
    pub fn port_found(&self, port: ActorCell) {
        *self.port.write().unwrap_or_else(PoisonError::into_inner) = Some(port);
        self.port_known.notify_waiters();
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// A [`LinkFailure`].
    pub async fn request(&self, request: Request, deadline: Duration) -> Result<Bytes, LinkFailure> {
        let header = RequestHeader {
            service: &request.service,
            epoch: request.epoch,
            from_generation: self.own_generation,
            to_generation: self.peer.generation,
            traceparent: request.traceparent.as_deref(),
            header: Raw(&request.header),
        };
        let variable_bytes = request.service.len() + request.header.len();
        let bytes = variable_bytes + request.body.len();
        self.ask(kind::REQUEST.into(), bytes, request.body, deadline, |route| {
            let mut metadata = route.start(OVERHEAD_BYTES + variable_bytes);
            header.write(&mut metadata);
            metadata
        })
        .await
    }

    /// Sends a message of any kind that is answered by its number.
    ///
    /// # Errors
    /// A [`LinkFailure`].
    pub async fn ask(
        &self,
        kind: Cow<'static, str>,
        bytes: usize,
        body: Bytes,
        deadline: Duration,
        metadata: impl FnOnce(Route) -> Vec<u8>,
    ) -> Result<Bytes, LinkFailure> {
        let bytes = (bytes + OVERHEAD_BYTES) as u64;
        self.credits
            .take(bytes)
            .map_err(|taken| LinkFailure::Overloaded { in_flight: taken.count, in_flight_bytes: taken.bytes })?;
        let Some((number, answer)) = self.pending.enter(bytes) else {
            return Err(LinkFailure::NotConnected);
        };
        let metadata = metadata(self.route(number));
        self.outbox.push(Outgoing { kind, metadata, body });
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(LinkFailure::OutcomeUnknown),
            Err(_) => Err(LinkFailure::TimedOut),
        }
    }

    /// An answer of any sort has come, or the request was never sent.
    pub fn ended(&self, number: u64, ended: Ended) {
        match self.pending.leave(number) {
            Some(waiting) => {
                // Before the caller goes on, which may be to ask again.
                self.credits.give_back(waiting.bytes);
                waiting.end(ended);
            }
            None => tracing::debug!(peer = %self.peer, number, "an answer came to no request"),
        }
    }

    /// Answers a request of the peer.
    pub async fn answer(&self, number: u64, answer: Bytes) {
        self.wait_for_port().await;
        let Some(ping_due) = self.window.send((answer.len() + OVERHEAD_BYTES) as u64) else {
            metrics::link_dropped("answer");
            tracing::warn!(peer = %self.peer, bytes = answer.len(), "the peer takes no answers; one is dropped");
            return self.lost(number);
        };
        self.send(kind::ANSWER, number, answer);
        if ping_due {
            self.ping();
        }
    }

    /// Tells the peer that its request was not executed. Refusals are small, and no more than its credits.
    pub async fn refuse(&self, number: u64, refusal: &Refusal) {
        self.wait_for_port().await;
        let json = serde_json::to_vec(refusal).expect("a refusal has string keys and serialises");
        self.send(kind::REFUSAL, number, json.into());
    }

    /// Tells the peer that there will be no answer to its request.
    pub fn lost(&self, number: u64) {
        self.send(kind::LOST, number, Bytes::new());
    }

    /// Sends a notice unless the peer lags; whether it was sent.
    pub fn notice(&self, notice: Bytes) -> bool {
        let Some(ping_due) = self.window.send((notice.len() + OVERHEAD_BYTES) as u64) else {
            metrics::link_dropped("notice");
            return false;
        };
        self.send(kind::NOTICE, 0, notice);
        if ping_due {
            self.ping();
        }
        true
    }

    /// Keeps the link up and measures it; nobody waits for its return.
    pub fn ping(&self) {
        self.send(kind::PING, 0, self.ping_body());
    }

    /// Sends a ping and waits for its return: all that was sent before has then arrived.
    ///
    /// # Errors
    /// A [`LinkFailure`].
    pub async fn round_trip(&self, deadline: Duration) -> Result<(), LinkFailure> {
        let pong = self.ask(kind::PING.into(), 0, self.ping_body(), deadline, |route| route.start(0)).await?;
        self.ponged(&pong);
        Ok(())
    }

    /// Returns a ping of the peer.
    pub fn pong(&self, number: u64, ping: Bytes) {
        self.send(kind::PONG, number, ping);
    }

    /// A ping came back.
    pub fn ponged(&self, pong: &[u8]) {
        let Ok(ping) = rmp_serde::from_slice::<Ping>(pong) else { return };
        self.round_trip_us.store(self.now_us().saturating_sub(ping.sent_at_us), Ordering::Relaxed);
        self.window.arrived(ping.bytes_before);
    }

    /// The newest measurement.
    pub fn last_round_trip(&self) -> Option<Duration> {
        let us = self.round_trip_us.load(Ordering::Relaxed);
        (us != u64::MAX).then(|| Duration::from_micros(us))
    }

    /// The session has ended: ends all requests, and returns how many there were.
    pub fn gone(&self) -> usize {
        if let Some(sending) = self.sending.get() {
            sending.abort();
        }
        *self.port.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.port_known.notify_waiters();
        self.pending.close()
    }

    fn send(&self, kind: &'static str, number: u64, body: Bytes) {
        let metadata = self.route(number).start(0);
        self.outbox.push(Outgoing { kind: kind.into(), metadata, body });
    }

    async fn keep_sending(self: Arc<Self>) {
        loop {
            self.outbox.filled().await;
            if self.credits.taken().count + self.serving.taken().count > LONELY {
                // Whoever is ready to send may do so first.
                tokio::task::yield_now().await;
            }
            for mut run in outbox::runs(self.outbox.take()) {
                let cast = outbox::pack(&mut run);
                let port = self.port.read().unwrap_or_else(PoisonError::into_inner);
                if port.as_ref().is_none_or(|port| port.send_serialized(cast).is_err()) {
                    drop(port);
                    self.not_sent(&run);
                }
            }
        }
    }

    /// The session is about to end. Its answers need not be sent any more: the peer's side ends its requests.
    fn not_sent(&self, run: &[Outgoing]) {
        let is_answer = |kind: &str| matches!(kind, kind::ANSWER | kind::REFUSAL | kind::LOST | kind::PONG);
        for message in run.iter().filter(|message| !is_answer(&message.kind)) {
            if let Some(Route { request: number @ 1.., .. }) = Route::of(&message.metadata) {
                self.ended(number, Err(LinkFailure::NotSent));
            }
        }
    }

    /// The peer may be ready, and ask, a moment before this side knows its port.
    async fn wait_for_port(&self) {
        let known = self.port_known.notified();
        if self.port.read().unwrap_or_else(PoisonError::into_inner).is_none() && self.closer.reason().is_none() {
            let _ = tokio::time::timeout(self.ready_within, known).await;
        }
    }

    fn route(&self, request: u64) -> Route {
        Route { link: self.link, request }
    }

    fn ping_body(&self) -> Bytes {
        let ping = Ping { sent_at_us: self.now_us(), bytes_before: self.window.sent() };
        rmp_serde::to_vec_named(&ping).expect("two numbers serialise").into()
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What a peer's refusal means to the caller.
impl From<Refusal> for LinkFailure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Overloaded { in_flight, in_flight_bytes } => Self::Overloaded { in_flight, in_flight_bytes },
            other => Self::Refused(other),
        }
    }
}

/// Keeps a request of the peer counted for as long as it is being answered.
pub struct Serving {
    connection: Arc<Connection>,
    bytes: u64,
}

impl Serving {
    /// Counts it in.
    ///
    /// # Errors
    /// The refusal to answer with when there is no room.
    pub fn admit(connection: &Arc<Connection>, bytes: u64) -> Result<Self, Refusal> {
        match connection.serving.take(bytes) {
            Ok(()) => Ok(Self { connection: connection.clone(), bytes }),
            Err(taken) => Err(Refusal::Overloaded { in_flight: taken.count, in_flight_bytes: taken.bytes }),
        }
    }

    /// The link that it came by.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.connection.serving.give_back(self.bytes);
    }
}
