//! Caller and callee of calls that ractor_cluster derives, over its built-in TCP.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, pg};
use ractor_cluster::node::{NodeConnectionMode, NodeServerMessage};
use ractor_cluster::{NodeServer, RactorClusterMessage, client_connect};

use crate::error::BenchError;
use crate::load::closed_loop;
use crate::node::PATIENCE;
use crate::peer;

use super::{CALLERS, Found, PAYLOAD_BYTES, Timing};

const GROUP: &str = "bench-echo";
const COOKIE: &str = "bench";

#[derive(RactorClusterMessage)]
enum EchoMessage {
    #[rpc]
    Length(Vec<u8>, RpcReplyPort<u64>),
}

struct Echo;

impl Actor for Echo {
    type Msg = EchoMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<EchoMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<EchoMessage>,
        message: EchoMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let EchoMessage::Length(payload, reply) = message;
        // A caller that is gone is gone.
        let _ = reply.send(payload.len() as u64);
        Ok(())
    }
}

/// Peer: has an actor for each caller of the other side.
///
/// # Errors
/// When it can't listen.
pub async fn callee() -> Result<(), BenchError> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    server("callee", port).await?;
    let mut cells = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        let (actor, _) = Actor::spawn(None, Echo, ()).await.map_err(|error| BenchError::failed("an actor", error))?;
        cells.push(actor.get_cell());
    }
    pg::join(GROUP.to_owned(), cells);
    peer::say(&port)?;
    peer::until_released().await;
    Ok(())
}

/// Peer: calls them.
///
/// # Errors
/// When a call fails.
pub async fn caller(port: u16, timing: Timing) -> Result<(), BenchError> {
    let own_port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server = server("caller", own_port).await?;
    client_connect(&server, ("127.0.0.1", port)).await.map_err(|error| BenchError::failed("connecting", error))?;
    let began = Instant::now();
    while pg::get_members(&GROUP.to_owned()).len() < CALLERS {
        if began.elapsed() > PATIENCE {
            return Err(BenchError::failed("reaching the other node", "its actors did not show up"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let actors: Vec<ActorRef<EchoMessage>> = pg::get_members(&GROUP.to_owned()).into_iter().map(Into::into).collect();
    let call = |caller: usize| {
        let actor = actors[caller].clone();
        move || {
            let actor = actor.clone();
            async move {
                // As the entity's caller does, it makes its payload anew and names a time-out.
                let message = |reply| EchoMessage::Length(vec![b'x'; PAYLOAD_BYTES], reply);
                match actor.call(message, Some(PATIENCE)).await {
                    Ok(ractor::rpc::CallResult::Success(length)) if length == PAYLOAD_BYTES as u64 => Ok(()),
                    other => Err(BenchError::failed("a call", format!("{other:?}"))),
                }
            }
        }
    };
    let one = closed_loop(1, timing.warmup(), timing.duration(), call).await?;
    let many = closed_loop(CALLERS, timing.warmup(), timing.duration(), call).await?;
    peer::say(&Found { many, one })?;
    peer::until_released().await;
    Ok(())
}

async fn server(name: &str, port: u16) -> Result<ActorRef<NodeServerMessage>, BenchError> {
    let (cookie, host) = (COOKIE.to_owned(), format!("{name}-host"));
    let server = NodeServer::new(port, cookie, name.to_owned(), host, None, Some(NodeConnectionMode::Isolated));
    let (actor, _) =
        Actor::spawn(None, server, ()).await.map_err(|error| BenchError::failed("ractor_cluster's server", error))?;
    Ok(actor)
}
