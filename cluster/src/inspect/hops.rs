//! The hops of requests, for whoever asks for the path of one: in memory, bounded in bytes, the oldest go first.
//!
//! Which traces are kept is a matter of their ids alone: those whose lowest bits are below a share, which falls when
//! more hops come in a second than the budget has and rises again after. So nodes agree without asking each other, as
//! far as they are equally busy, and a trace is kept whole or not at all. Up to the budget every trace is kept; while
//! somebody follows commands the budget is greater. A hop that is not kept costs a look at an atomic.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::path::HopReport;
use crate::trace::{Hex, Traceparent};

/// Bytes of all hops that a node keeps, with the queues' spare room: about 45,000.
pub const BYTES_MAX: usize = 10 * 1024 * 1024;
/// Hops under way; while there are so many no other is begun, and what it would have led to is told as detached.
pub const UNDER_WAY_MAX: usize = 2_048;
/// Hops a second beyond which a node keeps a share of the traces only: so the memory reaches back for most of a
/// minute under any load, and keeping costs a fraction of a thousandth of a processor.
pub const PER_S: u64 = 1_000;
/// The same while somebody follows commands.
pub const PER_S_FOLLOWED: u64 = 10_000;
/// Hops of one trace that one node tells of; the first ones.
pub const TOLD_MAX: usize = 1_000;
/// And their bytes, so that an answer stays small in memory and on a link.
pub const TOLD_BYTES_MAX: usize = 128 * 1024;
/// The longest text of one hop; what is noted beyond is left out.
pub(super) const TEXT_BYTES_MAX: usize = 512;
/// Traces are spread over so many locks.
const RINGS: usize = 16;
/// All traces.
const ALL: u32 = 1 << 16;

/// What this process keeps: there is one node in it.
pub(crate) static HOPS: Hops = Hops::new();

/// See the module.
pub(crate) struct Hops {
    /// Of 65,536 traces so many are kept; 0 until a node can be asked.
    share: AtomicU32,
    /// Hops since they were counted last.
    counted: AtomicU64,
    under_way: AtomicUsize,
    rings: [Mutex<Ring>; RINGS],
}

struct Ring {
    hops: VecDeque<Hop>,
    /// Of all their texts.
    text_bytes: usize,
}

struct Hop {
    trace_id: u128,
    span_id: u64,
    /// 0 for none.
    parent: u64,
    began_at_us: i64,
    took_us: u64,
    what: &'static str,
    /// Its name, then lines of `field=value`.
    text: Box<str>,
}

/// A hop that is under way.
#[derive(Debug)]
pub(crate) struct Begun {
    own: Traceparent,
    parent: u64,
    what: &'static str,
    text: Mutex<String>,
    began_at_us: i64,
    began: Instant,
}

impl Hops {
    const fn new() -> Self {
        let rings = [const { Mutex::new(Ring { hops: VecDeque::new(), text_bytes: 0 }) }; RINGS];
        Self { share: AtomicU32::new(0), counted: AtomicU64::new(0), under_way: AtomicUsize::new(0), rings }
    }

