//! Commands of one kind by name: how often, how they ended, how long they took. Relaxed atomics only.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::report::CommandReport;
use crate::error::Failure;
use crate::handle::Outcome;

/// Names of commands that are told apart per kind; further ones count as the last.
pub const NAMES_MAX: usize = 40;
/// The longest name that is kept.
const NAME_BYTES_MAX: usize = 48;
/// Two to each power of two of microseconds.
const BUCKETS: usize = 64;
/// How a command can end.
const OUTCOMES: [&str; 11] = [
    "accepted",
    "rejected",
    "overloaded",
    "moved",
    "unavailable",
    "timed_out",
    "cycle",
    "crashed",
    "quarantined",
    "expired",
    "invalid",
];

/// All commands of one kind.
pub(crate) struct Counts(Box<[Slot]>);

#[derive(Default)]
struct Slot {
    name: OnceLock<Box<str>>,
    ended: [AtomicU64; OUTCOMES.len()],
    /// The present window and the one before it, in turns.
    windows: [Window; 2],
}

/// How often something took how long.
#[derive(Debug)]
struct Window([AtomicU32; BUCKETS]);

/// How long something took lately: in the present window and the one before it.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    windows: [Window; 2],
    present: AtomicUsize,
}

impl Default for Window {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKETS])
    }
}

impl Lately {
    pub(crate) fn note(&self, took: Duration) {
        self.windows[self.present.load(Ordering::Relaxed) & 1].0[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// Begins the next window.
    pub(crate) fn turn(&self) {
        let next = (self.present.load(Ordering::Relaxed) + 1) & 1;
        self.windows[next].0.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        self.present.store(next, Ordering::Relaxed);
    }

    pub(crate) fn times(&self) -> Times {
        let mut times = Times::default();
        times.add(&self.windows);
        times
    }
}

/// How an outcome counts.
pub(crate) fn class(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Reply { .. } => 0,
        Outcome::Rejected { .. } => 1,
        Outcome::Failed(failure) => match failure {
            Failure::Overloaded { .. } => 2,
            Failure::Moved { .. } => 3,
            Failure::Unavailable { .. } => 4,
            Failure::TimedOut => 5,
            Failure::Cycle { .. } => 6,
            Failure::Crashed { .. } => 7,
            Failure::Quarantined { .. } => 8,
            Failure::Expired => 9,
            Failure::Invalid { .. } => 10,
        },
    }
}

/// The word for a class.
pub(crate) fn word(class: usize) -> &'static str {
    OUTCOMES.get(class).copied().unwrap_or("unknown")
}

/// The name of a command as it travels: the value of its member `command`, or of its first member otherwise.
pub(crate) fn command_name(json: &[u8]) -> &str {
    let mut texts = json.split(|byte| *byte == b'"');
    let first = texts.nth(1).unwrap_or_default();
    let name = if first == b"command" { texts.nth(1).unwrap_or_default() } else { first };
    let name = &name[..name.len().min(NAME_BYTES_MAX)];
    std::str::from_utf8(name).unwrap_or_default()
}

impl Counts {
    pub(crate) fn new() -> Self {
        Self((0..NAMES_MAX).map(|_| Slot::default()).collect())
    }

    /// Where commands of this name count. A kind has few, so they are looked through.
    pub(crate) fn slot(&self, name: &str) -> usize {
        for (index, slot) in self.0.iter().enumerate() {
            if slot.name.get_or_init(|| name.into()).as_ref() == name {
                return index;
            }
        }
        NAMES_MAX - 1
    }

    pub(crate) fn name(&self, slot: usize) -> &str {
        self.0.get(slot).and_then(|slot| slot.name.get()).map_or("", |name| name)
    }

