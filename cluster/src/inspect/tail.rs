//! Commands as they are answered. Nothing is kept unless somebody looks, and never more than [`KEPT_MAX`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::report::{TailEntry, TailReport};

/// Commands that are kept.
pub const KEPT_MAX: usize = 4096;
/// Commands of one answer.
pub const TOLD_MAX: usize = 200;
/// For how long commands are kept after somebody looked.
const LOOKED_AT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Default)]
pub(crate) struct Tail {
    active: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    commands: VecDeque<TailEntry>,
    last: u64,
    looked: Option<Instant>,
}

impl Tail {
    /// Whether commands are to be kept.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn push(&self, mut entry: TailEntry) {
        let mut kept = self.lock();
        kept.last += 1;
        entry.number = kept.last;
        if kept.commands.len() >= KEPT_MAX {
            kept.commands.pop_front();
        }
        kept.commands.push_back(entry);
    }

    /// What was kept behind a number and is wanted.
    pub(crate) fn look(&self, after: u64, limit: usize, wanted: impl Fn(&TailEntry) -> bool) -> TailReport {
        self.active.store(true, Ordering::Relaxed);
        let mut kept = self.lock();
        kept.looked = Some(Instant::now());
        // A first look begins with what comes from now on; so does one that knows more than there is, of another life.
        let after = if after == 0 || after > kept.last { kept.last } else { after };
        let oldest = kept.commands.front().map_or(kept.last + 1, |entry| entry.number);
        let missed = oldest.saturating_sub(after + 1);
        let news = kept.commands.iter().filter(|entry| entry.number > after && wanted(entry));
        let mut commands: Vec<_> = news.take(limit + 1).cloned().collect();
        let more = commands.len() > limit;
        commands.truncate(limit);
        let last = if more { commands.last().map_or(after, |entry| entry.number) } else { kept.last };
        TailReport { commands, last, missed }
    }

    /// Forgets everything when nobody has looked for a while.
    pub(crate) fn rest(&self) {
        let mut kept = self.lock();
        if kept.looked.is_some_and(|at| at.elapsed() > LOOKED_AT) {
            self.active.store(false, Ordering::Relaxed);
            kept.looked = None;
            kept.commands = VecDeque::new();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> TailEntry {
        TailEntry {
            number: 0,
            at_ms: 0,
            entity: "cart.cart/u-1".into(),
            command: "get".into(),
            outcome: "accepted".into(),
            took_us: 1,
            trace: String::new(),
        }
    }

    #[test]
    fn what_came_too_fast_is_said_to_be_missed() {
        let tail = Tail::default();
        assert!(!tail.is_active());
        assert_eq!(tail.look(0, 10, |_| true).last, 0);
        assert!(tail.is_active());
        tail.push(entry());
        let seen = tail.look(0, 10, |_| true);
        assert_eq!((seen.commands.len(), seen.last), (0, 1), "a first look begins with what comes");
        for _ in 0..KEPT_MAX + 10 {
            tail.push(entry());
        }
        let seen = tail.look(1, 10, |_| true);
        assert_eq!((seen.commands.len(), seen.missed), (10, 10));
        assert_eq!(tail.look(seen.last, 10, |_| true).commands[0].number, seen.last + 1);
        assert_eq!(tail.look(seen.last, 10, |_| false).commands.len(), 0);
    }
}
