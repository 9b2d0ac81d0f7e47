//! What a command touches on its way through a node, so that it can be looked at.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::counts::{Counts, class, command_name, word};
use super::hitters::{Hitters, Name};
use super::moves::Moves;
use super::points::Points;
use super::report::TailEntry;
use super::tail::Tail;
use crate::handle::Outcome;
use crate::reference::{Key, Kind};
use crate::time::Timestamp;
use crate::trace::Traceparent;

/// One command in so many is looked at for what stands out.
pub const SAMPLED: u32 = 16;
/// How long a window is.
pub(super) const WINDOW: Duration = Duration::from_secs(30);

/// Everything that a node observes.
pub(crate) struct Observer {
    kinds: HashMap<Kind, KindObserver>,
    pub messages: Hitters,
    pub time_us: Hitters,
    pub state_bytes: Hitters,
    pub tail: Tail,
    pub points: Points,
    pub moves: Moves,
    /// Which window is the present one.
    window: AtomicUsize,
    started: Instant,
    /// When the present window began, in milliseconds since the start.
    turned_ms: AtomicU64,
}

/// What is counted of one kind.
pub(crate) struct KindObserver {
    pub counts: Counts,
    pub loaded: AtomicI64,
    pub passivated: AtomicU64,
}

/// A command that is under way: it counts when it is answered.
pub struct Observation {
    observer: Arc<Observer>,
    kind: Kind,
    key: Key,
    slot: usize,
    arrived: Instant,
    trace: Option<Traceparent>,
}

impl Observer {
    pub(crate) fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self {
            kinds: kinds.into_iter().map(|kind| (kind, KindObserver::default())).collect(),
            messages: Hitters::default(),
            time_us: Hitters::default(),
            state_bytes: Hitters::default(),
            tail: Tail::default(),
            points: Points::default(),
            moves: Moves::default(),
            window: AtomicUsize::new(0),
            started: Instant::now(),
            turned_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn kind(&self, kind: Kind) -> Option<&KindObserver> {
        self.kinds.get(&kind)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&Kind, &KindObserver)> {
        self.kinds.iter()
    }

    /// Entities in memory, of one service or of all.
    pub(crate) fn loaded(&self, service: Option<&str>) -> u64 {
        let wanted = self.kinds().filter(|(kind, _)| service.is_none_or(|service| service == kind.service));
        wanted.map(|(_, seen)| u64::try_from(seen.loaded.load(Ordering::Relaxed)).unwrap_or(0)).sum()
    }

    /// A command arrives at its entity's node.
    pub(crate) fn arrived(
        self: &Arc<Self>,
        kind: Kind,
        key: &Key,
        command: &[u8],
        trace: Option<Traceparent>,
    ) -> Observation {
        let slot = self.slot(kind, command);
        Observation { observer: Arc::clone(self), kind, key: key.clone(), slot, arrived: Instant::now(), trace }
    }

    /// Where a command counts among those of its kind. Its name has to be looked for, so ask once.
    pub(crate) fn slot(&self, kind: Kind, command: &[u8]) -> usize {
        self.kind(kind).map_or(0, |one| one.counts.slot(command_name(command)))
    }

    /// A decision was made.
    pub(crate) fn decided(&self, kind: Kind, key: &Key, took: Duration) {
        if is_sampled() {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.time_us.add(&(kind, key.clone()), micros * u64::from(SAMPLED));
        }
    }

    /// A head was written.
    pub(crate) fn written(&self, kind: Kind, key: &Key, bytes: usize) {
        if is_sampled() {
            self.state_bytes.set(&(kind, key.clone()), bytes as u64);
        }
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long the two windows are together, in seconds.
    pub(crate) fn window_s(&self) -> f64 {
        let turned = Duration::from_millis(self.turned_ms.load(Ordering::Relaxed));
        let present = self.uptime().saturating_sub(turned);
        (present + turned.min(WINDOW)).as_secs_f64()
    }

    /// Begins the next window when the present one is over.
    pub(crate) fn turn(&self) {
        let uptime = self.uptime();
        if uptime < Duration::from_millis(self.turned_ms.load(Ordering::Relaxed)) + WINDOW {
            return;
        }
        let next = (self.window.load(Ordering::Relaxed) + 1) & 1;
        self.kinds.values().for_each(|one| one.counts.clear(next));
        self.window.store(next, Ordering::Relaxed);
        self.turned_ms.store(u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        for hitters in [&self.messages, &self.time_us, &self.state_bytes] {
            hitters.turn();
        }
    }
}

impl Default for KindObserver {
    fn default() -> Self {
        Self { counts: Counts::new(), loaded: AtomicI64::new(0), passivated: AtomicU64::new(0) }
    }
}

impl Observation {
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// The command is answered.
    pub(crate) fn ended(self, outcome: &Outcome) {
        let Self { observer, kind, key, slot, arrived, trace } = self;
        let Some(of_kind) = observer.kind(kind) else { return };
        let (took, class) = (arrived.elapsed(), class(outcome));
        of_kind.counts.ended(slot, class, took, observer.window.load(Ordering::Relaxed));
        let is_watched = observer.tail.is_active();
        if !is_watched && !is_sampled() {
            return;
        }
        let name: Name = (kind, key);
        if is_watched {
            observer.tail.push(TailEntry {
                number: 0,
                at_ms: Timestamp::now().0,
                entity: format!("{kind}/{}", name.1),
                command: of_kind.counts.name(slot).to_owned(),
                outcome: word(class).to_owned(),
                took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                trace: trace.map(|trace| trace.trace_hex().to_string()).unwrap_or_default(),
            });
            observer.messages.add(&name, 1);
        } else {
            observer.messages.add(&name, u64::from(SAMPLED));
        }
    }
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

fn is_sampled() -> bool {
    thread_local!(static PASSED: Cell<u32> = const { Cell::new(0) });
    PASSED.with(|passed| {
        passed.set(passed.get().wrapping_add(1));
        passed.get().is_multiple_of(SAMPLED)
    })
}