    /// A command was answered; `window` is 0 or 1.
    pub(crate) fn ended(&self, slot: usize, class: usize, took: Duration, window: usize) {
        let Some(slot) = self.0.get(slot) else { return };
        slot.ended[class].fetch_add(1, Ordering::Relaxed);
        slot.windows[window & 1].0[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// Begins a window anew.
    pub(crate) fn clear(&self, window: usize) {
        for slot in self.used() {
            slot.windows[window & 1].0.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        }
    }

    /// How many were answered so far, and how many of them were not accepted.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.used().fold((0, 0), |(all, refused), slot| {
            let counts = slot.ended.iter().map(|one| one.load(Ordering::Relaxed));
            let sum: u64 = counts.sum();
            (all + sum, refused + sum - slot.ended[0].load(Ordering::Relaxed))
        })
    }

    /// Adds the buckets of both windows.
    pub(crate) fn add_times(&self, into: &mut Times) {
        self.used().for_each(|slot| into.add(&slot.windows));
    }

    /// What it all says; both windows together are `seconds` long.
    pub(crate) fn report(&self, seconds: f64) -> Vec<CommandReport> {
        let report = |slot: &Slot| {
            let mut times = Times::default();
            times.add(&slot.windows);
            let outcomes: BTreeMap<String, u64> = slot
                .ended
                .iter()
                .zip(OUTCOMES)
                .map(|(count, word)| (word.to_owned(), count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect();
            #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
            let per_s = times.count() as f64 / seconds.max(1.0);
            CommandReport {
                command: slot.name.get().map(|name| name.to_string()).unwrap_or_default(),
                count: outcomes.values().sum(),
                per_s,
                outcomes,
                p50_us: times.quantile(50),
                p95_us: times.quantile(95),
                p99_us: times.quantile(99),
            }
        };
        self.used().map(report).filter(|report| report.count > 0).collect()
    }

    fn used(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().take_while(|slot| slot.name.get().is_some())
    }
}

/// How long commands took.
pub(crate) struct Times([u64; BUCKETS]);

impl Default for Times {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Times {
    fn add(&mut self, windows: &[Window; 2]) {
        for window in windows {
            for (sum, count) in self.0.iter_mut().zip(&window.0) {
                *sum += u64::from(count.load(Ordering::Relaxed));
            }
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The upper bound of the bucket that so many of a hundred reach at most, in microseconds.
    pub(crate) fn quantile(&self, of_hundred: u64) -> u64 {
        let rank = (self.count() * of_hundred).div_ceil(100);
        let mut below = 0;
        for (index, count) in self.0.iter().enumerate() {
            below += count;
            if below >= rank && rank > 0 {
                return bound(index);
            }
        }
        0
    }
}

/// 0, 1, then two to each power of two.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if micros < 2 {
        return micros as usize;
    }
    let power = 63 - micros.leading_zeros() as usize;
    let half = (micros >> (power - 1)) as usize & 1;
    (2 * power + half).min(BUCKETS - 1)
}

/// The greatest number of microseconds in a bucket.
fn bound(bucket: usize) -> u64 {
    if bucket < 2 {
        return bucket as u64;
    }
    let (power, half) = (bucket / 2, bucket as u64 % 2);
    (1 << power) + ((half + 1) << (power - 1)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_their_bounds_say() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) - 1, 3 << 19, u64::from(u32::MAX)]) {
            let bucket = bucket(Duration::from_micros(micros));
            assert!(micros <= bound(bucket), "{micros}");
            assert!(bucket == 0 || micros > bound(bucket - 1), "{micros}");
        }
    }

    #[test]
    fn a_command_is_named_by_its_tag() {
        assert_eq!(command_name(br#"{"command":"place","lines":[]}"#), "place");
        assert_eq!(command_name(br#"{"consume":{"events":[]}}"#), "consume");
        assert_eq!(command_name(br#""get""#), "get");
        assert_eq!(command_name(b"17"), "");
        assert_eq!(command_name(br#"{"command":"#), "");
    }

    #[test]
    fn quantiles_are_of_both_windows() {
        let counts = Counts::new();
        let slot = counts.slot("get");
        assert_eq!(counts.slot("get"), slot);
        for micros in 1..=100 {
            counts.ended(slot, 0, Duration::from_micros(micros), usize::from(micros > 50));
        }
        let report = &counts.report(10.0)[0];
        assert_eq!((report.count, report.p50_us, report.p99_us), (100, 63, 127));
        counts.clear(1);
        assert_eq!(counts.report(10.0)[0].p99_us, 63);
        assert_eq!(counts.totals(), (100, 0));
    }

    #[test]
    fn names_beyond_the_bound_share_a_slot() {
        let counts = Counts::new();
        for number in 0..NAMES_MAX + 5 {
            let slot = counts.slot(&format!("command-{number}"));
            counts.ended(slot, 10, Duration::ZERO, 0);
        }
        assert_eq!(counts.totals(), (NAMES_MAX as u64 + 5, NAMES_MAX as u64 + 5));
        assert_eq!(counts.report(1.0).len(), NAMES_MAX);
    }
}
