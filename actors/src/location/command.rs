//! The protocol of a store's place.

use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

use super::area::Area;
use super::hours::{Standing, Week};
use crate::position::Position;

/// The longest name, in characters.
pub const NAME_CHARACTERS_MAX: usize = 100;
/// The longest reason of a pause, in characters; it may be empty.
pub const REASON_CHARACTERS_MAX: usize = 200;
/// The longest id of a zone, in bytes.
pub const ZONE_ID_BYTES_MAX: usize = 40;
/// The most zones of a store.
pub const ZONES_MAX: usize = 16;
/// The most vertices of all zones of a store together.
pub const VERTICES_MAX: usize = 2_000;
/// The highest fee, and the highest least amount of an order, in minor units.
pub const AMOUNT_MINOR_MAX: i64 = 10_000_000;
/// The longest promise, in minutes.
pub const PROMISED_MINUTES_MAX: u32 = 24 * 60;
/// The highest priority; the lowest is its negative.
pub const PRIORITY_MAX: i32 = 1_000;

/// What a store's place can be asked to do; the key is the store's (`s-…`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Says what it is called, where it is and when it is open. Repeated, it changes nothing.
    Describe {
        /// All of that.
        description: Description,
    },
    /// Sets a zone under an id that the caller chose. Repeated, it changes nothing.
    SetZone {
        /// 1 to [`ZONE_ID_BYTES_MAX`] letters, digits, `-` or `_`.
        id: String,
        /// The zone.
        zone: Zone,
    },
    /// Removes a zone if it is there.
    RemoveZone {
        /// Its id.
        id: String,
    },
    /// Takes no orders for a while, whatever the hours say. Repeated, it changes nothing.
    Pause {
        /// Why, and how long.
        pause: Pause,
    },
    /// Takes orders again.
    Resume,
    /// Reads it.
    Get,
    /// The timer: the pause is over.
    PauseDue,
    /// From the directory's answer.
    DirectoryTold {
        /// What it has noted.
        revision: u64,
    },
}

/// What a store is called, where it is and when it is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// 1 to [`NAME_CHARACTERS_MAX`] characters.
    pub name: String,
    /// Where it is.
    pub position: Position,
    /// When it is open.
    pub hours: Week,
    /// For an address of which no position is known.
    #[serde(default)]
    pub base: Terms,
}

/// On what terms goods are brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What the delivery costs, 0 to [`AMOUNT_MINOR_MAX`].
    pub fee_minor: i64,
    /// The least that the goods have to cost, 0 to [`AMOUNT_MINOR_MAX`].
    pub minimum_minor: i64,
    /// How long it takes from the order to the door, up to [`PROMISED_MINUTES_MAX`]; 0 promises nothing.
    pub promised_minutes: u32,
}

/// Where a store brings goods, and on what terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Of zones that overlap, of one store or several, the highest counts; up to [`PRIORITY_MAX`] either way.
    pub priority: i32,
    /// On what terms.
    #[serde(flatten)]
    pub terms: Terms,
    /// Where.
    pub area: Area,
}

/// Why and how long a store takes no orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Up to [`REASON_CHARACTERS_MAX`] characters.
    pub reason: String,
    /// Until then; until it is resumed when nothing is said.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether it lasts at this time.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The store as it is now.
    Store(Box<View>),
    /// To the timer and the directory: noted.
    Noted,
}

/// A store's place, as others see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// What it is called, where it is and when it is open.
    pub description: Description,
    /// Why it takes no orders.
    pub pause: Option<Pause>,
    /// Where it brings goods, by id, in order.
    pub zones: Vec<(String, Zone)>,
}

impl View {
    /// Whether it takes orders at this time, and until when that stays so, if that is known.
    pub fn takes_orders(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        match (self.pause.as_ref().filter(|pause| pause.lasts(now)), self.description.hours.at(now)) {
            (Some(pause), _) => (false, pause.until),
            (None, Standing::Open { closes_at }) => (true, closes_at),
            (None, Standing::Closed { opens_at }) => (false, opens_at),
        }
    }
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// Nobody has said yet where it is.
    #[error("the store has not been described")]
    Unknown,
    /// A list is full.
    #[error("a store has at most {limit} {what}")]
    TooMany {
        /// Of what.
        what: String,
        /// How many there may be.
        limit: u32,
    },
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `area`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
