//! What bounds a link: credits for what is unanswered, and a window for what is not yet taken.

use std::sync::atomic::{AtomicU64, Ordering};

use super::settings::{CREDIT_BYTES_LIMIT, CREDIT_MESSAGES_LIMIT};

const COUNT_SHIFT: u32 = 40;
const BYTES_MASK: u64 = CREDIT_BYTES_LIMIT;
// The count has the rest of the word.
const _: () =
    assert!(BYTES_MASK == (1 << COUNT_SHIFT) - 1 && (CREDIT_MESSAGES_LIMIT as u64) <= u64::MAX >> COUNT_SHIFT);

/// Counts messages and bytes that are unanswered, up to a limit of each, without a lock.
#[derive(Debug)]
pub struct Credits {
    taken: AtomicU64,
    count_max: u32,
    bytes_max: u64,
}

/// How many messages of how many bytes are unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Messages.
    pub count: u32,
    /// Bytes.
    pub bytes: u64,
}

impl Credits {
    /// At most so many messages (up to [`CREDIT_MESSAGES_LIMIT`]) and bytes (up to [`CREDIT_BYTES_LIMIT`]).
    pub fn new(count_max: u32, bytes_max: u64) -> Self {
        Self {
            taken: AtomicU64::new(0),
            count_max: count_max.min(CREDIT_MESSAGES_LIMIT),
            bytes_max: bytes_max.min(BYTES_MASK),
        }
    }

    /// Takes the credits of one message.
    ///
    /// # Errors
    /// What is taken when there is no room.
    pub fn take(&self, bytes: u64) -> Result<(), Taken> {
        let more = |taken: u64| {
            let now = unpack(taken);
            let fits = now.count < self.count_max && now.bytes + bytes <= self.bytes_max;
            fits.then(|| taken + (1 << COUNT_SHIFT) + bytes)
        };
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(()),
            Err(taken) => Err(unpack(taken)),
        }
    }

    /// Gives back exactly what one message took.
    pub fn give_back(&self, bytes: u64) {
        let before = self.taken.fetch_sub((1 << COUNT_SHIFT) + bytes, Ordering::AcqRel);
        debug_assert!(unpack(before).count > 0 && unpack(before).bytes >= bytes, "credits given back twice");
    }

    /// What is unanswered now.
    pub fn taken(&self) -> Taken {
        unpack(self.taken.load(Ordering::Acquire))
    }
}

fn unpack(taken: u64) -> Taken {
    Taken { count: (taken >> COUNT_SHIFT) as u32, bytes: taken & BYTES_MASK }
}

/// Bounds the bytes of answers and notices that have been sent and that the peer has not shown to have
/// taken: queues behind a link have no bound of their own. A ping carries how much went before it, and its
/// return says that all of that has arrived.
#[derive(Debug)]
pub struct Window {
    sent: AtomicU64,
    asked: AtomicU64,
    arrived: AtomicU64,
    bytes_max: u64,
}

impl Window {
    /// At most so many bytes on their way.
    pub fn new(bytes_max: u64) -> Self {
        Self { sent: AtomicU64::new(0), asked: AtomicU64::new(0), arrived: AtomicU64::new(0), bytes_max }
    }

    /// Counts a message in and says whether it is time for a ping; `None` when there is no room.
    pub fn send(&self, bytes: u64) -> Option<bool> {
        let arrived = self.arrived.load(Ordering::Acquire);
        let more = |sent: u64| (sent + bytes - arrived.min(sent) <= self.bytes_max).then_some(sent + bytes);
        let before = self.sent.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        let asked = self.asked.load(Ordering::Acquire);
        let due = before + bytes > asked + self.bytes_max / 8;
        Some(due && self.asked.compare_exchange(asked, before + bytes, Ordering::AcqRel, Ordering::Acquire).is_ok())
    }

    /// What a ping says.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// A ping came back.
    pub fn arrived(&self, bytes_before: u64) {
        self.arrived.fetch_max(bytes_before.min(self.sent()), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_end_at_either_limit_and_come_back() {
        let credits = Credits::new(2, 100);
        credits.take(40).unwrap();
        assert_eq!(credits.take(61), Err(Taken { count: 1, bytes: 40 }));
        credits.take(60).unwrap();
        assert_eq!(credits.take(0), Err(Taken { count: 2, bytes: 100 }));
        credits.give_back(40);
        credits.take(40).unwrap();
        credits.give_back(40);
        credits.give_back(60);
        assert_eq!(credits.taken(), Taken { count: 0, bytes: 0 });
    }

    #[test]
    fn a_window_opens_when_a_ping_returns() {
        let window = Window::new(800);
        assert_eq!(window.send(100), Some(false));
        assert_eq!(window.send(1), Some(true), "an eighth is on its way: ask how far it got");
        assert_eq!(window.send(700), None);
        let marked = window.sent();
        assert_eq!(window.send(600), Some(true));
        window.arrived(marked);
        assert_eq!(window.send(200), Some(true));
        assert_eq!(window.send(1), None);
        window.arrived(u64::MAX);
        assert_eq!(window.send(800), Some(true));
    }
}
