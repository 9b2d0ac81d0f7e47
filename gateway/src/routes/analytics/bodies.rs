//! What is answered.

use std::collections::BTreeMap;

use nakku_actors::analytics::sums::MINUTES_BOUNDS;
use nakku_actors::analytics::{Punctuality, Sold, Sums};
use nakku_cluster::Key;
use serde::Serialize;
use utoipa::ToSchema;

/// What an answer goes over.
#[derive(Debug, Serialize, ToSchema)]
pub struct Range {
    /// Where it begins.
    pub from_ms: i64,
    /// Where it ends.
    pub to_ms: i64,
    /// `hour` or `day`: of which it goes over whole ones.
    #[schema(example = "hour")]
    pub bucket: &'static str,
    /// One store only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub store: Option<Key>,
    /// Of all amounts (ISO 4217).
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The time of the newest event that has been counted; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_event_ms: Option<i64>,
    /// The sums are being gathered anew and are not whole yet; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilding: Option<Rebuilding>,
}

/// How far the sums of an answer have been gathered anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rebuilding {
    /// Shards of services of which something is still missing.
    pub intakes_left: usize,
    /// Of so many.
    pub intakes: usize,
    /// Rows of journals that have been read again.
    pub rows_read: u64,
    /// Of so many.
    pub rows: u64,
}

/// Orders and money. Everything counts at the time at which it happened.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Figures {
    /// Orders placed.
    pub placed: u64,
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders that won't come, confirmed or not.
    pub cancelled: u64,
    /// Those of them that had been confirmed.
    pub cancelled_after_confirmation: u64,
    /// Orders delivered.
    pub completed: u64,
    /// Orders whose money was given back.
    pub refunded: u64,
    /// Pieces delivered.
    pub units: u64,
    /// Totals of confirmed orders, tax and delivery included.
    pub gross_minor: i64,
    /// Gross less the totals of confirmed orders that were cancelled.
    pub net_minor: i64,
    /// Totals of confirmed orders that were cancelled.
    pub cancelled_minor: i64,
    /// Money given back; also of orders that were charged in vain and never confirmed.
    pub refunds_minor: i64,
    /// The tax that the lines of delivered orders contain.
    pub tax_minor: i64,
}

/// Orders and money over a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// What it goes over.
    #[serde(flatten)]
    pub range: Range,
    /// Orders and money.
    #[serde(flatten)]
    pub figures: Figures,
    /// Events of all services by type; only of the whole shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeMap<String, u64>>,
}

/// What happened in one hour or day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Point<T> {
    /// When it begins.
    pub start_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub value: T,
}

/// Orders and money by the hour or day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    /// What it goes over.
    #[serde(flatten)]
    pub range: Range,
    /// One for each hour or day, in order.
    pub points: Vec<Point<Figures>>,
}

/// How much of a product was sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductSold {
    /// Which.
    pub sku: String,
    /// Pieces.
    pub units: u64,
    /// What they cost, tax included.
    pub revenue_minor: i64,
}

/// What is sold most.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopProducts {
    /// What it goes over.
    #[serde(flatten)]
    pub range: Range,
    /// Most pieces first.
    pub items: Vec<ProductSold>,
    /// Pieces of all other products.
    pub other_units: u64,
    /// What they cost, tax included.
    pub other_revenue_minor: i64,
}

/// How many got how far. Steps of one order may lie in different hours.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct FunnelSteps {
    /// Users who registered; only of the whole shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<u64>,
    /// Carts begun.
    pub carts: u64,
    /// Orders placed.
    pub placed: u64,
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders delivered.
    pub completed: u64,
}

/// From registering to the door.
#[derive(Debug, Serialize, ToSchema)]
pub struct Funnel {
    /// What it goes over.
    #[serde(flatten)]
    pub range: Range,
    /// In all of it.
    pub total: FunnelSteps,
    /// One for each hour or day, in order.
    pub points: Vec<Point<FunnelSteps>>,
}

/// What was promised and how long it took, from placing to the door.
#[derive(Debug, Serialize, ToSchema)]
pub struct Promise {
    /// What it goes over.
    #[serde(flatten)]
    pub range: Range,
    /// Orders delivered.
    pub deliveries: u64,
    /// How long they took on average; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_average_ms: Option<i64>,
    /// Those of them that had been promised within a time.
    pub promised: u64,
    /// What was promised on average; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_average_ms: Option<i64>,
    /// Those that took longer than promised.
    pub late: u64,
    /// Deliveries by how long they took.
    pub minutes: Vec<MinutesBucket>,
}

/// Deliveries that took so long.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MinutesBucket {
    /// At most so many minutes, and more than the bucket before; absent for the last, which has no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes_max: Option<u32>,
    /// How many.
    pub deliveries: u64,
}

impl From<&Sums> for Figures {
    fn from(sums: &Sums) -> Self {
        Self {
            placed: sums.placed,
            confirmed: sums.confirmed,
            cancelled: sums.cancelled,
            cancelled_after_confirmation: sums.cancelled_after_confirmation,
            completed: sums.completed,
            refunded: sums.refunded,
            units: sums.units,
            gross_minor: sums.gross_minor,
            net_minor: sums.net_minor(),
            cancelled_minor: sums.cancelled_minor,
            refunds_minor: sums.refunds_minor,
            tax_minor: sums.tax_minor,
        }
    }
}

impl From<(String, Sold)> for ProductSold {
    fn from((sku, Sold { units, revenue_minor }): (String, Sold)) -> Self {
        Self { sku, units, revenue_minor }
    }
}

impl FunnelSteps {
    /// The steps, with those that no store has where it is about the whole shop.
    pub fn of(sums: &Sums, whole_shop: bool) -> Self {
        Self {
            registered: whole_shop.then_some(sums.registered),
            carts: sums.carts,
            placed: sums.placed,
            confirmed: sums.confirmed,
            completed: sums.completed,
        }
    }
}

impl Promise {
    /// From what was summed up.
    pub fn new(range: Range, sums: &Punctuality) -> Self {
        let average = |sum: i64, count: u64| i64::try_from(count).ok().and_then(|count| sum.checked_div(count));
        let bounds = MINUTES_BOUNDS.iter().copied().map(Some).chain([None]);
        let minutes = bounds.enumerate().map(|(index, minutes_max)| MinutesBucket {
            minutes_max,
            deliveries: sums.minutes.get(index).copied().unwrap_or(0),
        });
        Self {
            range,
            deliveries: sums.deliveries,
            actual_average_ms: average(sums.actual_ms, sums.deliveries),
            promised: sums.promised,
            promised_average_ms: average(sums.promised_ms, sums.promised),
            late: sums.late,
            minutes: minutes.collect(),
        }
    }
}
