//! Traces: who a request belongs to (W3C Trace Context), and the spans of this crate.
//!
//! A trace goes with every ask, decision, journal row and effect, and over every link. Where spans are wanted, each
//! of these steps opens one below the step that led to it and hands itself on as the parent of the next, so that a
//! viewer shows request → `ask` → (`link`) → `decide` → `commit` → `effect` → `ask` → … as one tree. Relations stand
//! in the fields `trace_id`, `span_id` and `parent_span_id`, since they reach over tasks, commits and nodes.
//!
//! A node also keeps hops in memory, for whoever asks for the path of a request (`inspect/hops.rs`).
//!
//! Nothing is drawn or formatted where nobody wants spans: [`Step::below`] then costs a look at two atomics.

use std::fmt;

use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span, debug_span};

use crate::inspect::hops::{Begun, HOPS};
use crate::reference::{Address, Key, Kind};

/// The target of the spans of this crate. Their level is debug, so that only who asks for them has them.
pub const TARGET: &str = "nakku::trace";

/// Version 00 of the header `traceparent`: trace id, span id and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    /// Never 0.
    pub trace_id: u128,
    /// Never 0.
    pub span_id: u64,
    /// Bit 0: sampled.
    pub flags: u8,
}

impl Traceparent {
    /// A new trace.
    pub fn start() -> Self {
        Self { trace_id: rand::random::<u128>().max(1), span_id: rand::random::<u64>().max(1), flags: 1 }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: rand::random::<u64>().max(1), ..self }
    }

    /// Whether spans of this trace are to be kept.
    pub fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    /// The trace id as it is written.
    pub fn trace_hex(self) -> impl fmt::Display {
        Hex { value: self.trace_id, digits: 32 }
    }

    /// The span id as it is written.
    pub fn span_hex(self) -> impl fmt::Display {
        Hex { value: u128::from(self.span_id), digits: 16 }
    }

    /// Reads the header; nothing when it is malformed, as the standard asks.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let well_formed = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2) && version != "ff";
        // Version 00 ends here; later ones may go on.
        if !well_formed || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let read = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (read.trace_id != 0 && read.span_id != 0).then_some(read)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// A number as ids are written.
pub(crate) struct Hex {
    pub value: u128,
    pub digits: usize,
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0digits$x}", self.value, digits = self.digits)
    }
}

/// One step of a trace. It lasts until it is dropped.
#[derive(Debug)]
pub struct Step {
    span: Span,
    /// Kept in memory when it ends.
    kept: Option<Box<Begun>>,
    /// What the next step has as its parent.
    pub(crate) traceparent: Option<Traceparent>,
}

/// A span below another with its identity, and fields that differ.
macro_rules! span {
    ($parent:ident, $own:ident, $name:literal, $($fields:tt)*) => {
        debug_span!(
            target: TARGET,
            parent: None,
            $name,
            trace_id = %$own.trace_hex(),
            span_id = %$own.span_hex(),
            parent_span_id = %$parent.span_hex(),
            $($fields)*
        )
    };
}

impl Step {
    /// A request of the outside, whose span is the caller's; kept in memory only.
    pub fn request(own: Traceparent, parent: Option<Traceparent>, name: impl FnOnce() -> String) -> Self {
        let parent = parent.map_or(0, |parent| parent.span_id);
        let kept = HOPS.wants(own).then(|| Box::new(Begun::new(own, parent, "request", name())));
        Self { span: Span::none(), kept, traceparent: Some(own) }
    }

    /// An ask as the one sees it who asks.
    pub(crate) fn ask(around: Option<Traceparent>, target: &Address) -> Self {
        Self::below(
            around,
            |parent, own| {
                let key = target.key.as_str();
                span!(parent, own, "ask", kind = &*target.kind, key, node = Empty, outcome = Empty)
            },
            || ("ask", target.to_string()),
        )
    }

    /// What another node has sent.
    pub(crate) fn link(around: Option<Traceparent>, from: &str, kind: &str) -> Self {
        let span = |parent: Traceparent, own: Traceparent| span!(parent, own, "link", from, kind);
        let step = Self::below(around, span, || ("link", format!("from {from}")));
        if let Some(kept) = &step.kept {
            kept.note("kind", kind);
        }
        step
    }

    /// An entity's decision.
    pub(crate) fn decide(around: Option<Traceparent>, kind: Kind, key: &Key) -> Self {
        Self::below(
            around,
            |parent, own| {
                span!(parent, own, "decide", kind = display(kind), key = key.as_str(), outcome = Empty, events = Empty)
            },
            || ("decide", format!("{kind}/{key}")),
        )
    }

