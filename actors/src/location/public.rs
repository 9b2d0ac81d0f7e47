//! What the outside is told of stores' places: that one has changed, and how it stands then. Where riders are stays
//! here.

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Event;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event. The key is the store's.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let changed = |change: Change| StoreChanged {
        store: key.clone(),
        change,
        name: None,
        lat_e6: None,
        lng_e6: None,
        zone: None,
        paused_until_ms: None,
    };
    let changed = match event {
        Event::Described { description, .. } => StoreChanged {
            name: Some(description.name.clone()),
            lat_e6: Some(description.position.lat_e6),
            lng_e6: Some(description.position.lng_e6),
            ..changed(Change::Described)
        },
        Event::ZoneSet { id, .. } => StoreChanged { zone: Some(id.clone()), ..changed(Change::ZoneSet) },
        Event::ZoneRemoved { id } => StoreChanged { zone: Some(id.clone()), ..changed(Change::ZoneRemoved) },
        Event::Paused { pause } => StoreChanged { paused_until_ms: pause.until, ..changed(Change::Paused) },
        Event::Resumed {} => changed(Change::Resumed),
        Event::Told { .. } => return None,
    };
    Some(changed.event())
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![EventType::of::<StoreChanged>("location")]
}

/// Where a store is, when it is open, where it brings goods or whether it takes orders has changed; the store itself
/// says how that is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreChanged {
    /// The store's key.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// What has changed.
    pub change: Change,
    /// What it is called, when it was described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Its latitude in millionths of a degree, when it was described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub lat_e6: Option<i32>,
    /// Its longitude in millionths of a degree, when it was described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub lng_e6: Option<i32>,
    /// Which zone, when one was set or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub zone: Option<String>,
    /// Until when it takes no orders, when it was paused and that is known, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false)]
    pub paused_until_ms: Option<Timestamp>,
}

/// What has changed of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// What it is called, where it is or when it is open.
    Described,
    /// A zone was added, or is another one now.
    ZoneSet,
    /// A zone is gone.
    ZoneRemoved,
    /// It takes no orders for a while.
    Paused,
    /// It takes orders again.
    Resumed,
}

impl PublicData for StoreChanged {
    const TYPE: &'static str = "location.store.changed";
}
