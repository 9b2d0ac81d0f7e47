//! What the outside is told of a store's stock: what came and went, and what is about to run out.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::Line;
use super::event::Event;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event. Reservations come and go by the second and change nothing in the
/// shelves: they are told only where they make something scarce.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let store = key.clone();
    Some(match event {
        Event::Supplied { lines, .. } => Updated::new(store, Cause::Supplied, None, lines).event(),
        Event::Adjusted { lines, .. } => Updated::new(store, Cause::WrittenOff, None, lines).event(),
        Event::Committed { order, lines } => Updated::new(store, Cause::Sold, Some(order), lines).event(),
        Event::Returned { order, lines, held: false, .. } => {
            Updated::new(store, Cause::Returned, Some(order), lines).event()
        }
        Event::LowStock { sku, available, threshold } => {
            LowStock { store, sku: sku.clone(), available: *available, threshold: *threshold }.event()
        }
        Event::OutOfStock { sku } => OutOfStock { store, sku: sku.clone() }.event(),
        Event::BackInStock { sku, available } => BackInStock { store, sku: sku.clone(), available: *available }.event(),
        Event::Returned { held: true, .. }
        | Event::LowStockSet { .. }
        | Event::Reserved { .. }
        | Event::Released { .. }
        | Event::FellDue { .. }
        | Event::Postponed { .. } => return None,
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![
        EventType::of::<Updated>("inventory"),
        EventType::of::<LowStock>("inventory"),
        EventType::of::<OutOfStock>("inventory"),
        EventType::of::<BackInStock>("inventory"),
    ]
}

/// Goods came to a store or left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Updated {
    /// The store's key.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// Whether they came or went.
    pub cause: Cause,
    /// Whose goods they are, when sold or returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeySchema>, nullable = false)]
    pub order: Option<Key>,
    /// Which, a SKU at most once.
    pub lines: Vec<PublicLine>,
}

/// Why the stock of a store changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// They came in.
    Supplied,
    /// They went: broken, stale, lost.
    WrittenOff,
    /// They went to a customer.
    Sold,
    /// They were sold, and came back because the order was cancelled.
    Returned,
}

/// So many units of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicLine {
    /// The SKU.
    pub sku: String,
    /// Units, at least 1.
    pub quantity: u32,
}

/// Few units of a SKU are left to be reserved at a store. Told once each time the threshold is crossed, also when it was
/// raised past what is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LowStock {
    /// The store's key.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The SKU.
    pub sku: String,
    /// Units left, at least 1.
    pub available: u64,
    /// Units at which the SKU begins to count as low at this store.
    pub threshold: u64,
}

/// No unit of a SKU is left to be reserved at a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutOfStock {
    /// The store's key.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The SKU.
    pub sku: String,
}

/// A SKU that was out of stock at a store can be reserved again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackInStock {
    /// The store's key.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The SKU.
    pub sku: String,
    /// Units that can be reserved.
    pub available: u64,
}

impl Updated {
    fn new(store: Key, cause: Cause, order: Option<&Key>, lines: &[Line]) -> Self {
        let line = |Line { sku, quantity }: &Line| PublicLine { sku: sku.clone(), quantity: *quantity };
        Self { store, cause, order: order.cloned(), lines: lines.iter().map(line).collect() }
    }
}

impl PublicData for Updated {
    const TYPE: &'static str = "inventory.updated";
}

impl PublicData for LowStock {
    const TYPE: &'static str = "inventory.low_stock";
}

impl PublicData for OutOfStock {
    const TYPE: &'static str = "inventory.out_of_stock";
}

impl PublicData for BackInStock {
    const TYPE: &'static str = "inventory.back_in_stock";
}
