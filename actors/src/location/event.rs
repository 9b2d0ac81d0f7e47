//! What happens to a store's place.

use nakku_cluster::{Event as EventOfEntity, Key};
use serde::{Deserialize, Serialize};

use super::command::{Description, Pause, Zone};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was said what the store is called, where it is and when it is open.
    Described {
        /// The store itself.
        store: Key,
        /// All of that.
        description: Description,
    },
    /// A zone was set.
    ZoneSet {
        /// Its id.
        id: String,
        /// The zone.
        zone: Zone,
    },
    /// A zone was removed.
    ZoneRemoved {
        /// Its id.
        id: String,
    },
    /// It takes no orders.
    Paused {
        /// Why, and how long.
        pause: Pause,
    },
    /// It takes orders again.
    Resumed {},
    /// The directory knows.
    Told {
        /// What it has noted.
        revision: u64,
    },
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Described { .. }
            | Self::ZoneSet { .. }
            | Self::ZoneRemoved { .. }
            | Self::Paused { .. }
            | Self::Resumed {} => "location.store.changed",
            Self::Told { .. } => "location.store.told",
        }
    }
}
