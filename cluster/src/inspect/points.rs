//! The figures of the last quarter of an hour, and of the machine.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::report::Point;

/// How often a point is taken.
pub const POINT_EVERY: Duration = Duration::from_secs(5);
/// A quarter of an hour of them.
pub const POINTS_MAX: usize = 180;

/// See the module.
#[derive(Default)]
pub(crate) struct Points(Mutex<VecDeque<Point>>);

impl Points {
    pub(crate) fn push(&self, point: Point) {
        let mut points = self.lock();
        if points.len() >= POINTS_MAX {
            points.pop_front();
        }
        points.push_back(point);
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<Point> {
        self.lock().iter().copied().collect()
    }

    pub(crate) fn newest(&self) -> Option<Point> {
        self.lock().back().copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Point>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Processor time and memory of this process.
pub(crate) struct Machine {
    looked: Instant,
    ticks: u64,
}

/// Processor time in percent of one processor since the last look, and resident bytes.
pub(crate) struct Load {
    pub cpu_percent: f64,
    pub memory_bytes: u64,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { looked: Instant::now(), ticks: ticks() }
    }

    pub(crate) fn look(&mut self) -> Load {
        let (now, ticks) = (Instant::now(), ticks());
        let seconds = now.duration_since(self.looked).as_secs_f64().max(0.001);
        #[allow(clippy::cast_precision_loss, reason = "a figure to look at")]
        let used_s = ticks.saturating_sub(self.ticks) as f64 / rustix::param::clock_ticks_per_second() as f64;
        (self.looked, self.ticks) = (now, ticks);
        Load { cpu_percent: 100.0 * used_s / seconds, memory_bytes: resident() }
    }
}

/// Processor time of this process since its start.
#[allow(clippy::cast_precision_loss, reason = "a figure to look at")]
pub(crate) fn cpu_seconds() -> f64 {
    ticks() as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Of `/proc/self/stat`, fields 14 and 15 (proc(5)): user and system time in clock ticks.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in parentheses and may hold spaces.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Of `/proc/self/statm`, field 2 (proc(5)): resident pages.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
