//! One WebSocket: an actix actor on an arbiter. It reads what the client sends, keeps its subscriptions, and
//! queues what they tell; a task of its own writes the queue to the socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, StreamHandler, WrapFuture};
use axum::Error;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::protocol::{MESSAGE_BYTES_MAX, Request, Told, close};
use super::subscription::{Gone, Listener, Subscription};
use super::token::{Shown, authenticate};
use super::updates::{Connected, SILENCES_MAX};
use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem};

/// How long a client may take to show its token.
const TOKEN_PATIENCE: Duration = Duration::from_secs(5);
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_MAX: usize = 16;
/// Messages of a client between two heartbeats.
const MESSAGES_MAX: u32 = 120;
/// Messages of subscriptions that may wait for the actor; further ones wait where they come from.
const MAILBOX_MAX: usize = 32;
/// How long a client may take to read that it is dropped.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may take to close its side.
const GOODBYE: Duration = Duration::from_secs(1);

/// See the module.
pub struct Session {
    edge: Arc<Edge>,
    /// Where subscriptions are served: not on the arbiter's thread.
    runtime: Handle,
    socket: Option<WebSocket>,
    shown: Option<Shown>,
    /// Looks after the token.
    watching: Option<AbortHandle>,
    subscriptions: HashMap<Subscription, Served>,
    next_serial: u64,
    /// Nothing once it is being closed.
    outgoing: Option<Outgoing>,
    heard_at: Instant,
    messages: u32,
    _connected: Connected,
}

struct Served {
    serial: u64,
    task: AbortHandle,
}

struct Outgoing {
    queue: mpsc::Sender<Message>,
    closing: oneshot::Sender<CloseFrame>,
}

impl Session {
    /// Creates the actor on this thread.
    pub fn start(socket: WebSocket, edge: Arc<Edge>, runtime: Handle, connected: Connected, shown: Option<Shown>) {
        Self::create(|context| {
            context.set_mailbox_capacity(MAILBOX_MAX);
            Self {
                edge,
                runtime,
                socket: Some(socket),
                shown,
                watching: None,
                subscriptions: HashMap::new(),
                next_serial: 0,
                outgoing: None,
                heard_at: Instant::now(),
                messages: 0,
                _connected: connected,
            }
        });
    }

    fn request(&mut self, text: &str, context: &mut Context<Self>) {
        match Request::read(text) {
            Ok(Request::Token(token)) => self.token(token, context),
            Ok(_) if self.shown.is_none() => self.refuse_token(Code::TokenMissing, context),
            Ok(Request::Subscribe(subscription, cursor)) => {
                let Some(Shown { caller, .. }) = &self.shown else { return };
                let user = caller.user().clone();
                let admitted = subscription.admit(caller);
                let known = self.subscriptions.contains_key(&subscription);
                if let Err(problem) = admitted {
                    return self.send(Told::ended(&subscription, problem), context);
                }
                if !known && self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
                    let problem = Problem::new(Code::LimitReached, "too many subscriptions on one connection");
                    return self.send(Told::ended(&subscription, problem.member("limit", SUBSCRIPTIONS_MAX)), context);
                }
                self.unsubscribe(&subscription);
                self.next_serial += 1;
                let serial = self.next_serial;
                let listener = Listening { session: context.address(), of: subscription.clone(), serial };
                let serving = subscription.clone().serve(self.edge.clone(), user, cursor, listener);
                let task = self.runtime.spawn(serving).abort_handle();
                self.subscriptions.insert(subscription, Served { serial, task });
            }
            Ok(Request::Unsubscribe(subscription)) => self.unsubscribe(&subscription),
            Err(problem) => self.send(Told::problem(problem), context),
        }
    }

    fn unsubscribe(&mut self, subscription: &Subscription) {
        if let Some(served) = self.subscriptions.remove(subscription) {
            served.task.abort();
        }
    }

    fn token(&mut self, token: String, context: &mut Context<Self>) {
        let edge = self.edge.clone();
        let runtime = self.runtime.clone();
        let checked = async move {
            // Where the cluster can be asked.
            let checking = runtime.spawn(async move { authenticate(&edge, token).await });
            checking.await.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "the token could not be checked")))
        };
        // Nothing else is read until it is known who is asking.
        context.wait(checked.into_actor(self).map(|checked, session, context| match checked {
            Ok(shown) if session.shown.as_ref().is_none_or(|before| before.caller.user() == shown.caller.user()) => {
                session.shown = Some(shown);
                session.watch_token(context);
            }
            Ok(_) => session.refuse_token(Code::TokenInvalid, context),
            Err(problem) => session.refuse_token(problem.code, context),
        }));
    }

    /// Closes the connection when the token no longer counts, unless there is a newer one by then.
    fn watch_token(&mut self, context: &mut Context<Self>) {
        let Some(shown) = self.shown.clone() else { return };
        let watching = self.runtime.spawn(shown.refused(self.edge.clone()));
        if let Some(before) = self.watching.replace(watching.abort_handle()) {
            before.abort();
        }
        context.spawn(watching.into_actor(self).map(|refused, session, context| {
            // It is aborted when there is a newer token.
            if let Ok(problem) = refused {
                session.refuse_token(problem.code, context);
            }
        }));
    }

    fn refuse_token(&mut self, code: Code, context: &mut Context<Self>) {
        self.close(close::TOKEN, code.entry().slug, context);
    }

    fn heartbeat(&mut self, context: &mut Context<Self>) {
        if self.heard_at.elapsed() > self.edge.live.settings().heartbeat.mul_f64(SILENCES_MAX) {
            return context.stop();
        }
        self.messages = 0;
        self.queue(Message::Ping(Vec::new().into()), context);
    }

    fn send(&mut self, told: Told, context: &mut Context<Self>) {
        METRICS.live_messages.with_label_values(&[told.kind]).inc();
        self.queue(Message::text(told.json), context);
    }

    fn queue(&mut self, message: Message, context: &mut Context<Self>) {
        let Some(outgoing) = &self.outgoing else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = outgoing.queue.try_send(message) {
            METRICS.live_slow.with_label_values(&["websocket"]).inc();
            self.close(close::POLICY, "slow", context);
        }
    }

    /// Says why and ends. What is queued is not sent any more.
    fn close(&mut self, code: u16, reason: &'static str, context: &mut Context<Self>) {
        self.end_subscriptions();
        if let Some(outgoing) = self.outgoing.take() {
            // Without a writer the actor is about to stop.
            let _ = outgoing.closing.send(CloseFrame { code, reason: reason.into() });
            context.run_later(CLOSE_PATIENCE + GOODBYE, |_, context| context.stop());
        }
    }

    fn end_subscriptions(&mut self) {
        self.subscriptions.drain().for_each(|(_, served)| served.task.abort());
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let Some(socket) = self.socket.take() else { return context.stop() };
        let (sink, stream): (SplitSink<_, _>, SplitStream<_>) = socket.split();
        Self::add_stream(stream, context);
        let (queue, queued) = mpsc::channel(self.edge.live.settings().queue_max);
        let (closing, closed) = oneshot::channel();
        self.outgoing = Some(Outgoing { queue, closing });
        context.spawn(write(sink, queued, closed).into_actor(self).map(|said, session, context| {
            session.outgoing = None;
            session.end_subscriptions();
            // The client's side of the close ends the stream, and with it the actor.
            let patience = if said { GOODBYE } else { Duration::ZERO };
            context.run_later(patience, |_, context| context.stop());
        }));
        context.spawn(self.edge.live.going().into_actor(self).map(|(), session, context| {
            session.close(close::RESTART, "service restart", context);
        }));
        context.run_interval(self.edge.live.settings().heartbeat, Self::heartbeat);
        if self.shown.is_some() {
            self.watch_token(context);
        } else {
            context.run_later(TOKEN_PATIENCE, |session, context| {
                if session.shown.is_none() {
                    session.refuse_token(Code::TokenMissing, context);
                }
            });
        }
    }

    fn stopped(&mut self, _context: &mut Context<Self>) {
        self.end_subscriptions();
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
    }
}

