//! The accepting side: every connection is greeted in a task of its own and within the connect time-out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use super::connection::Connection;
use super::dial::wrap;
use super::hello::{self, Hello, HelloAnswer, HelloRefusal};
use super::supervisor::{Established, Message};
use super::table::Table;
use super::tls::Tls;
use crate::outage::Outage;

/// How many connections may be at their greeting at once; more are closed unheard.
const GREETINGS_MAX: usize = 256;
/// How long to pause when the operating system gives no connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections. Ends by being aborted.
pub async fn keep_accepting(listener: TcpListener, table: Arc<Table>, tls: Option<Tls>, supervisor: ActorRef<Message>) {
    let greetings = Arc::new(Semaphore::new(GREETINGS_MAX));
    let (accepting, greeting) = (Outage::default(), Outage::default());
    loop {
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => {
                if let Some(told) = accepting.works() {
                    tracing::info!(
                        failures = told.failures,
                        lasted_ms = told.lasted_ms,
                        "connections are accepted again"
                    );
                }
                accepted
            }
            Err(error) => {
                if let Some(told) = accepting.failed() {
                    tracing::warn!(
                        %error,
                        failures = told.failures,
                        lasted_ms = told.lasted_ms,
                        "accepting connections failed"
                    );
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = greetings.clone().try_acquire_owned() else {
            if let Some(told) = greeting.failed() {
                let closed = told.failures;
                tracing::warn!(
                    %address,
                    closed,
                    lasted_ms = told.lasted_ms,
                    "too many connections at their greeting; they are closed"
                );
            }
            continue;
        };
        if let Some(told) = greeting.works() {
            tracing::info!(closed = told.failures, lasted_ms = told.lasted_ms, "connections are greeted again");
        }
        let (table, tls, supervisor) = (table.clone(), tls.clone(), supervisor.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let greeting = greet(&table, tls.as_ref(), &supervisor, socket, address);
            match tokio::time::timeout(table.settings.connect_timeout, greeting).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(%address, %error, "a connection was no link"),
                Err(_) => tracing::info!(%address, "a connection took too long to become a link"),
            }
        });
    }
}

async fn greet(
    table: &Arc<Table>,
    tls: Option<&Tls>,
    supervisor: &ActorRef<Message>,
    mut socket: TcpStream,
    address: SocketAddr,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    if let Some(tls) = tls {
        let mut socket = tls.acceptor.accept(socket).await?;
        let Some(connection) = welcome(table, supervisor, &mut socket, address).await? else { return Ok(()) };
        hand_over(table, supervisor, connection, tokio::io::split(socket))
    } else {
        let Some(connection) = welcome(table, supervisor, &mut socket, address).await? else { return Ok(()) };
        hand_over(table, supervisor, connection, socket.into_split())
    }
}

/// Hears the hello and answers it; `None` when it was refused.
async fn welcome<S>(
    table: &Arc<Table>,
    supervisor: &ActorRef<Message>,
    socket: &mut S,
    address: SocketAddr,
) -> io::Result<Option<Arc<Connection>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello: Hello = match hello::hear(socket).await {
        Ok(hello) => hello,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            refuse(socket, HelloRefusal::Undecodable).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let settings = &table.settings;
    let checked = hello.check(&settings.cluster_id, &settings.node);
    let checked = checked.and_then(|protocol| table.check_listed(&hello.from).map(|()| protocol));
    let protocol = match checked {
        Ok(protocol) => protocol,
        Err(reason) => {
            let (node, version) = (&hello.from, &hello.software_version);
            tracing::info!(%node, version, %address, ?reason, "a hello is refused");
            refuse(socket, reason).await?;
            return Ok(None);
        }
    };

    // A former link of this node must have left ractor_cluster first, or one of both would be elected.
    let (admit, admitted) = oneshot::channel();
    let asked = supervisor.cast(Message::Admit { peer: hello.from.clone(), admit });
    if asked.is_err() || admitted.await.is_err() {
        refuse(socket, HelloRefusal::Busy).await?;
        return Ok(None);
    }
    let link = rand::random();
    let connection = Arc::new(Connection::new(table.next_number(), link, hello.from, settings));
    let from = settings.node.clone();
    let software_version = env!("CARGO_PKG_VERSION").to_owned();
    hello::say(socket, &HelloAnswer::Welcome { from, protocol, link, software_version }).await?;
    Ok(Some(connection))
}

async fn refuse(socket: &mut (impl AsyncWrite + Unpin), reason: HelloRefusal) -> io::Result<()> {
    hello::say(socket, &HelloAnswer::Refused { reason }).await
}

fn hand_over<R, W>(
    table: &Arc<Table>,
    supervisor: &ActorRef<Message>,
    connection: Arc<Connection>,
    halves: (R, W),
) -> io::Result<()>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (connection, stream) = wrap(table, connection, halves);
    let established = Established { connection, stream, ended: None };
    supervisor.cast(Message::Established(Box::new(established))).map_err(|_| io::Error::other("the node stops"))
}