    /// Begins to keep hops, if they are not kept already.
    pub(crate) fn begin(&self) {
        let _ = self.share.compare_exchange(0, ALL, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the hops of a trace are kept just now.
    pub(crate) fn wants(&self, trace: Traceparent) -> bool {
        #[allow(clippy::cast_possible_truncation, reason = "its lowest bits are wanted")]
        let lowest = u32::from(trace.trace_id as u16);
        trace.is_sampled()
            && lowest < self.share.load(Ordering::Relaxed)
            && self.under_way.load(Ordering::Relaxed) < UNDER_WAY_MAX
    }

    fn push(&self, hop: Hop) {
        self.counted.fetch_add(1, Ordering::Relaxed);
        self.ring(hop.trace_id).push(hop);
    }

    /// Fits the share of traces to what has come in the last second.
    pub(crate) fn adjust(&self, is_followed: bool) {
        let budget = if is_followed { PER_S_FOLLOWED } else { PER_S };
        let came = self.counted.swap(0, Ordering::Relaxed);
        let share = self.share.load(Ordering::Relaxed);
        let fitting = match came {
            _ if share == 0 => return,
            came if came > budget => u32::try_from(u64::from(share) * budget / came).unwrap_or(ALL).max(1),
            came if came < budget / 2 => share.saturating_mul(2).min(ALL),
            _ => share,
        };
        self.share.store(fitting, Ordering::Relaxed);
    }

    /// The hops of a trace, as they ended, and how many more there are.
    pub(crate) fn of(&self, trace_id: u128) -> (Vec<HopReport>, u64) {
        let ring = self.ring(trace_id);
        let (mut told, mut bytes, mut left_out) = (Vec::new(), 0, 0);
        for hop in ring.hops.iter().filter(|hop| hop.trace_id == trace_id) {
            bytes += size_of::<Hop>() + hop.text.len();
            if told.len() < TOLD_MAX && bytes <= TOLD_BYTES_MAX {
                told.push(hop.report());
            } else {
                left_out += 1;
            }
        }
        (told, left_out)
    }

    fn ring(&self, trace_id: u128) -> std::sync::MutexGuard<'_, Ring> {
        let place = (trace_id >> 16) as usize % RINGS;
        self.rings[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    const BYTES_MAX: usize = BYTES_MAX / RINGS;

    fn push(&mut self, hop: Hop) {
        // A full queue would double its room: where there is none for that, the oldest goes.
        let (length, room) = (self.hops.len(), self.hops.capacity());
        if length == room && self.bytes(2 * room) > Self::BYTES_MAX {
            self.forget_oldest();
        }
        self.text_bytes += hop.text.len();
        self.hops.push_back(hop);
        while self.bytes(self.hops.capacity()) > Self::BYTES_MAX && self.forget_oldest() {
            // Hops have become longer: what they leave of the queue's room is theirs.
            if self.hops.len() < self.hops.capacity() / 4 {
                self.hops.shrink_to(self.hops.capacity() / 2);
            }
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.hops.pop_front();
        self.text_bytes -= oldest.as_ref().map_or(0, |hop| hop.text.len());
        oldest.is_some()
    }

    /// With room for so many.
    fn bytes(&self, room: usize) -> usize {
        room * size_of::<Hop>() + self.text_bytes
    }
}

impl Hop {
    fn report(&self) -> HopReport {
        let mut lines = self.text.split('\n');
        let id = |id: u64| Hex { value: u128::from(id), digits: 16 }.to_string();
        HopReport {
            span: id(self.span_id),
            parent: if self.parent == 0 { String::new() } else { id(self.parent) },
            what: self.what.to_owned(),
            name: lines.next().unwrap_or_default().to_owned(),
            began_at_us: self.began_at_us,
            took_us: self.took_us,
            details: lines
                .filter_map(|line| line.split_once('='))
                .map(|(field, value)| (field.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

impl Begun {
    /// A hop with its own identity, below another or at the root.
    pub(crate) fn new(own: Traceparent, parent: u64, what: &'static str, name: String) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_at_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        HOPS.under_way.fetch_add(1, Ordering::Relaxed);
        Self { own, parent, what, text: Mutex::new(one_line(name)), began_at_us, began: Instant::now() }
    }

    /// Adds what was not known at the beginning.
    pub(crate) fn note(&self, field: &str, value: impl std::fmt::Display) {
        let line = one_line(format!("{field}={value}"));
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() + line.len() < TEXT_BYTES_MAX {
            text.push('\n');
            text.push_str(&line);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        HOPS.under_way.fetch_sub(1, Ordering::Relaxed);
        let text = std::mem::take(self.text.get_mut().unwrap_or_else(PoisonError::into_inner));
        HOPS.push(Hop {
            trace_id: self.own.trace_id,
            span_id: self.own.span_id,
            parent: self.parent,
            began_at_us: self.began_at_us,
            took_us: u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            what: self.what,
            text: text.into_boxed_str(),
        });
    }
}

/// No line of a hop's text ends but where the next begins.
fn one_line(mut text: String) -> String {
    if text.contains('\n') {
        text = text.replace('\n', " ");
    }
    if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= TEXT_BYTES_MAX) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(trace_id: u128, span_id: u64) -> Hop {
        let text = "cart.cart/u-1\noutcome=accepted\nevents=2".into();
        Hop { trace_id, span_id, parent: 7, began_at_us: 5, took_us: 3, what: "decide", text }
    }

    fn trace(trace_id: u128) -> Traceparent {
        Traceparent { trace_id, ..Traceparent::start() }
    }

    #[test]
    fn hops_are_found_by_their_trace() {
        let hops = Hops::new();
        for span in 1..=3 {
            hops.push(hop(9, span));
            hops.push(hop(10, span));
        }
        let (found, more) = hops.of(9);
        assert_eq!((found.len(), more, hops.of(11).0.len()), (3, 0, 0));
        assert_eq!((&*found[1].span, &*found[1].parent), ("0000000000000002", "0000000000000007"));
        assert_eq!((&*found[0].name, &*found[0].details["outcome"]), ("cart.cart/u-1", "accepted"));
        let short = |span| Hop { text: "cart.cart/u-1".into(), ..hop(12, span) };
        (0..TOLD_MAX as u64 + 4).for_each(|span| hops.push(short(span)));
        assert_eq!((hops.of(12).0.len(), hops.of(12).1), (TOLD_MAX, 4));
    }

    #[test]
    fn the_oldest_go_when_the_memory_is_full() {
        let hops = Hops::new();
        // How many are kept, and the bytes of their texts.
        let full = || {
            let ring = hops.ring(2);
            let bytes = ring.bytes(ring.hops.capacity());
            assert!(bytes <= Ring::BYTES_MAX, "{} hops in {bytes} bytes", ring.hops.len());
            (ring.hops.len(), ring.text_bytes)
        };
        hops.push(hop(1, 1));
        (0..20_000).for_each(|span| hops.push(hop(2, span)));
        assert_eq!(hops.of(1).0.len(), 0);
        assert!(full().0 > 3_000);
        // Room that was made for many short ones counts when they get longer, and is given back.
        (0..20_000).for_each(|span| hops.push(Hop { text: "x".repeat(TEXT_BYTES_MAX).into(), ..hop(2, span) }));
        let (kept, text_bytes) = full();
        assert!(kept > 900, "{kept}");
        assert_eq!(text_bytes, kept * TEXT_BYTES_MAX);
        (0..20_000).for_each(|span| hops.push(hop(2, span)));
        assert!(full().0 > 3_000);
    }

    #[test]
    fn an_answer_is_bounded_in_bytes() {
        let hops = Hops::new();
        (0..500).for_each(|span| hops.push(Hop { text: "x".repeat(TEXT_BYTES_MAX).into(), ..hop(2, span) }));
        let (told, left_out) = hops.of(2);
        assert_eq!(told.len(), TOLD_BYTES_MAX / (size_of::<Hop>() + TEXT_BYTES_MAX));
        assert_eq!(told.len() as u64 + left_out, 500);
    }

    #[test]
    fn a_busy_node_keeps_a_share_of_the_traces_and_nodes_agree_which() {
        let hops = Hops::new();
        assert!(!hops.wants(trace(0)), "nothing is kept before a node can be asked");
        hops.begin();
        assert!(hops.wants(trace(u128::MAX)));
        assert!(!hops.wants(Traceparent { flags: 0, ..trace(1) }), "who asked does not want it kept");
        hops.counted.store(4 * PER_S, Ordering::Relaxed);
        hops.adjust(false);
        assert_eq!([0x3fff, 0x4000].map(|id| hops.wants(trace(id))), [true, false]);
        hops.counted.store(4 * PER_S, Ordering::Relaxed);
        hops.adjust(true);
        assert!(hops.wants(trace(0x7fff)), "more is kept while somebody follows");
        (0..3).for_each(|_| hops.adjust(false));
        assert!(hops.wants(trace(0xffff)));
    }
}
