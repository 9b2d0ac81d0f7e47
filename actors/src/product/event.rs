//! What happens to a product.

use nakku_cluster::Event as EventOfEntity;
use serde::{Deserialize, Serialize};

use super::command::{Details, Price};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It joined the catalogue.
    Created {
        /// What it is.
        details: Details,
        /// What it costs.
        price: Price,
    },
    /// Its description changed.
    Updated {
        /// What it is now.
        details: Details,
    },
    /// Its price changed.
    PriceChanged {
        /// What it costs now.
        price: Price,
        /// What it cost before.
        previous: Price,
    },
    /// It left the catalogue.
    Archived {},
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "product.created",
            Self::Updated { .. } => "product.updated",
            Self::PriceChanged { .. } => "product.price.changed",
            Self::Archived {} => "product.archived",
        }
    }
}
