//! The dialing side: of two nodes the one whose name sorts first dials, and dials again for as long as the
//! other is listed and there is no link.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use rand::RngExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::hello::{self, Hello, HelloAnswer, HelloRefusal, PROTOCOL_MAX, PROTOCOL_MIN};
use super::settings::Peer;
use super::stream::LinkStream;
use super::supervisor::{Established, Message};
use super::table::Table;
use super::tls::{self, Tls};
use crate::membership::NodeId;

/// The first pause after a failed attempt; it doubles with each.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whether it is this node that dials, and not the other.
pub fn is_dialing_side(node: &NodeId, peer: &NodeId) -> bool {
    node.name < peer.name
}

/// Dials a peer, waits for the end of the link, and begins again. Ends by being aborted.
pub async fn keep_dialing(table: Arc<Table>, tls: Option<Tls>, supervisor: ActorRef<Message>, peer: Peer) {
    let mut pause = PAUSE_MIN;
    let mut told = None;
    loop {
        let attempt = tokio::time::timeout(table.settings.connect_timeout, dial(&table, tls.as_ref(), &peer));
        match attempt.await.unwrap_or(Err(DialError::TimedOut)) {
            Ok((connection, stream)) => {
                told = None;
                pause = PAUSE_MIN;
                let (ended, end) = oneshot::channel();
                let established = Established { connection, stream, ended: Some(ended) };
                if supervisor.cast(Message::Established(Box::new(established))).is_err() {
                    return;
                }
                // The sender is dropped when the session has ended.
                let _ = end.await;
            }
            Err(error) => {
                let reason = error.to_string();
                let (node, address) = (&peer.node, &peer.address);
                if told.as_ref() == Some(&reason) {
                    tracing::debug!(%node, address, reason, "no link yet");
                } else if matches!(error, DialError::Refused(HelloRefusal::NotListed)) {
                    tracing::info!(%node, address, reason, "no link yet");
                    told = Some(reason);
                } else {
                    tracing::warn!(%node, address, reason, "no link yet");
                    told = Some(reason);
                }
            }
        }
        let jittered = pause.mul_f64(rand::rng().random_range(0.75..1.25));
        tokio::select! {
            () = tokio::time::sleep(jittered) => pause = (pause * 2).min(PAUSE_MAX),
            () = table.peers_changed.notified() => pause = PAUSE_MIN,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("refused: {0}")]
    Refused(HelloRefusal),
    #[error("it speaks version {0} of the protocol, which was not offered")]
    WrongVersion(u32),
    #[error("it calls itself {0}")]
    WrongNode(NodeId),
    #[error("connecting took too long")]
    TimedOut,
}

async fn dial(table: &Table, tls: Option<&Tls>, peer: &Peer) -> Result<(Arc<Connection>, LinkStream), DialError> {
    let mut socket = TcpStream::connect(&peer.address).await?;
    socket.set_nodelay(true)?;
    if let Some(tls) = tls {
        let mut socket = tls.connector.connect(tls::server_name(), socket).await?;
        let connection = introduce(table, &peer.node, &mut socket).await?;
        Ok(wrap(table, connection, tokio::io::split(socket)))
    } else {
        let connection = introduce(table, &peer.node, &mut socket).await?;
        Ok(wrap(table, connection, socket.into_split()))
    }
}

async fn introduce<S>(table: &Table, peer: &NodeId, socket: &mut S) -> Result<Arc<Connection>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let settings = &table.settings;
    hello::say(socket, &Hello::new(&settings.cluster_id, &settings.node, peer)).await?;
    match hello::hear(socket).await? {
        HelloAnswer::Refused { reason } => Err(DialError::Refused(reason)),
        HelloAnswer::Welcome { from, .. } if from != *peer => Err(DialError::WrongNode(from)),
        HelloAnswer::Welcome { protocol, .. } if !(PROTOCOL_MIN..=PROTOCOL_MAX).contains(&protocol) => {
            Err(DialError::WrongVersion(protocol))
        }
        HelloAnswer::Welcome { link, .. } => {
            Ok(Arc::new(Connection::new(table.next_number(), link, peer.clone(), settings)))
        }
    }
}

/// Makes a connection and its socket ready for the supervisor.
pub fn wrap<R, W>(table: &Table, connection: Arc<Connection>, halves: (R, W)) -> (Arc<Connection>, LinkStream)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (idle, write) = (table.settings.idle_timeout, table.settings.write_timeout);
    let stream = LinkStream::new(halves, connection.number.to_string(), &connection.closer, idle, write);
    (connection, stream)
}
