//! What the outside is told of carts. That a cart is held while an order is made is between the two.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Event;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let user = key.clone();
    Some(match event {
        Event::LineSet { store, line } => Updated {
            user,
            store: Some(store.clone()),
            sku: line.sku.clone(),
            quantity: line.quantity,
            price_minor: Some(line.price_minor),
        }
        .event(),
        Event::LineRemoved { sku, store } => {
            Updated { user, store: store.clone(), sku: sku.clone(), quantity: 0, price_minor: None }.event()
        }
        Event::Emptied => Cleared { user, order: None }.event(),
        Event::Cleared { order } => Cleared { user, order: Some(order.clone()) }.event(),
        Event::Sealed { .. } | Event::Unsealed { .. } | Event::Closed => return None,
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![EventType::of::<Updated>("cart"), EventType::of::<Cleared>("cart")]
}

/// A line of a user's cart changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Updated {
    /// The user's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store whose goods it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeySchema>, nullable = false)]
    pub store: Option<Key>,
    /// The line's SKU.
    pub sku: String,
    /// Units of it in the cart from now on; 0 when the line is gone.
    pub quantity: u32,
    /// The price of a unit with tax when it was put in, in minor units; absent when the line is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub price_minor: Option<i64>,
}

/// A user's cart is empty: it became an order, or the user emptied it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cleared {
    /// The user's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The order that it became, when it became one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeySchema>, nullable = false)]
    pub order: Option<Key>,
}

impl PublicData for Updated {
    const TYPE: &'static str = "cart.updated";
}

impl PublicData for Cleared {
    const TYPE: &'static str = "cart.cleared";
}
