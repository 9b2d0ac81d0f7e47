//! The port: the one actor of a node that other nodes send to.
//!
//! It only sorts messages; what takes longer (decoding a request and executing it) runs as a task of its
//! own. It has no name, is found by its process group, and restarts when it fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::connection::{Connection, Serving};
use super::error::{LinkFailure, Refusal};
use super::inbound::{Inbound, Request};
use super::outbox;
use super::table::Table;
use super::wire::{Frame, OVERHEAD_BYTES, RequestHeader, Route, kind};
use crate::metrics;

/// The port of this node.
pub struct Port {
    /// The links.
    pub table: Arc<Table>,
    /// Who executes requests.
    pub inbound: Arc<dyn Inbound>,
}

impl Actor for Port {
    type Msg = Frame;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Frame>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _myself: ActorRef<Frame>, frame: Frame, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.sort(frame);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Frame>,
        _event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl Port {
    fn sort(&self, frame: Frame) {
        if let Some(call) = frame.call {
            let refusal = Refusal::UnknownKind { kind: format!("call of {}", frame.kind) };
            let json = serde_json::to_vec(&refusal).expect("a refusal has string keys and serialises");
            // Whoever called may have given up.
            let _ = call.send(json);
            return;
        }
        let body = Bytes::from(frame.body);
        if frame.kind == kind::BATCH {
            return self.sort_batch(body);
        }
        self.sort_one(&frame.kind, frame.metadata.into(), body);
    }

    fn sort_batch(&self, mut batch: Bytes) {
        while let Some((kind, metadata, body)) = outbox::unpack(&mut batch) {
            self.sort_one(&String::from_utf8_lossy(&kind), metadata, body);
        }
        if !batch.is_empty() {
            strayed("the rest of a broken batch");
        }
    }

    fn sort_one(&self, kind: &str, metadata: Bytes, body: Bytes) {
        let route = Route::of(&metadata);
        let Some((route, connection)) = route.and_then(|route| Some((route, self.table.by_link(route.link)?))) else {
            // Without a link there is nobody to answer; a link that closed has ended its requests itself.
            return strayed(kind);
        };
        match kind {
            kind::REQUEST => self.serve(&connection, route.request, metadata, body),
            kind::ANSWER => connection.ended(route.request, Ok(body)),
            kind::REFUSAL => {
                let refusal = serde_json::from_slice(&body).unwrap_or(Refusal::Unknown);
                connection.ended(route.request, Err(LinkFailure::from(refusal)));
            }
            kind::LOST => connection.ended(route.request, Err(LinkFailure::OutcomeUnknown)),
            kind::NOTICE => self.notice(&connection, body),
            kind::PING => connection.pong(route.request, body),
            kind::PONG if route.request == 0 => connection.ponged(&body),
            kind::PONG => connection.ended(route.request, Ok(body)),
            _ => refuse(connection, route.request, Refusal::UnknownKind { kind: kind.to_owned() }),
        }
    }

    fn serve(&self, connection: &Arc<Connection>, number: u64, metadata: Bytes, body: Bytes) {
        let settings = &self.table.settings;
        let bytes = metadata.len() + body.len();
        let refusal = if self.table.is_stopping() {
            Refusal::Stopping
        } else if bytes > settings.message_bytes_max + 2 * OVERHEAD_BYTES {
            Refusal::TooLarge { bytes: bytes as u64, bytes_max: settings.message_bytes_max as u64 }
        } else {
            match Serving::admit(connection, (bytes + OVERHEAD_BYTES) as u64) {
                Ok(serving) => {
                    let (inbound, generation) = (self.inbound.clone(), settings.node.generation);
                    let bytes_max = settings.message_bytes_max;
                    tokio::spawn(execute(inbound, serving, number, metadata, body, generation, bytes_max));
                    return;
                }
                Err(refusal) => refusal,
            }
        };
        refuse(connection.clone(), number, refusal);
    }

    fn notice(&self, connection: &Connection, notice: Bytes) {
        let take = AssertUnwindSafe(|| self.inbound.notice(&connection.peer, notice));
        if std::panic::catch_unwind(take).is_err() {
            tracing::error!(peer = %connection.peer, "taking a notice panicked");
        }
    }
}

fn strayed(kind: &str) {
    metrics::link_dropped("stray");
    tracing::debug!(kind, "a message on no link of this node is dropped");
}

async fn execute(
    inbound: Arc<dyn Inbound>,
    serving: Serving,
    number: u64,
    metadata: Bytes,
    body: Bytes,
    generation: u64,
    bytes_max: usize,
) {
    let connection = serving.connection();
    let request = match decode(metadata, body, connection, generation) {
        Ok(request) => request,
        Err(refusal) => return connection.refuse(number, &refusal).await,
    };
    let service = request.service.clone();
    match AssertUnwindSafe(inbound.request(&connection.peer, request)).catch_unwind().await {
        Ok(answer) if answer.len() <= bytes_max => connection.answer(number, answer).await,
        Ok(answer) => {
            let (peer, bytes) = (&connection.peer, answer.len());
            tracing::error!(%peer, %service, bytes, bytes_max, "an answer is too large and is dropped");
            connection.lost(number);
        }
        Err(_) => {
            tracing::error!(peer = %connection.peer, %service, "executing a request panicked");
            connection.lost(number);
        }
    }
}

fn decode(metadata: Bytes, body: Bytes, connection: &Connection, generation: u64) -> Result<Request, Refusal> {
    let header = RequestHeader::read(&metadata).map_err(|reason| Refusal::Undecodable { reason })?;
    let lives = [(header.to_generation, generation), (header.from_generation, connection.peer.generation)];
    if let Some((meant_for, actual)) = lives.into_iter().find(|(named, actual)| named != actual) {
        return Err(Refusal::StaleGeneration { meant_for, actual });
    }
    Ok(Request {
        service: header.service.into(),
        header: metadata.slice_ref(header.header.0),
        body,
        traceparent: header.traceparent.map(str::to_owned),
        epoch: header.epoch,
    })
}

fn refuse(connection: Arc<Connection>, number: u64, refusal: Refusal) {
    tracing::debug!(peer = %connection.peer, number, %refusal, "a message is refused");
    tokio::spawn(async move { connection.refuse(number, &refusal).await });
}