    /// A decision's way through the journal, from hand-in to durable. Many share a transaction; `lane` and `batch`
    /// say which.
    pub(crate) fn commit(around: Option<Traceparent>, kind: Kind, key: &Key) -> Self {
        Self::below(
            around,
            |parent, own| {
                let (kind, key) = (display(kind), key.as_str());
                span!(parent, own, "commit", kind, key, outcome = Empty, lane = Empty, batch = Empty, commands = Empty)
            },
            || ("commit", format!("{kind}/{key}")),
        )
    }

    /// An effect of an entity, with all its attempts.
    pub(crate) fn effect(around: Option<Traceparent>, from: &Address, step: &'static str) -> Self {
        let kept = Self::below(
            around,
            |parent, own| {
                let key = from.key.as_str();
                span!(parent, own, "effect", kind = &*from.kind, key, step, failed_attempts = Empty)
            },
            || ("effect", from.to_string()),
        );
        if let Some(kept) = &kept.kept {
            kept.note("step", step);
        }
        kept
    }

    /// An effect's call to a provider outside.
    pub(crate) fn provider(around: Option<Traceparent>, provider: &'static str) -> Self {
        Self::below(
            around,
            |parent, own| span!(parent, own, "provider", provider, outcome = Empty),
            || ("provider", provider.to_owned()),
        )
    }

    fn below(
        around: Option<Traceparent>,
        open: impl FnOnce(Traceparent, Traceparent) -> Span,
        keep: impl FnOnce() -> (&'static str, String),
    ) -> Self {
        let nothing = Self { span: Span::none(), kept: None, traceparent: around };
        let Some(parent) = around.filter(|parent| parent.is_sampled()) else { return nothing };
        let (is_spanned, is_kept) = (Level::DEBUG <= LevelFilter::current(), HOPS.wants(parent));
        if !is_spanned && !is_kept {
            return nothing;
        }
        let own = parent.child();
        let span = if is_spanned { open(parent, own) } else { Span::none() };
        // Debug lines may be wanted without these spans: then nobody would know the parent.
        if span.is_disabled() && !is_kept {
            return nothing;
        }
        let kept = is_kept.then(|| {
            let (what, name) = keep();
            Box::new(Begun::new(own, parent.span_id, what, name))
        });
        Self { span, kept, traceparent: Some(own) }
    }

    /// The trace that it is of, for a log line.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.traceparent.map(|one| one.trace_hex().to_string())
    }

    /// Adds what was not known at the beginning.
    pub fn note<V: tracing::Value + fmt::Display>(&self, field: &'static str, value: V) {
        if let Some(kept) = &self.kept {
            kept.note(field, &value);
        }
        self.span.record(field, value);
    }

    /// Adds what only the memory has: what it takes to say so is spent for hops that are kept.
    pub(crate) fn keep<V: fmt::Display>(&self, field: &'static str, value: impl FnOnce() -> V) {
        if let Some(kept) = &self.kept {
            kept.note(field, value());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = Traceparent::parse(text).unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(format!("00-{}-{}-01", read.trace_hex(), read.span_hex()), text);
        let child = read.child();
        assert_eq!(child.trace_id, read.trace_id);
        assert_ne!(child.span_id, read.span_id);
        assert!(Traceparent::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }

    #[test]
    fn malformed_traceparents_are_ignored() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(text), None, "{text}");
        }
    }

    /// With a subscriber of its own: what other tests want is nothing to this one.
    fn wanting<T>(level: Level, work: impl FnOnce() -> T) -> T {
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::sink).finish();
        tracing::subscriber::with_default(subscriber, work)
    }

    // One test, since who wants a span is remembered by the process and not by the thread.
    #[test]
    fn a_trace_is_handed_on_as_it_came_unless_spans_are_wanted_and_it_is_sampled() {
        let given = Traceparent::start();
        let step = wanting(Level::INFO, || Step::link(Some(given), "node-1", "cart.cart"));
        assert_eq!((step.traceparent, step.span.is_disabled()), (Some(given), true));

        let step = wanting(Level::DEBUG, || Step::link(Some(given), "node-1", "cart.cart"));
        let own = step.traceparent.unwrap();
        assert!(own.trace_id == given.trace_id && own.span_id != given.span_id && !step.span.is_disabled());

        let unsampled = Traceparent { flags: 0, ..given };
        for trace in [None, Some(unsampled)] {
            let step = wanting(Level::DEBUG, || Step::link(trace, "node-1", "cart.cart"));
            assert_eq!((step.traceparent, step.span.is_disabled()), (trace, true));
        }
    }
}
