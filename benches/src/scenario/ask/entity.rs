//! Caller and callee of asks to entities.

use std::time::Instant;

use nakku_cluster::entity::EntityState;
use nakku_cluster::{Ask, AskError, Cluster, Context, Decision, Entity, Event, Key, Kind, Migration, Ref, Service};
use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::load::closed_loop;
use crate::node::{self, Folder, PATIENCE};
use crate::peer;

use super::{CALLERS, Found, PAYLOAD_BYTES, Timing};

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    sql: "CREATE TABLE {prefix}echo_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
          part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
          wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
          CREATE INDEX echo_state_wake ON {prefix}echo_state (wake_at);\n",
}];

fn service() -> Service {
    Service::new("bench", 8099, SCHEMA).entity::<Echo>()
}

/// An entity that takes a payload and says how long it is.
#[derive(Debug)]
pub struct Echo;

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Payload {
    payload: String,
}

/// It remembers nothing and nothing happens to it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Nothing {}

/// It never refuses.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("refused")]
pub struct Refused {}

impl Event for Nothing {
    fn event_type(&self) -> &'static str {
        "echo.nothing"
    }
}

/// See [`Nothing`].
#[derive(Debug, Default)]
pub struct Stateless(Nothing);

impl EntityState for Stateless {
    type Head = Nothing;

    fn head(&self) -> &Nothing {
        &self.0
    }

    fn head_mut(&mut self) -> &mut Nothing {
        &mut self.0
    }
}

impl Entity for Echo {
    const KIND: Kind = Kind { service: "bench", entity: "echo" };
    type State = Stateless;
    type Command = Payload;
    type Reply = u64;
    type Event = Nothing;
    type Rejection = Refused;

    fn decide(_: &Stateless, command: Payload, _: &mut Context) -> Result<Decision<Nothing, u64>, Refused> {
        Ok(Decision::reply(command.payload.len() as u64))
    }

    fn evolve(_: &mut Stateless, _: &Nothing) {}
}

/// Peer: the node that has the entities.
///
/// # Errors
/// When it does not start.
pub async fn callee(url: &str) -> Result<(), BenchError> {
    let _node = node::start("callee", &["bench"], url, vec![service()]).await?;
    peer::say(&"ready")?;
    peer::until_released().await;
    Ok(())
}

/// Peer: the node that asks; it has none of the entities.
///
/// # Errors
/// When an ask fails.
pub async fn caller(url: &str, timing: Timing) -> Result<(), BenchError> {
    // Its services' databases are the other's business.
    let _own = Folder::new()?;
    let node = node::start("caller", &["caller"], url, vec![service()]).await?;
    let cluster = node.cluster();
    let began = Instant::now();
    while let Err(error) = ask(&cluster, &target(0)).await {
        if began.elapsed() > PATIENCE {
            return Err(BenchError::failed("reaching the other node", error));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let call = |caller: usize| {
        let (cluster, target) = (cluster.clone(), target(caller));
        move || {
            let (cluster, target) = (cluster.clone(), target.clone());
            async move { ask(&cluster, &target).await }
        }
    };
    let one = closed_loop(1, timing.warmup(), timing.duration(), call).await?;
    let many = closed_loop(CALLERS, timing.warmup(), timing.duration(), call).await?;
    peer::say(&Found { many, one })?;
    peer::until_released().await;
    Ok(())
}

fn target(number: usize) -> Ref<Echo> {
    Ref::new(Key::new(format!("e-{number}")).expect("letters, digits and a dash"))
}

async fn ask(cluster: &Cluster, target: &Ref<Echo>) -> Result<(), BenchError> {
    let command = Payload { payload: "x".repeat(PAYLOAD_BYTES) };
    match cluster.ask(target, &command, Ask::within(PATIENCE)).await {
        Ok(answered) if answered.reply == PAYLOAD_BYTES as u64 => Ok(()),
        Ok(answered) => Err(BenchError::failed("an ask", format!("{} bytes arrived", answered.reply))),
        Err(AskError::Rejected { rejection, .. }) => Err(BenchError::failed("an ask", rejection)),
        Err(AskError::Failed(failure)) => Err(BenchError::failed("an ask", failure)),
    }
}
