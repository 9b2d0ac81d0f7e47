//! Which shards came to this node and went, lately.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::report::MoveReport;
use crate::reference::ShardId;
use crate::time::Timestamp;

/// Moves that are remembered.
pub const REMEMBERED_MAX: usize = 1024;

/// See the module.
#[derive(Default)]
pub(crate) struct Moves(Mutex<VecDeque<MoveReport>>);

impl Moves {
    pub(crate) fn note(&self, shard: ShardId, what: &str, view_version: u64, took: Duration) {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.len() >= REMEMBERED_MAX {
            moves.pop_front();
        }
        moves.push_back(MoveReport {
            shard: shard.to_string(),
            what: what.to_owned(),
            view_version,
            at_ms: Timestamp::now().0,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Newest first.
    pub(crate) fn all(&self) -> Vec<MoveReport> {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.iter().rev().cloned().collect()
    }
}
