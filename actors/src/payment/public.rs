//! What the outside is told of payments: the amount and what became of it. The card's token and the card
//! network's references stay here.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Event;
use crate::order;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event. The key is the order's.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let (order, user) = (key.clone(), order::customer_of(key));
    Some(match event {
        Event::Opened { amount_minor, .. } => Initiated { order, user, amount_minor: *amount_minor }.event(),
        Event::Authorised { amount_minor, .. } => Authorized { order, user, amount_minor: *amount_minor }.event(),
        Event::Captured { amount_minor, .. } => {
            Completed { order, user, amount_minor: *amount_minor, method: Method::Card }.event()
        }
        Event::Collected { amount_minor, .. } => {
            Completed { order, user, amount_minor: *amount_minor, method: Method::Cash }.event()
        }
        Event::Declined { amount_minor, reason } => {
            Failed { order, user, amount_minor: *amount_minor, reason: reason.clone() }.event()
        }
        Event::Refunded { amount_minor, .. } => Refunded { order, user, amount_minor: *amount_minor }.event(),
        Event::AuthoriseRequested { .. }
        | Event::CaptureRequested
        | Event::VoidRequested { .. }
        | Event::Voided { .. }
        | Event::RefundRequested { .. }
        | Event::OrderTold => return None,
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![
        EventType::of::<Initiated>("payment"),
        EventType::of::<Authorized>("payment"),
        EventType::of::<Completed>("payment"),
        EventType::of::<Failed>("payment"),
        EventType::of::<Refunded>("payment"),
    ]
}

/// An order is to be paid by card. Nothing is charged yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Initiated {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who pays: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// How much, in minor units.
    pub amount_minor: i64,
}

/// The amount is held on the card, and not taken yet. Where holding and taking are one request, as at the
/// checkout, only `payment.completed` follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authorized {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who pays: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// How much, in minor units.
    pub amount_minor: i64,
}

/// The amount was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completed {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who paid: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// How.
    pub method: Method,
}

/// How something is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// In advance, by card.
    Card,
    /// At the door, in cash.
    Cash,
}

/// The card was declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failed {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who wanted to pay: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The card network's code, such as `declined_by_issuer`.
    pub reason: String,
}

/// A part of what was taken, or all of it, was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refunded {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who had paid: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// How much this time, in minor units.
    pub amount_minor: i64,
}

impl PublicData for Initiated {
    const TYPE: &'static str = "payment.initiated";
}

impl PublicData for Authorized {
    const TYPE: &'static str = "payment.authorized";
}

impl PublicData for Completed {
    const TYPE: &'static str = "payment.completed";
}

impl PublicData for Failed {
    const TYPE: &'static str = "payment.failed";
}

impl PublicData for Refunded {
    const TYPE: &'static str = "payment.refunded";
}
