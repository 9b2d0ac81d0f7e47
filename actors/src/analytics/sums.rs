//! What is summed up. Sums of two intakes, buckets or stores merge into those of both.

use std::collections::BTreeMap;

use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

/// The upper bounds of the histogram of minutes to the door; what took longer comes under one bucket more.
pub const MINUTES_BOUNDS: [u32; 11] = [5, 8, 10, 12, 15, 20, 25, 30, 45, 60, 90];
/// The most types of events that are counted by name in one bucket.
pub const EVENT_TYPES_MAX: usize = 128;
/// Counts the events of all further types.
pub const OTHER_EVENTS: &str = "other";
/// The most products that are counted by name for a store's day in one intake; beyond it those with the
/// fewest units are counted together.
pub const PRODUCTS_MAX: usize = 2_000;

/// What happened in a bucket.
///
/// Everything counts at the time at which it happened: an order that is confirmed today and cancelled tomorrow
/// adds to today's gross and to tomorrow's cancellations. Amounts are in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Customers who registered.
    #[serde(skip_serializing_if = "is_default")]
    pub registered: u64,
    /// Carts begun.
    #[serde(skip_serializing_if = "is_default")]
    pub carts: u64,
    /// Orders placed.
    #[serde(skip_serializing_if = "is_default")]
    pub placed: u64,
    /// Orders confirmed: sold.
    #[serde(skip_serializing_if = "is_default")]
    pub confirmed: u64,
    /// Orders that won't come, confirmed or not.
    #[serde(skip_serializing_if = "is_default")]
    pub cancelled: u64,
    /// Those of them that had been confirmed.
    #[serde(skip_serializing_if = "is_default")]
    pub cancelled_after_confirmation: u64,
    /// Orders delivered.
    #[serde(skip_serializing_if = "is_default")]
    pub completed: u64,
    /// Orders whose money was given back.
    #[serde(skip_serializing_if = "is_default")]
    pub refunded: u64,
    /// Pieces of completed orders.
    #[serde(skip_serializing_if = "is_default")]
    pub units: u64,
    /// Totals of confirmed orders, tax and delivery included.
    #[serde(skip_serializing_if = "is_default")]
    pub gross_minor: i64,
    /// Totals of confirmed orders that were cancelled.
    #[serde(skip_serializing_if = "is_default")]
    pub cancelled_minor: i64,
    /// Money given back: of cancelled orders, also of some that were never confirmed.
    #[serde(skip_serializing_if = "is_default")]
    pub refunds_minor: i64,
    /// The tax that the lines of completed orders contain.
    #[serde(skip_serializing_if = "is_default")]
    pub tax_minor: i64,
    /// How fast the completed orders came.
    #[serde(skip_serializing_if = "is_default")]
    pub punctuality: Punctuality,
    /// Events by type, of all services; kept where no store is named.
    #[serde(skip_serializing_if = "is_default")]
    pub events: BTreeMap<String, u64>,
    /// The time of the newest of them.
    #[serde(skip_serializing_if = "is_default")]
    pub latest_at: Timestamp,
}

/// From placing to the door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Punctuality {
    /// Deliveries that were timed.
    #[serde(skip_serializing_if = "is_default")]
    pub deliveries: u64,
    /// How long they took together.
    #[serde(skip_serializing_if = "is_default")]
    pub actual_ms: i64,
    /// Those of them that had been promised within a time.
    #[serde(skip_serializing_if = "is_default")]
    pub promised: u64,
    /// What was promised together.
    #[serde(skip_serializing_if = "is_default")]
    pub promised_ms: i64,
    /// Those that took longer than promised.
    #[serde(skip_serializing_if = "is_default")]
    pub late: u64,
    /// Deliveries, each at the index of the first of [`MINUTES_BOUNDS`] that it did not exceed.
    #[serde(skip_serializing_if = "is_default")]
    pub minutes: Vec<u64>,
}

/// How much of a product was sold: what is with the customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    /// Pieces.
    pub units: u64,
    /// What they cost, tax included.
    pub revenue_minor: i64,
}

