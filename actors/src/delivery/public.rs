//! What the outside is told of deliveries: how far each is, and who brings it. Where to stays here.

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Event;
use crate::order;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event. The key is the order's. An event of a time when events did not name
/// their store is not told.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let (order, user) = (key.clone(), order::customer_of(key));
    Some(match event {
        Event::Scheduled { store, total_minor, cash_due_minor, at, .. } => Scheduled {
            order,
            user,
            store: store.clone(),
            total_minor: *total_minor,
            cash_due_minor: *cash_due_minor,
            scheduled_at_ms: *at,
        }
        .event(),
        Event::Assigned { rider, store, at } => {
            Assigned { order, user, store: store.clone()?, rider: rider.clone(), assigned_at_ms: *at }.event()
        }
        Event::Started { rider, store, at } => {
            Started { order, user, store: store.clone()?, rider: rider.clone(), started_at_ms: *at }.event()
        }
        Event::Completed { rider, store, cash_collected_minor, at } => Completed {
            order,
            user,
            store: store.clone()?,
            rider: rider.clone(),
            cash_collected_minor: *cash_collected_minor,
            completed_at_ms: *at,
        }
        .event(),
        Event::Failed { rider, store, at, .. } => Failed {
            order,
            user,
            store: store.clone()?,
            code: if rider.is_some() { FailureCode::NotDelivered } else { FailureCode::NoRider },
            rider: rider.clone(),
            failed_at_ms: *at,
        }
        .event(),
        Event::Queued { .. }
        | Event::Offered { .. }
        | Event::OfferLapsed { .. }
        | Event::Cancelled { .. }
        | Event::RosterReleased {}
        | Event::OrderTold { .. }
        | Event::RiderTold { .. } => return None,
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![
        EventType::of::<Scheduled>("delivery"),
        EventType::of::<Assigned>("delivery"),
        EventType::of::<Started>("delivery"),
        EventType::of::<Completed>("delivery"),
        EventType::of::<Failed>("delivery"),
    ]
}

/// An order has to be brought; the search for a rider begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scheduled {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user whom it is brought to: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that hands it out.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// What the order costs, in minor units.
    pub total_minor: i64,
    /// What the rider has to collect, in minor units; 0 when it is paid for.
    pub cash_due_minor: i64,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub scheduled_at_ms: Timestamp,
}

/// A rider has taken a delivery on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assigned {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user whom it is brought to: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that hands it out.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The rider's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub rider: Key,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub assigned_at_ms: Timestamp,
}

/// A rider has left the store with an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Started {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user whom it is brought to: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that handed it out.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The rider's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub rider: Key,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub started_at_ms: Timestamp,
}

/// An order was handed over at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completed {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user whom it was brought to: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that handed it out.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The rider's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub rider: Key,
    /// What was collected, in minor units.
    pub cash_collected_minor: i64,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub completed_at_ms: Timestamp,
}

/// An order could not be brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failed {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user whom it was to be brought to: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that handed it out.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// The key of the rider who had it, if one had: an opaque id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeySchema>, nullable = false)]
    pub rider: Option<Key>,
    /// Why.
    pub code: FailureCode,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub failed_at_ms: Timestamp,
}

/// Why an order could not be brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// Nobody took it on.
    NoRider,
    /// The rider who had it could not hand it over.
    NotDelivered,
}

impl PublicData for Scheduled {
    const TYPE: &'static str = "delivery.scheduled";
}

impl PublicData for Assigned {
    const TYPE: &'static str = "delivery.assigned";
}

impl PublicData for Started {
    const TYPE: &'static str = "delivery.started";
}

impl PublicData for Completed {
    const TYPE: &'static str = "delivery.completed";
}

impl PublicData for Failed {
    const TYPE: &'static str = "delivery.failed";
}
