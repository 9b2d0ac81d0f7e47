//! The shards that are open on a node.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ractor::ActorRef;

use crate::inspect::commits::ShardSeen;
use crate::reference::ShardId;
use crate::shard::{ShardMessage, ShardPlace};

/// The shards that are open on this node, serving or still being claimed.
#[derive(Debug, Default)]
pub(crate) struct OpenShards(RwLock<HashMap<ShardId, OpenShard>>);

#[derive(Debug)]
struct OpenShard {
    actor: ActorRef<ShardMessage>,
    place: Arc<ShardPlace>,
    since: Instant,
}

impl OpenShards {
    pub(crate) fn get(&self, shard: ShardId) -> Option<ActorRef<ShardMessage>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shard).map(|one| one.actor.clone())
    }

    pub(crate) fn all(&self) -> Vec<(ShardId, ActorRef<ShardMessage>)> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(shard, one)| (*shard, one.actor.clone())).collect()
    }

    /// Every open shard with what it rests on.
    pub(crate) fn places(&self) -> Vec<(ShardId, Arc<ShardPlace>)> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(shard, one)| (*shard, Arc::clone(&one.place))).collect()
    }

    /// What one of them rests on.
    pub(crate) fn place(&self, shard: ShardId) -> Option<Arc<ShardPlace>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shard).map(|one| Arc::clone(&one.place))
    }

    /// What is counted of it.
    pub(super) fn seen(&self, shard: ShardId) -> Option<Arc<ShardSeen>> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&shard).map(|one| Arc::clone(&one.place.seen))
    }

    /// For how long it has been open.
    pub(super) fn age(&self, shard: ShardId) -> Option<Duration> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shard).map(|one| one.since.elapsed())
    }

    pub(super) fn insert(&self, shard: ShardId, actor: ActorRef<ShardMessage>, place: Arc<ShardPlace>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(shard, OpenShard { actor, place, since: Instant::now() });
    }

    /// From here on the shard proves itself by a journal row before it answers a read.
    pub(super) fn retire(&self, shard: ShardId) {
        if let Some(one) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shard) {
            one.place.retire();
        }
    }

    pub(super) fn remove(&self, shard: ShardId) -> Option<ActorRef<ShardMessage>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&shard).map(|one| one.actor)
    }
}
