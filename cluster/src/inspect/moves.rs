//! Which shards came to this node and went, lately.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::report::MoveReport;

/// Moves that are remembered.
pub const REMEMBERED_MAX: usize = 1024;

/// See the module.
#[derive(Default)]
pub(crate) struct Moves(Mutex<VecDeque<MoveReport>>);

impl Moves {
    pub(crate) fn note(&self, report: MoveReport) {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.len() >= REMEMBERED_MAX {
            moves.pop_front();
        }
        moves.push_back(report);
    }

    /// Newest first.
    pub(crate) fn all(&self) -> Vec<MoveReport> {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.iter().rev().cloned().collect()
    }
}
