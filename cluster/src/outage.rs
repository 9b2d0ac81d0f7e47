//! What the log says of something that keeps failing: a line when it begins, at most one in ten seconds while it
//! lasts, and one when it is over.
//!
//! Whoever tries again and again tells an [`Outage`] how each attempt went, and writes a line when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long it is silent after a line. What comes and goes more often has a line when it goes on for longer.
pub const QUIET: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub struct Outage {
    /// So that what works costs no lock.
    is_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of the present outage.
    began: Option<Instant>,
    failures: u64,
    /// It has had a line, so its end has one as well.
    is_told: bool,
    /// When the last line was written.
    told_at: Option<Instant>,
}

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How long it has lasted, in milliseconds.
    pub lasted_ms: u64,
    /// How many attempts have failed in that time.
    pub failures: u64,
}

impl Outage {
    /// An attempt has failed. Something when that is to be said.
    pub fn failed(&self) -> Option<Told> {
        self.failed_at(Instant::now())
    }

    /// An attempt was successful. Something when it is to be said that it is over.
    pub fn works(&self) -> Option<Told> {
        if !self.is_on.load(Ordering::Acquire) {
            return None;
        }
        self.works_at(Instant::now())
    }

    fn failed_at(&self, now: Instant) -> Option<Told> {
        let mut state = self.lock();
        self.is_on.store(true, Ordering::Release);
        let began = *state.began.get_or_insert(now);
        state.failures += 1;
        if state.told_at.is_some_and(|at| now.duration_since(at) < QUIET) {
            return None;
        }
        (state.told_at, state.is_told) = (Some(now), true);
        Some(Told { lasted_ms: ms(now.duration_since(began)), failures: state.failures })
    }

    fn works_at(&self, now: Instant) -> Option<Told> {
        let mut state = self.lock();
        self.is_on.store(false, Ordering::Release);
        let began = state.began.take()?;
        let failures = std::mem::take(&mut state.failures);
        if !std::mem::take(&mut state.is_told) {
            return None;
        }
        state.told_at = Some(now);
        Some(Told { lasted_ms: ms(now.duration_since(began)), failures })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line's outage has lasted for so many seconds and failed so often.
    fn told(seconds: u64, failures: u64) -> Option<Told> {
        Some(Told { lasted_ms: seconds * 1000, failures })
    }

    #[test]
    fn a_long_outage_has_a_line_at_both_ends_and_few_between() {
        let outage = Outage::default();
        let start = Instant::now();
        let after = |tenths: u64| start + Duration::from_millis(tenths * 100);
        assert_eq!(outage.works(), None, "nothing was wrong");
        let lines: Vec<_> = (0..=250).filter_map(|tenths| outage.failed_at(after(tenths))).collect();
        assert_eq!(lines, [told(0, 1), told(10, 101), told(20, 201)].map(|line| line.expect("a line")));
        assert_eq!(outage.works_at(after(260)), told(26, 251));
        assert_eq!(outage.works_at(after(261)), None, "said once");
    }

    #[test]
    fn what_comes_and_goes_does_not_fill_the_log() {
        let outage = Outage::default();
        let start = Instant::now();
        let mut lines = 0;
        for second in 0..60 {
            let at = start + Duration::from_secs(second);
            lines += usize::from(outage.failed_at(at).is_some());
            lines += usize::from(outage.works_at(at + Duration::from_millis(500)).is_some());
        }
        assert!((10..=12).contains(&lines), "{lines} lines in a minute");
        // One that begins in a silent time is told when it lasts.
        let (at, later) = (start + Duration::from_secs(61), start + Duration::from_secs(71));
        assert_eq!((outage.failed_at(at), outage.failed_at(later)), (None, told(10, 2)));
    }
}