impl StreamHandler<Result<Message, Error>> for Session {
    fn handle(&mut self, received: Result<Message, Error>, context: &mut Context<Self>) {
        self.heard_at = Instant::now();
        self.messages += 1;
        match received {
            _ if self.outgoing.is_none() => {}
            Ok(_) if self.messages > MESSAGES_MAX => self.close(close::POLICY, "too many messages", context),
            Ok(Message::Text(text)) if text.len() > MESSAGE_BYTES_MAX => {
                self.close(close::TOO_LARGE, "message too large", context);
            }
            Ok(Message::Text(text)) => self.request(text.as_str(), context),
            Ok(Message::Binary(_)) => {
                self.send(Told::problem(Problem::new(Code::BrokenJson, "messages are texts")), context);
            }
            // Pings are answered below this.
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_)) => {
                self.end_subscriptions();
                self.outgoing = None;
            }
            // Cut off, no WebSocket, or larger than anything that is read.
            Err(_) => context.stop(),
        }
    }
}

/// What a subscription tells, on its way to the queue.
struct Tell {
    of: Subscription,
    serial: u64,
    told: Told,
}

impl actix::Message for Tell {
    type Result = ();
}

impl Handler<Tell> for Session {
    type Result = ();

    fn handle(&mut self, Tell { of, serial, told }: Tell, context: &mut Context<Self>) {
        // One that has been ended or begun anew since is not heard any more.
        if self.subscriptions.get(&of).is_none_or(|served| served.serial != serial) {
            return;
        }
        if told.last {
            self.subscriptions.remove(&of);
        }
        self.send(told, context);
    }
}

struct Listening {
    session: Addr<Session>,
    of: Subscription,
    serial: u64,
}

impl Listener for Listening {
    async fn tell(&self, told: Told) -> Result<(), Gone> {
        let tell = Tell { of: self.of.clone(), serial: self.serial, told };
        self.session.send(tell).await.map_err(|_| Gone)
    }
}

/// Writes what is queued, until it is told to say goodbye; true when it did.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queued: mpsc::Receiver<Message>,
    mut closing: oneshot::Receiver<CloseFrame>,
) -> bool {
    let frame = loop {
        tokio::select! {
            biased;
            frame = &mut closing => break frame,
            message = queued.recv() => {
                // The queue ends with the actor; the frame tells the rest.
                let Some(message) = message else { break (&mut closing).await };
                tokio::select! {
                    biased;
                    frame = &mut closing => break frame,
                    written = sink.send(message) => if written.is_err() {
                        return false;
                    }
                }
            }
        }
    };
    let Ok(frame) = frame else { return false };
    let goodbye = sink.send(Message::Close(Some(frame)));
    matches!(tokio::time::timeout(CLOSE_PATIENCE, goodbye).await, Ok(Ok(())))
}
