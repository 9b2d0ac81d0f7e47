//! `/analytics/export.csv`: a line for each hour or day and store, RFC 4180 with a header.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use csv::{Terminator, WriterBuilder};
use futures::stream;
use nakku_actors::analytics::bucket::{Place, ZONE_MINUTES};
use nakku_actors::analytics::{Grouping, Resolution, Sums};
use nakku_cluster::{Ask, Key, Timestamp};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::AnalyticsQuery;
use super::bodies::Rebuilding;
use super::gather::{self, Gathered, Question};
use super::name_of;
use super::span::Span;
use crate::auth::StaffOnly;
use crate::edge::Edge;
use crate::extract::Query;
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Buckets that are asked for and held in memory at once.
const CHUNK_BUCKETS: i64 = 24;

/// When to ask again while the sums are gathered anew.
const REBUILT_AFTER: Duration = Duration::from_secs(10);

/// The names of the columns.
pub const COLUMNS: [&str; 23] = [
    "start",
    "start_ms",
    "store",
    "registered",
    "carts",
    "placed",
    "confirmed",
    "cancelled",
    "cancelled_after_confirmation",
    "completed",
    "refunded",
    "units",
    "gross_minor",
    "net_minor",
    "cancelled_minor",
    "refunds_minor",
    "tax_minor",
    "currency",
    "deliveries",
    "actual_ms",
    "promised",
    "promised_ms",
    "late",
];

/// Everything that is summed up as CSV: a header, then a line for each hour or day and store in which
/// something happened, in this order. What belongs to no store (registrations) has a line without one. For
/// staff.
#[utoipa::path(get, path = "/api/v1/analytics/export.csv", tag = "analytics", security(("bearer" = [])),
    params(AnalyticsQuery),
    responses((status = 200, content_type = "text/csv", body = String), (status = "default", body = ProblemBody)))]
pub async fn export(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Query(query): Query<AnalyticsQuery>,
) -> Result<Response, Problem> {
    let export = Export { edge, span: query.span()?, store: query.store(&staff)?, ask: context.ask() };
    // What goes wrong with the first lines is still told as a problem; later it can only cut the answer off.
    let first = export.chunk(export.span.from).await?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", export.file_name())),
    ];
    let second = export.span.from + CHUNK_BUCKETS;
    let rest = stream::try_unfold((export, second), |(export, from)| async move {
        if from >= export.span.until {
            return Ok(None);
        }
        match export.chunk(from).await {
            Ok(lines) => Ok(Some((lines, (export, from + CHUNK_BUCKETS)))),
            Err(problem) => {
                tracing::warn!(code = problem.code.entry().slug, detail = problem.detail, "an export was cut off");
                Err(std::io::Error::other(problem.detail))
            }
        }
    });
    let body = futures::StreamExt::chain(stream::iter([Ok(first)]), rest);
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Export {
    edge: Arc<Edge>,
    span: Span,
    store: Option<Key>,
    /// How long each intake may take; of the request's deadline, which ends when the answer begins.
    ask: Ask,
}

impl Export {
    /// The lines of the buckets from one on, the first ones with the header.
    async fn chunk(&self, from: i64) -> Result<Bytes, Problem> {
        let span = Span { from, until: self.span.until.min(from + CHUNK_BUCKETS), ..self.span };
        let store = self.store.clone();
        let question = Question { span, store, grouping: Grouping::BucketAndStore, sources: gather::FUNNEL };
        let gathered = gather::sums(&self.edge, &self.ask, &question).await?;
        // A file does not say that it is half of something.
        if let Some(Rebuilding { rows_read, rows, .. }) = gathered.rebuilding {
            let detail = format!("the sums are being gathered anew, {rows_read} of {rows} rows have been read");
            return Err(Problem::new(Code::Unavailable, detail).retry_after(REBUILT_AFTER));
        }
        let internal = |error: csv::Error| Problem::new(Code::Internal, error.to_string());
        lines(&gathered, span.resolution, from == self.span.from).map_err(internal)
    }

    fn file_name(&self) -> String {
        let Span { resolution, .. } = self.span;
        let store = self.store.as_ref().map(|store| format!("-{store}")).unwrap_or_default();
        let (from, to) = (self.span.start().0, self.span.end().0);
        format!("nakku{store}-by-{}-{from}-{to}.csv", name_of(resolution))
    }
}

/// What was gathered as lines.
fn lines(gathered: &Gathered, resolution: Resolution, with_header: bool) -> csv::Result<Bytes> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    if with_header {
        writer.write_record(COLUMNS)?;
    }
    for (place, sums) in &gathered.rows {
        // What has been counted by type only is no line.
        let nothing = Sums { latest_at: sums.latest_at, ..Sums::default() };
        if *sums != nothing {
            writer.write_record(line(place, sums, resolution))?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes.into())
}

fn line(place: &Place, sums: &Sums, resolution: Resolution) -> [String; COLUMNS.len()] {
    let start = resolution.start(place.bucket);
    let punctuality = &sums.punctuality;
    [
        in_zone(start),
        start.to_string(),
        place.store.as_ref().map(Key::to_string).unwrap_or_default(),
        sums.registered.to_string(),
        sums.carts.to_string(),
        sums.placed.to_string(),
        sums.confirmed.to_string(),
        sums.cancelled.to_string(),
        sums.cancelled_after_confirmation.to_string(),
        sums.completed.to_string(),
        sums.refunded.to_string(),
        sums.units.to_string(),
        sums.gross_minor.to_string(),
        sums.net_minor().to_string(),
        sums.cancelled_minor.to_string(),
        sums.refunds_minor.to_string(),
        sums.tax_minor.to_string(),
        nakku_actors::money::CURRENCY.to_owned(),
        punctuality.deliveries.to_string(),
        punctuality.actual_ms.to_string(),
        punctuality.promised.to_string(),
        punctuality.promised_ms.to_string(),
        punctuality.late.to_string(),
    ]
}

/// Such as `2026-11-23T00:00:00+05:30`.
fn in_zone(at: Timestamp) -> String {
    let zone = i32::try_from(ZONE_MINUTES * 60).ok().and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok());
    let time = OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).ok();
    let shown = time.zip(zone).and_then(|(time, zone)| time.to_offset(zone).format(&Rfc3339).ok());
    shown.unwrap_or_else(|| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_back() {
        let mut gathered = Gathered::default();
        let place = |store: Option<&str>| Place { bucket: 1, store: store.map(|store| Key::new(store).unwrap()) };
        gathered.rows.insert(place(None), Sums { latest_at: Timestamp(7), ..Sums::default() });
        let sums = Sums { placed: 2, gross_minor: 500, cancelled_minor: 200, ..Sums::default() };
        gathered.rows.insert(place(Some("s-1")), sums);
        let bytes = lines(&gathered, Resolution::Day, true).unwrap();
        assert!(std::str::from_utf8(&bytes).unwrap().lines().count() == 2 && bytes.ends_with(b"\r\n"));
        let mut reader = csv::Reader::from_reader(&*bytes);
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let record = reader.records().next().unwrap().unwrap();
        let column = |name| &record[COLUMNS.iter().position(|column| *column == name).unwrap()];
        assert_eq!((column("store"), column("placed"), column("net_minor")), ("s-1", "2", "300"));
        assert_eq!(column("start"), "1970-01-02T00:00:00+05:30");
    }

    #[test]
    fn later_lines_have_no_header() {
        assert!(lines(&Gathered::default(), Resolution::Day, false).unwrap().is_empty());
    }
}
