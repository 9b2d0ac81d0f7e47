//! `/analytics`: what was sold, when and where. Admins see all of it, staff their own store.
//!
//! While the sums are gathered anew, answers say so (`rebuilding`, with how far), and the export waits for its end.
//!
//! Sums are kept by the hour and by the day; an answer says over which of them it goes, since it goes over
//! whole ones.
//!
//! - [`bodies`]: what is answered
//! - `gather`: asks the intakes and merges what they say
//! - `span`: from query parameters to hours or days
//! - [`export`]: the same as CSV

pub mod bodies;
pub mod export;
mod gather;
mod span;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use nakku_actors::analytics::{Grouping, Resolution};

use self::bodies::{Figures, Funnel, FunnelSteps, Point, ProductSold, Promise, Series, Summary, TopProducts};
use self::gather::Question;
pub use self::span::{AnalyticsQuery, TopQuery};
use super::Answer;
use crate::auth::StaffOnly;
use crate::edge::Edge;
use crate::extract::Query;
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Products of an answer unless asked otherwise.
const TOP_DEFAULT: usize = 20;
/// The most products of an answer.
const TOP_MAX: usize = 200;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/summary", get(summary))
        .route("/series", get(series))
        .route("/top-products", get(top_products))
        .route("/funnel", get(funnel))
        .route("/promise", get(promise))
        .route("/export.csv", get(export::export))
}

/// Orders and money over a time. For staff.
#[utoipa::path(get, path = "/api/v1/analytics/summary", tag = "analytics", security(("bearer" = [])),
    params(AnalyticsQuery), responses((status = 200, body = Summary), (status = "default", body = ProblemBody)))]
pub async fn summary(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Query(query): Query<AnalyticsQuery>,
) -> Answer<Summary> {
    let (span, store) = (query.span()?, query.store(&staff)?);
    let whole_shop = store.is_none();
    // The types of events of all services are told of the whole shop only.
    let sources = if whole_shop { gather::ALL } else { gather::ORDERS };
    let question = Question { span, store, grouping: Grouping::All, sources };
    let gathered = gather::sums(&edge, &context.ask(), &question).await?;
    let sums = gathered.total();
    Ok(JsonBody(Summary {
        range: question.range(gathered.latest_at, gathered.rebuilding),
        figures: Figures::from(&sums),
        events: whole_shop.then_some(sums.events),
    }))
}

/// Orders and money by the hour or day, also where nothing happened. For staff.
#[utoipa::path(get, path = "/api/v1/analytics/series", tag = "analytics", security(("bearer" = [])),
    params(AnalyticsQuery), responses((status = 200, body = Series), (status = "default", body = ProblemBody)))]
pub async fn series(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Query(query): Query<AnalyticsQuery>,
) -> Answer<Series> {
    let (span, store) = (query.span()?, query.store(&staff)?);
    let question = Question { span, store, grouping: Grouping::Bucket, sources: gather::ORDERS };
    let gathered = gather::sums(&edge, &context.ask(), &question).await?;
    let points = gathered.points(span).map(|(start, sums)| Point { start_ms: start.0, value: Figures::from(&sums) });
    Ok(JsonBody(Series { points: points.collect(), range: question.range(gathered.latest_at, gathered.rebuilding) }))
}

/// What is sold most, by pieces; what is with the customers counts, by the day. For staff.
#[utoipa::path(get, path = "/api/v1/analytics/top-products", tag = "analytics", security(("bearer" = [])),
    params(TopQuery), responses((status = 200, body = TopProducts), (status = "default", body = ProblemBody)))]
pub async fn top_products(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Query(query): Query<TopQuery>,
) -> Answer<TopProducts> {
    let (span, store) = (query.span()?, query.store(&staff)?);
    let limit = query.limit.unwrap_or(TOP_DEFAULT);
    if !(1..=TOP_MAX).contains(&limit) {
        let problem = Problem::new(Code::InvalidValue, format!("limit is 1 to {TOP_MAX}"));
        return Err(problem.field("limit").member("maximum", TOP_MAX));
    }
    let question = Question { span, store, grouping: Grouping::All, sources: gather::ORDERS };
    let mut sold = gather::products(&edge, &context.ask(), &question).await?;
    let mut items: Vec<ProductSold> = sold.by_sku.into_iter().map(ProductSold::from).collect();
    items.sort_by(|one, other| other.units.cmp(&one.units).then_with(|| one.sku.cmp(&other.sku)));
    for rest in items.drain(limit.min(items.len())..) {
        sold.others.units += rest.units;
        sold.others.revenue_minor += rest.revenue_minor;
    }
    Ok(JsonBody(TopProducts {
        range: question.range(sold.latest_at, sold.rebuilding),
        items,
        other_units: sold.others.units,
        other_revenue_minor: sold.others.revenue_minor,
    }))
}

/// From registering to the door: how many got how far. For staff.
#[utoipa::path(get, path = "/api/v1/analytics/funnel", tag = "analytics", security(("bearer" = [])),
    params(AnalyticsQuery), responses((status = 200, body = Funnel), (status = "default", body = ProblemBody)))]
pub async fn funnel(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Query(query): Query<AnalyticsQuery>,
) -> Answer<Funnel> {
    let (span, store) = (query.span()?, query.store(&staff)?);
    let whole_shop = store.is_none();
    let question = Question { span, store, grouping: Grouping::Bucket, sources: gather::FUNNEL };
    let gathered = gather::sums(&edge, &context.ask(), &question).await?;
    let steps = |sums: &_| FunnelSteps::of(sums, whole_shop);
    let points = gathered.points(span).map(|(start, sums)| Point { start_ms: start.0, value: steps(&sums) });
    Ok(JsonBody(Funnel {
        total: steps(&gathered.total()),
        points: points.collect(),
        range: question.range(gathered.latest_at, gathered.rebuilding),
    }))
}

/// How long orders took from placing to the door, and how that compares with what was promised. For staff.
#[utoipa::path(get, path = "/api/v1/analytics/promise", tag = "analytics", security(("bearer" = [])),
    params(AnalyticsQuery), responses((status = 200, body = Promise), (status = "default", body = ProblemBody)))]
pub async fn promise(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Query(query): Query<AnalyticsQuery>,
) -> Answer<Promise> {
    let (span, store) = (query.span()?, query.store(&staff)?);
    let question = Question { span, store, grouping: Grouping::All, sources: gather::ORDERS };
    let gathered = gather::sums(&edge, &context.ask(), &question).await?;
    let range = question.range(gathered.latest_at, gathered.rebuilding);
    Ok(JsonBody(Promise::new(range, &gathered.total().punctuality)))
}

/// As it stands in query and answers.
fn name_of(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Hour => "hour",
        Resolution::Day => "day",
    }
}
