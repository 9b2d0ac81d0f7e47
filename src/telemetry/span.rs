//! Notes the spans of this node with the trace that each belongs to.
//!
//! Trace ids are not made here: they come in by HTTP or are drawn at the edge, and travel in every message between
//! nodes. A span says which trace it belongs to by its fields: `trace_id` and `span_id` (hexadecimal) when it has
//! an identity already, or `traceparent` (W3C) when it continues what another node began. Spans below it inherit.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSpan {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Of the span around it, here or on another node; empty for the first of a trace.
    pub parent_span_id: String,
    /// Such as `request`.
    pub name: &'static str,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// Its other fields, at most [`ATTRIBUTES_MAX`].
    pub attributes: Vec<(&'static str, String)>,
}

/// Fields that are kept of one span.
pub const ATTRIBUTES_MAX: usize = 32;
/// Bytes that are kept of one field.
pub const ATTRIBUTE_BYTES_MAX: usize = 256;

/// Hands spans that have ended to the exporter; when that is behind, they are dropped and counted.
#[derive(Debug)]
pub struct SpanLayer {
    ended: mpsc::Sender<EndedSpan>,
}

impl SpanLayer {
    /// Sends to this queue.
    pub fn new(ended: mpsc::Sender<EndedSpan>) -> Self {
        Self { ended }
    }
}

/// What a [`SpanLayer`] wants: the steps of requests, and our other spans that are worth a log line. Everything else
/// (events, finer spans, what libraries note) stays switched off at its source.
pub fn wanted() -> FilterFn {
    let wanted = |metadata: &Metadata<'_>| {
        let ours = || metadata.target().starts_with("nakku") && *metadata.level() <= Level::INFO;
        metadata.is_span() && (metadata.target() == nakku_cluster::trace::TARGET || ours())
    };
    FilterFn::new(wanted as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::DEBUG)
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if fields.unsampled {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let around = span.scope().skip(1).find_map(|outer| {
            outer.extensions().get::<EndedSpan>().map(|one| (one.trace_id.clone(), one.span_id.clone()))
        });
        let (trace_id, parent_span_id) = match (fields.trace_id.take(), fields.traceparent.take(), around) {
            (Some(trace_id), _, _) => (trace_id, fields.parent_span_id.take().unwrap_or_default()),
            (None, Some(traceparent), _) => traceparent,
            (None, None, Some(around)) => around,
            // What belongs to no trace (housekeeping, start-up) is not sent.
            (None, None, None) => return,
        };
        let span_id = fields.span_id.take().unwrap_or_else(|| format!("{:016x}", rand::random::<u64>().max(1)));
        span.extensions_mut().insert(EndedSpan {
            trace_id,
            span_id,
            parent_span_id,
            name: span.name(),
            start_ns: now_ns(),
            end_ns: 0,
            attributes: fields.others,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(noted) = span.extensions_mut().get_mut::<EndedSpan>() {
            let mut fields = Fields { others: std::mem::take(&mut noted.attributes), ..Fields::default() };
            values.record(&mut fields);
            noted.attributes = fields.others;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let noted = span.extensions_mut().remove::<EndedSpan>();
        if let Some(noted) = noted
            && self.ended.try_send(EndedSpan { end_ns: now_ns(), ..noted }).is_err()
        {
            super::export::DROPPED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// What a span says of itself.
#[derive(Debug, Default)]
struct Fields {
    trace_id: Option<String>,
    span_id: Option<String>,
    parent_span_id: Option<String>,
    /// Trace and span.
    traceparent: Option<(String, String)>,
    others: Vec<(&'static str, String)>,
    /// The trace is not to be kept.
    unsampled: bool,
}

impl Fields {
    fn note(&mut self, field: &Field, value: String) {
        match field.name() {
            "trace_id" if is_hex(&value, 32) => self.trace_id = Some(value),
            "span_id" if is_hex(&value, 16) => self.span_id = Some(value),
            "parent_span_id" if is_hex(&value, 16) => self.parent_span_id = Some(value),
            "traceparent" => self.traceparent = read_traceparent(&value),
            name if self.others.len() < ATTRIBUTES_MAX => {
                let end = value.floor_char_boundary(ATTRIBUTE_BYTES_MAX.min(value.len()));
                self.others.push((name, value[..end].to_owned()));
            }
            _ => {}
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "sampled" => self.unsampled = !value,
            _ => self.note(field, value.to_string()),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}"));
    }
}

/// `00-TRACE-SPAN-FLAGS`, see W3C Trace Context.
fn read_traceparent(text: &str) -> Option<(String, String)> {
    let mut parts = text.split('-').skip(1);
    let (trace, span) = (parts.next()?, parts.next()?);
    (is_hex(trace, 32) && is_hex(span, 16)).then(|| (trace.to_owned(), span.to_owned()))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|byte| byte != b'0')
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