/// What a store sold on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Products {
    /// By SKU, at most [`PRODUCTS_MAX`].
    pub by_sku: BTreeMap<String, Sold>,
    /// All others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub others: Sold,
}

impl Sums {
    /// What is left of the gross.
    pub fn net_minor(&self) -> i64 {
        self.gross_minor.saturating_sub(self.cancelled_minor)
    }

    /// Adds what happened elsewhere or at another time.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.registered, other.registered);
        add(&mut self.carts, other.carts);
        add(&mut self.placed, other.placed);
        add(&mut self.confirmed, other.confirmed);
        add(&mut self.cancelled, other.cancelled);
        add(&mut self.cancelled_after_confirmation, other.cancelled_after_confirmation);
        add(&mut self.completed, other.completed);
        add(&mut self.refunded, other.refunded);
        add(&mut self.units, other.units);
        add_signed(&mut self.gross_minor, other.gross_minor);
        add_signed(&mut self.cancelled_minor, other.cancelled_minor);
        add_signed(&mut self.refunds_minor, other.refunds_minor);
        add_signed(&mut self.tax_minor, other.tax_minor);
        self.punctuality.merge(&other.punctuality);
        for (event_type, count) in &other.events {
            self.count(event_type, *count);
        }
        self.latest_at = self.latest_at.max(other.latest_at);
    }

    /// Counts events of a type.
    pub fn count(&mut self, event_type: &str, count: u64) {
        let known = self.events.contains_key(event_type) || self.events.len() < EVENT_TYPES_MAX;
        let name = if known { event_type } else { OTHER_EVENTS };
        add(self.events.entry(name.to_owned()).or_default(), count);
    }
}

impl Punctuality {
    /// Adds one delivery.
    pub fn note(&mut self, actual_ms: i64, promised_minutes: Option<u32>) {
        let exceeds = |bound: &&u32| actual_ms > i64::from(**bound) * 60_000;
        let bound = MINUTES_BOUNDS.iter().take_while(exceeds).count();
        add(&mut self.deliveries, 1);
        add_signed(&mut self.actual_ms, actual_ms);
        self.note_minutes(bound, 1);
        if let Some(promised) = promised_minutes {
            let promised_ms = i64::from(promised) * 60_000;
            add(&mut self.promised, 1);
            add_signed(&mut self.promised_ms, promised_ms);
            add(&mut self.late, u64::from(actual_ms > promised_ms));
        }
    }

    fn merge(&mut self, other: &Self) {
        add(&mut self.deliveries, other.deliveries);
        add_signed(&mut self.actual_ms, other.actual_ms);
        add(&mut self.promised, other.promised);
        add_signed(&mut self.promised_ms, other.promised_ms);
        add(&mut self.late, other.late);
        for (bound, count) in other.minutes.iter().enumerate() {
            self.note_minutes(bound, *count);
        }
    }

    fn note_minutes(&mut self, bound: usize, count: u64) {
        if self.minutes.len() <= bound {
            self.minutes.resize(bound + 1, 0);
        }
        add(&mut self.minutes[bound], count);
    }
}

impl Sold {
    /// Adds more of it.
    pub fn merge(&mut self, other: Self) {
        add(&mut self.units, other.units);
        add_signed(&mut self.revenue_minor, other.revenue_minor);
    }
}

impl Products {
    /// Adds some of a product.
    pub fn add(&mut self, sku: &str, sold: Sold) {
        match self.by_sku.get_mut(sku) {
            Some(known) => known.merge(sold),
            None => {
                self.by_sku.insert(sku.to_owned(), sold);
            }
        }
        if self.by_sku.len() > PRODUCTS_MAX {
            let fewest = self.by_sku.iter().min_by_key(|(_, sold)| sold.units).map(|(sku, _)| sku.clone());
            if let Some(sold) = fewest.and_then(|sku| self.by_sku.remove(&sku)) {
                self.others.merge(sold);
            }
        }
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

fn add_signed(sum: &mut i64, more: i64) {
    *sum = sum.saturating_add(more);
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
