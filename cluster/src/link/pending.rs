//! The requests of one link that wait for their answer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::error::LinkFailure;

/// Callers on different cores seldom meet in the same one.
const TABLES: usize = 16;

/// How a request ended.
pub type Ended = Result<Bytes, LinkFailure>;

/// All unanswered requests of a link. Once closed it takes no more.
pub struct Pending {
    next: AtomicU64,
    tables: [Mutex<Table>; TABLES],
}

struct Table {
    open: bool,
    waiting: HashMap<u64, Waiting, BuildHasherDefault<NumberHasher>>,
}

/// An unanswered request.
pub struct Waiting {
    ended: oneshot::Sender<Ended>,
    /// The credit that it took.
    pub bytes: u64,
}

impl Waiting {
    /// Tells the caller, unless it has given up.
    pub fn end(self, ended: Ended) {
        let _ = self.ended.send(ended);
    }
}

impl Pending {
    /// None yet.
    pub fn new() -> Self {
        let table = || Mutex::new(Table { open: true, waiting: HashMap::default() });
        Self { next: AtomicU64::new(1), tables: std::array::from_fn(|_| table()) }
    }

    /// Enters a request that took so many bytes of credit; `None` when the link is closed.
    pub fn enter(&self, bytes: u64) -> Option<(u64, oneshot::Receiver<Ended>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (ended, answer) = oneshot::channel();
        let mut table = self.table(number);
        if !table.open {
            return None;
        }
        table.waiting.insert(number, Waiting { ended, bytes });
        Some((number, answer))
    }

    /// Takes a request out in order to end it; `None` when it is not waiting.
    pub fn leave(&self, number: u64) -> Option<Waiting> {
        self.table(number).waiting.remove(&number)
    }

    /// Ends all requests as lost and takes no more.
    pub fn close(&self) -> usize {
        let mut lost = 0;
        for table in &self.tables {
            let waiting = {
                let mut table = lock(table);
                table.open = false;
                std::mem::take(&mut table.waiting)
            };
            lost += waiting.len();
            for (_, waiting) in waiting {
                waiting.end(Err(LinkFailure::OutcomeUnknown));
            }
        }
        lost
    }

    fn table(&self, number: u64) -> MutexGuard<'_, Table> {
        lock(&self.tables[(number % TABLES as u64) as usize])
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Request numbers are consecutive and our own, so multiplying spreads them well enough.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reaches_its_request_once() {
        let pending = Pending::new();
        let (first, mut first_answer) = pending.enter(10).unwrap();
        let (second, mut second_answer) = pending.enter(20).unwrap();
        let waiting = pending.leave(second).unwrap();
        assert_eq!(waiting.bytes, 20);
        waiting.end(Ok(Bytes::from_static(b"two")));
        assert!(pending.leave(second).is_none());
        assert_eq!(second_answer.try_recv().unwrap(), Ok(Bytes::from_static(b"two")));
        assert!(first_answer.try_recv().is_err());
        drop(first_answer);
        assert_eq!(pending.leave(first).unwrap().bytes, 10, "credits come back although nobody waits");
    }

    #[test]
    fn closing_ends_everything_and_takes_no_more() {
        let pending = Pending::new();
        let mut answers: Vec<_> = (0..100).map(|_| pending.enter(1).unwrap().1).collect();
        assert_eq!(pending.close(), 100);
        assert!(answers.iter_mut().all(|answer| answer.try_recv() == Ok(Err(LinkFailure::OutcomeUnknown))));
        assert!((0..100).all(|_| pending.enter(1).is_none()));
    }
}
