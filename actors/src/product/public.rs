//! What the outside is told of the catalogue.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::{Details, Price};
use super::event::Event;
use crate::money::CURRENCY;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let sku = key.clone();
    Some(match event {
        Event::Created { details, price } => {
            let Details { name, brand, barcode, unit, category } = details.clone();
            let Price { mrp_minor, price_minor, tax_basis_points } = *price;
            let currency = CURRENCY.into();
            Created { sku, name, brand, barcode, unit, category, mrp_minor, price_minor, tax_basis_points, currency }
                .event()
        }
        Event::Updated { details } => {
            let Details { name, brand, barcode, unit, category } = details.clone();
            Updated { sku, name, brand, barcode, unit, category }.event()
        }
        Event::Archived {} => Archived { sku }.event(),
        Event::PriceChanged { price, previous } => PriceChanged {
            sku,
            mrp_minor: price.mrp_minor,
            price_minor: price.price_minor,
            tax_basis_points: price.tax_basis_points,
            previous_mrp_minor: previous.mrp_minor,
            previous_price_minor: previous.price_minor,
            currency: CURRENCY.into(),
        }
        .event(),
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![
        EventType::of::<Created>("product"),
        EventType::of::<Updated>("product"),
        EventType::of::<Archived>("product"),
        EventType::of::<PriceChanged>("product"),
    ]
}

/// A product joined the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The stock keeping unit.
    #[schema(value_type = KeySchema)]
    pub sku: Key,
    /// Its name.
    pub name: String,
    /// Its brand.
    pub brand: String,
    /// EAN-13 with its check digit.
    pub barcode: String,
    /// How much one piece holds, such as `500 g`.
    pub unit: String,
    /// Such as `dairy`.
    pub category: String,
    /// The maximum retail price printed on the pack, with tax, in minor units.
    pub mrp_minor: i64,
    /// What is asked for it, with tax, in minor units.
    pub price_minor: i64,
    /// The tax within the price, in hundredths of a percent.
    pub tax_basis_points: u16,
    /// Of all amounts (ISO 4217).
    pub currency: String,
}

/// The description of a product changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Updated {
    /// The stock keeping unit.
    #[schema(value_type = KeySchema)]
    pub sku: Key,
    /// Its name.
    pub name: String,
    /// Its brand.
    pub brand: String,
    /// EAN-13 with its check digit.
    pub barcode: String,
    /// How much one piece holds, such as `500 g`.
    pub unit: String,
    /// Such as `dairy`.
    pub category: String,
}

/// A product left the catalogue for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Archived {
    /// The stock keeping unit.
    #[schema(value_type = KeySchema)]
    pub sku: Key,
}

/// The price of a product changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceChanged {
    /// The stock keeping unit.
    #[schema(value_type = KeySchema)]
    pub sku: Key,
    /// The maximum retail price printed on the pack, with tax, in minor units.
    pub mrp_minor: i64,
    /// What is asked for it, with tax, in minor units.
    pub price_minor: i64,
    /// The tax within the price, in hundredths of a percent.
    pub tax_basis_points: u16,
    /// The maximum retail price before, in minor units.
    pub previous_mrp_minor: i64,
    /// What was asked for it before, in minor units.
    pub previous_price_minor: i64,
    /// Of all amounts (ISO 4217).
    pub currency: String,
}

impl PublicData for Created {
    const TYPE: &'static str = "product.created";
}

impl PublicData for Updated {
    const TYPE: &'static str = "product.updated";
}

impl PublicData for Archived {
    const TYPE: &'static str = "product.archived";
}

impl PublicData for PriceChanged {
    const TYPE: &'static str = "product.price.changed";
}
