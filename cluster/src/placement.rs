//! Which node owns which shard: a pure function of the view, so that nobody has to be asked.
//!
//! Rendezvous hashing: every pair of node and shard has a weight, and a shard goes to the node of the
//! highest weight that still has room. Room is limited so that counts differ by at most one. The weight
//! depends on the node's *name*, so a restarted node gets its shards back, and not on the service, so the
//! same shard number of all services (a user's cart, orders and payments) lies on one node where roles allow.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::membership::view::{NodeId, View};

/// The owner of each shard of a service, by number; nobody when no node that is up runs the service.
pub fn owners(view: &View, service: &str, shard_count: u32) -> Vec<Option<NodeId>> {
    let nodes: Vec<&NodeId> = view.eligible(service).map(|member| &member.node).collect();
    let mut room = Room::new(nodes.len(), shard_count as usize);
    let mut assigned: Vec<Option<usize>> = vec![None; shard_count as usize];
    if nodes.is_empty() {
        return vec![None; shard_count as usize];
    }
    for pin in view.pins.iter().filter(|pin| pin.service == service && pin.shard < shard_count) {
        if let Some(node) = nodes.iter().position(|node| *node.name == *pin.node) {
            assigned[pin.shard as usize] = Some(node);
            room.pinned(node);
        }
    }
    for (_, shard, node) in by_weight(&nodes, shard_count) {
        let slot = &mut assigned[shard as usize];
        if slot.is_none() && room.take(node) {
            *slot = Some(node);
        }
    }
    assigned.into_iter().map(|node| node.map(|node| nodes[node].clone())).collect()
}

/// The owner of one shard.
pub fn owner(view: &View, service: &str, shard_count: u32, shard: u32) -> Option<NodeId> {
    owners(view, service, shard_count).into_iter().nth(shard as usize).flatten()
}

/// All pairs, the heaviest first; equal weights are told apart by name.
fn by_weight(nodes: &[&NodeId], shard_count: u32) -> Vec<(u64, u32, usize)> {
    let mut pairs: Vec<(u64, u32, usize)> = Vec::with_capacity(nodes.len() * shard_count as usize);
    for (index, node) in nodes.iter().enumerate() {
        pairs.extend((0..shard_count).map(|shard| (weight(&node.name, shard), shard, index)));
    }
    pairs.sort_unstable_by(|one, other| {
        let names = || nodes[one.2].name.cmp(&nodes[other.2].name);
        other.0.cmp(&one.0).then(one.1.cmp(&other.1)).then_with(names)
    });
    pairs
}

fn weight(name: &str, shard: u32) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), u64::from(shard))
}

/// How many more shards each node may take: all take the floor of the mean, and as many as the remainder
/// says take one more.
struct Room {
    taken: Vec<usize>,
    floor: usize,
    above_floor: usize,
}

impl Room {
    fn new(nodes: usize, shards: usize) -> Self {
        let nodes_or_one = nodes.max(1);
        Self { taken: vec![0; nodes], floor: shards / nodes_or_one, above_floor: shards % nodes_or_one }
    }

    fn take(&mut self, node: usize) -> bool {
        let has_room = self.taken[node] < self.floor || (self.taken[node] == self.floor && self.above_floor > 0);
        if has_room {
            self.count(node);
        }
        has_room
    }

    /// A pin counts, but is not limited.
    fn pinned(&mut self, node: usize) {
        self.count(node);
    }

    fn count(&mut self, node: usize) {
        if self.taken[node] >= self.floor {
            self.above_floor = self.above_floor.saturating_sub(1);
        }
        self.taken[node] += 1;
    }
}
