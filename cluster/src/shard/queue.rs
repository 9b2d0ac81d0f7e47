//! What waits in front of an entity. Its mailbox can't be looked into, but what is sent comes out in the same order: as
//! many as wait were sent last. Nothing is kept for an entity that keeps up, beside the last command.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    last: Sent,
    /// The last ones, oldest first, while more than one waits.
    #[allow(clippy::box_collection, reason = "every loaded entity has one, and hardly any has several waiting")]
    several: Option<Box<VecDeque<Sent>>>,
}

/// A command by its slot in the kind's counts, and when it was sent: microseconds since the entity was loaded.
#[derive(Clone, Copy, Default)]
struct Sent {
    after_us: u64,
    slot: u8,
}

impl Queue {
    /// One more is sent while so many wait.
    pub(super) fn sent(&mut self, waiting: u32, slot: usize, since: Instant) {
        let after_us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let sent = Sent { after_us, slot: u8::try_from(slot).unwrap_or(u8::MAX) };
        if waiting == 0 {
            self.several = None;
        } else {
            let last = self.last;
            let several = self.several.get_or_insert_with(|| Box::new(VecDeque::from([last])));
            while several.len() > waiting as usize {
                several.pop_front();
            }
            several.push_back(sent);
        }
        self.last = sent;
    }

    /// Of so many that wait the first ones: their slots, and how long they have waited.
    pub(super) fn first(&self, waiting: u32, limit: usize, since: Instant) -> Vec<(usize, Duration)> {
        let now = since.elapsed();
        let told = |sent: &Sent| {
            let age = now.saturating_sub(Duration::from_micros(sent.after_us));
            (usize::from(sent.slot), age)
        };
        match &self.several {
            _ if waiting == 0 => Vec::new(),
            None => vec![told(&self.last)],
            Some(several) => {
                let gone = several.len().saturating_sub(waiting as usize);
                several.iter().skip(gone).take(limit).map(told).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(queue: &Queue, waiting: u32, since: Instant) -> Vec<usize> {
        queue.first(waiting, 3, since).into_iter().map(|(slot, _)| slot).collect()
    }

    #[test]
    fn as_many_as_wait_were_sent_last() {
        let since = Instant::now();
        let mut queue = Queue::default();
        queue.sent(0, 1, since);
        assert_eq!((slots(&queue, 1, since), slots(&queue, 0, since)), (vec![1], vec![]));
        queue.sent(1, 2, since);
        queue.sent(2, 3, since);
        queue.sent(3, 4, since);
        assert_eq!(slots(&queue, 4, since), [1, 2, 3], "the first three of four");
        assert_eq!(slots(&queue, 2, since), [3, 4], "two were taken");
        queue.sent(1, 5, since);
        assert_eq!(slots(&queue, 2, since), [4, 5]);
        assert!(queue.several.as_ref().is_some_and(|several| several.len() == 2), "what was taken is forgotten");
        queue.sent(0, 6, since);
        assert!(queue.several.is_none());
        assert_eq!(slots(&queue, 1, since), [6]);
        std::thread::sleep(Duration::from_millis(5));
        assert!(queue.first(1, 1, since)[0].1 >= Duration::from_millis(5));
    }
}
