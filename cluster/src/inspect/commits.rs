//! What is counted of transactions: of those of one lane of a journal, and of those that a shard was part of.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counts::Lately;
use super::report::CommitReport;
use crate::store::CommitError;
use crate::time::Timestamp;

/// How a transaction can end.
const OUTCOMES: [&str; 7] = ["committed", "collision", "repeat", "unknown", "not_begun", "refused", "gap"];

/// How often something happened, and how often lately.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    /// When it was looked at last.
    before: AtomicU64,
    milli_per_s: AtomicU64,
}

/// Transactions.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    commits: Counter,
    /// Decisions and waiting reads in them, whoever's.
    commands: Counter,
    /// Rows: of the lane, or of the shard.
    rows: Counter,
    took: Lately,
}

/// What is counted of a shard.
#[derive(Debug, Default)]
pub(crate) struct ShardSeen {
    pub loaded: AtomicI64,
    pub commands: Counter,
    pub commits: Commits,
}

/// What is counted of a lane.
#[derive(Debug, Default)]
pub(crate) struct LaneSeen {
    pub commits: Commits,
    ended: [AtomicU64; OUTCOMES.len()],
    /// The last failure and when it was.
    failure: Mutex<Option<(i64, String)>>,
    /// Since when a transaction has been under way.
    under_way: Mutex<Option<Instant>>,
}

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// So long is it since the last turn.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate to look at")]
    #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
    pub(crate) fn turn(&self, seconds: f64) {
        let count = self.count();
        let came = count.saturating_sub(self.before.swap(count, Ordering::Relaxed));
        self.milli_per_s.store((came as f64 * 1000.0 / seconds.max(0.001)) as u64, Ordering::Relaxed);
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
    pub(crate) fn per_s(&self) -> f64 {
        self.milli_per_s.load(Ordering::Relaxed) as f64 / 1000.0
    }
}

impl Commits {
    pub(crate) fn committed(&self, commands: usize, rows: u64, took: Duration) {
        self.commits.add(1);
        self.commands.add(commands as u64);
        self.rows.add(rows);
        self.took.note(took);
    }

    /// So long is it since the last turn; with `is_over` the times of the window before the present one go.
    pub(crate) fn turn(&self, seconds: f64, is_over: bool) {
        for counter in [&self.commits, &self.commands, &self.rows] {
            counter.turn(seconds);
        }
        if is_over {
            self.took.turn();
        }
    }

    pub(crate) fn report(&self) -> CommitReport {
        let per_s = self.commits.per_s();
        let each = |of: &Counter| if per_s > 0.0 { of.per_s() / per_s } else { 0.0 };
        let took = self.took.times();
        CommitReport {
            commits: self.commits.count(),
            commits_per_s: per_s,
            commands_each: each(&self.commands),
            rows_each: each(&self.rows),
            p50_us: took.quantile(50),
            p99_us: took.quantile(99),
        }
    }
}

impl ShardSeen {
    pub(crate) fn turn(&self, seconds: f64, is_over: bool) {
        self.commands.turn(seconds);
        self.commits.turn(seconds, is_over);
    }
}

impl LaneSeen {
    /// A transaction is sent.
    pub(crate) fn begins(&self) {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// It has ended, one way or the other.
    pub(crate) fn ends(&self, error: Option<&CommitError>) {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let outcome = error.map_or(0, |error| match error {
            CommitError::Collision => 1,
            CommitError::Repeat(_) => 2,
            CommitError::Unknown(_) => 3,
            CommitError::NotBegun(_) => 4,
            CommitError::Refused(_) => 5,
            CommitError::Gap { .. } => 6,
        });
        self.ended[outcome].fetch_add(1, Ordering::Relaxed);
        if let Some(error) = error {
            let failure = (Timestamp::now().0, error.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
    }

    /// How transactions ended that did not simply succeed.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        let all = OUTCOMES.iter().zip(&self.ended).skip(1);
        let counted = all.map(|(word, count)| ((*word).to_owned(), count.load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn last_failure(&self) -> Option<(i64, String)> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For how long the present transaction has been under way.
    pub(crate) fn under_way(&self) -> Option<Duration> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_sizes_are_of_the_last_turn_and_times_of_two_windows() {
        let commits = Commits::default();
        for micros in [100, 100, 100, 900] {
            commits.committed(8, 12, Duration::from_micros(micros));
        }
        commits.turn(2.0, true);
        let report = commits.report();
        assert_eq!((report.commits, report.commits_per_s, report.commands_each, report.rows_each), (4, 2.0, 8.0, 12.0));
        assert_eq!((report.p50_us, report.p99_us), (127, 1023));
        commits.turn(2.0, true);
        let report = commits.report();
        assert_eq!((report.commits, report.commits_per_s, report.commands_each, report.p99_us), (4, 0.0, 0.0, 0));
    }

    #[test]
    fn failures_of_a_lane_are_told_by_kind_with_the_last_one() {
        let lane = LaneSeen::default();
        lane.begins();
        assert!(lane.under_way().is_some());
        lane.ends(None);
        lane.ends(Some(&CommitError::Collision));
        assert_eq!((lane.failures(), lane.under_way()), ([("collision".to_owned(), 1)].into(), None));
        assert!(lane.last_failure().is_some_and(|(at_ms, said)| at_ms > 0 && !said.is_empty()));
    }
}
