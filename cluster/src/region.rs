//! The region of one service on one node: the ractor actor that supervises the service's shards here.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::sync::{mpsc, oneshot};

use crate::reference::ShardId;
use crate::shard::{ShardActor, ShardMessage, ShardPlace};

/// What a region is told.
#[derive(RactorMessage)]
pub(crate) enum RegionMessage {
    /// Start the actor of a shard; it buffers until it is told that the claim is durable.
    Open { place: Arc<ShardPlace>, opened: oneshot::Sender<ActorRef<ShardMessage>> },
}

pub(crate) struct RegionActor;

pub(crate) struct RegionState {
    shards: HashMap<ActorId, ShardId>,
    failed: mpsc::UnboundedSender<ShardId>,
}

impl Actor for RegionActor {
    type Msg = RegionMessage;
    type State = RegionState;
    /// Where failed shards are reported; bounded by the number of shards.
    type Arguments = mpsc::UnboundedSender<ShardId>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        failed: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(RegionState { shards: HashMap::new(), failed })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let RegionMessage::Open { place, opened } = message;
        let shard = place.shard;
        let (actor, _) = Actor::spawn_linked(None, ShardActor, place, myself.get_cell()).await?;
        state.shards.insert(actor.get_id(), shard);
        if let Err(unwanted) = opened.send(actor) {
            unwanted.stop(None);
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(actor, _, _) => {
                state.shards.remove(&actor.get_id());
            }
            SupervisionEvent::ActorFailed(actor, error) => {
                if let Some(shard) = state.shards.remove(&actor.get_id()) {
                    tracing::error!(%shard, %error, "a shard failed and is opened anew");
                    // The receiver ends with the node; then nothing is opened any more.
                    let _ = state.failed.send(shard);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
