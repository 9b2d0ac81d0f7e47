//! From query parameters to hours or days.

use nakku_actors::analytics::Resolution;
use nakku_actors::analytics::bucket::{HOURS_KEPT, PRODUCT_DAYS_KEPT};
use nakku_actors::user::command::Role;
use nakku_cluster::{Key, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::StaffOnly;
use crate::problem::{Code, Problem};
use crate::routes::id_in;

/// How long before its end a range begins unless asked otherwise, in milliseconds.
const RANGE_MS_DEFAULT: i64 = 24 * 3_600_000;
/// The same where only days are kept.
const DAYS_MS_DEFAULT: i64 = 7 * RANGE_MS_DEFAULT;

/// Over which time and store.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AnalyticsQuery {
    /// Where it begins, in milliseconds since the Unix epoch; rounded down to a whole hour or day. Default: a
    /// day before its end.
    pub from: Option<i64>,
    /// Where it ends, in milliseconds since the Unix epoch; rounded up. Default: now.
    pub to: Option<i64>,
    /// One store only. Default: all of them for admins, the own one for its staff.
    pub store: Option<String>,
    /// `hour`, for at most 40 days back, or `day`, for at most 400, by the shop's time zone. Default: `hour`
    /// where hours are kept.
    #[param(value_type = Option<String>)]
    pub bucket: Option<Resolution>,
}

/// Over which days and store.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopQuery {
    /// Where it begins, in milliseconds since the Unix epoch; rounded down to a whole day, at most 100 days
    /// back. Default: a week before its end.
    pub from: Option<i64>,
    /// Where it ends, in milliseconds since the Unix epoch; rounded up. Default: now.
    pub to: Option<i64>,
    /// One store only. Default: all of them for admins, the own one for its staff.
    pub store: Option<String>,
    /// At most so many products, 1 to 200. Default 20.
    pub limit: Option<usize>,
}

/// Whole hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which of them.
    pub resolution: Resolution,
    /// The first.
    pub from: i64,
    /// The one behind the last.
    pub until: i64,
}

impl AnalyticsQuery {
    /// The hours or days.
    pub fn span(&self) -> Result<Span, Problem> {
        let now = Timestamp::now();
        let (from, to) = range(self.from, self.to, now, RANGE_MS_DEFAULT)?;
        let resolution = self.bucket.unwrap_or_else(|| {
            let oldest_hour = Resolution::Hour.bucket(now) - HOURS_KEPT + 1;
            let kept = Resolution::Hour.bucket(from) >= oldest_hour;
            if kept && Span::over(Resolution::Hour, from, to).fits(HOURS_KEPT).is_ok() {
                Resolution::Hour
            } else {
                Resolution::Day
            }
        });
        Span::over(resolution, from, to).fits(resolution.kept())
    }

    /// The store, if it is about one.
    pub fn store(&self, staff: &StaffOnly) -> Result<Option<Key>, Problem> {
        store(self.store.as_deref(), staff)
    }
}

impl TopQuery {
    /// The days.
    pub fn span(&self) -> Result<Span, Problem> {
        let (from, to) = range(self.from, self.to, Timestamp::now(), DAYS_MS_DEFAULT)?;
        Span::over(Resolution::Day, from, to).fits(PRODUCT_DAYS_KEPT)
    }

    /// The store, if it is about one.
    pub fn store(&self, staff: &StaffOnly) -> Result<Option<Key>, Problem> {
        store(self.store.as_deref(), staff)
    }
}

impl Span {
    /// The hours or days that a time touches; `to` lies behind it.
    fn over(resolution: Resolution, from: Timestamp, to: Timestamp) -> Self {
        Self { resolution, from: resolution.bucket(from), until: resolution.bucket(Timestamp(to.0 - 1)) + 1 }
    }

    fn fits(self, most: i64) -> Result<Self, Problem> {
        if self.until - self.from <= most {
            return Ok(self);
        }
        let what = super::name_of(self.resolution);
        let problem = Problem::new(Code::InvalidValue, format!("a range by the {what} has at most {most} of them"));
        Err(problem.field("from").member("maximum", most))
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        self.resolution.start(self.from)
    }

    /// When it ends.
    pub fn end(self) -> Timestamp {
        self.resolution.start(self.until)
    }
}

/// The end of what can be asked for: the year 10000.
const TIME_MS_MAX: i64 = 253_402_300_800_000;

fn range(
    from: Option<i64>,
    to: Option<i64>,
    now: Timestamp,
    default_ms: i64,
) -> Result<(Timestamp, Timestamp), Problem> {
    for (field, at) in [("from", from), ("to", to)] {
        if at.is_some_and(|at| !(0..=TIME_MS_MAX).contains(&at)) {
            return Err(Problem::new(Code::InvalidValue, format!("{field} is no time in milliseconds")).field(field));
        }
    }
    let to = to.unwrap_or(now.0 + 1);
    let from = from.unwrap_or(to.saturating_sub(default_ms).max(0));
    if from >= to {
        return Err(Problem::new(Code::InvalidValue, "from lies before to").field("from"));
    }
    Ok((Timestamp(from), Timestamp(to)))
}

fn store(asked: Option<&str>, staff: &StaffOnly) -> Result<Option<Key>, Problem> {
    let asked = asked.map(|text| id_in("store", text)).transpose()?;
    let store = if staff.0.has(Role::Admin) { asked } else { asked.or_else(|| staff.0.claims.store.clone()) };
    match &store {
        Some(store) => staff.of_store(store)?,
        None if staff.0.has(Role::Admin) => {}
        None => return Err(Problem::new(Code::Forbidden, "this is for the staff of a store")),
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(from: Option<i64>, to: Option<i64>, bucket: Option<Resolution>) -> AnalyticsQuery {
        AnalyticsQuery { from, to, store: None, bucket }
    }

    #[test]
    fn a_range_goes_over_whole_buckets() {
        // 2026-11-22T18:30:00Z is midnight in India.
        let midnight = 1_795_372_200_000;
        for (from, to, days) in [(0, 1, 1), (0, 86_400_000, 1), (-1, 86_400_000, 2), (-1, 86_400_001, 3)] {
            let query = query(Some(midnight + from), Some(midnight + to), Some(Resolution::Day));
            let span = query.span().unwrap();
            assert_eq!(span.until - span.from, days, "{from} to {to}");
            assert!(span.start().0 <= midnight + from && span.end().0 >= midnight + to);
        }
    }

    #[test]
    fn hours_where_they_are_kept_and_days_before() {
        let now = Timestamp::now().0;
        let day = 86_400_000;
        let of = |from, to| query(Some(from), Some(to), None).span().unwrap().resolution;
        assert_eq!(of(now - day, now), Resolution::Hour);
        assert_eq!(of(now - 41 * day, now), Resolution::Day);
        assert_eq!(of(now - 60 * day, now - 59 * day), Resolution::Day);
        assert_eq!(query(None, None, None).span().unwrap().resolution, Resolution::Hour);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let day = 86_400_000;
        for (from, to, bucket) in [
            (Some(2), Some(1), None),
            (Some(1), Some(1), None),
            (Some(-1), None, None),
            (Some(0), Some(i64::MAX), None),
            (Some(0), Some(42 * day), Some(Resolution::Hour)),
            (Some(0), Some(401 * day), None),
        ] {
            let problem = query(from, to, bucket).span().unwrap_err();
            assert_eq!(problem.code, Code::InvalidValue, "{from:?} to {to:?}");
        }
    }
}
