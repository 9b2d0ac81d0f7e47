//! The protocol of a product.

use serde::{Deserialize, Serialize};

/// What a product can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Adds the product to the catalogue. The same details again change nothing.
    Create {
        /// What it is.
        details: Details,
        /// What it costs.
        price: Price,
    },
    /// Replaces what it is; the price stays.
    Update {
        /// What it is from now on.
        details: Details,
    },
    /// Replaces what it costs.
    ChangePrice {
        /// What it costs from now on.
        price: Price,
    },
    /// Takes it out of the catalogue for good. It can still be read, for orders of the past.
    Archive,
    /// Reads it.
    Get,
}

/// What a product is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// 1 to [`NAME_CHARACTERS_MAX`] characters.
    pub name: String,
    /// 1 to [`BRAND_CHARACTERS_MAX`] characters.
    pub brand: String,
    /// EAN-13 with its check digit, such as `8901063010215`.
    pub barcode: String,
    /// How much one piece holds, such as `500 g`; 1 to [`UNIT_CHARACTERS_MAX`] characters.
    pub unit: String,
    /// Such as `dairy`: lower-case letters, digits and `-`, 1 to [`CATEGORY_CHARACTERS_MAX`] of them.
    pub category: String,
}

/// What a product costs, tax included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The maximum retail price printed on the pack, in minor units.
    pub mrp_minor: i64,
    /// What is asked for it, in minor units; never above the maximum retail price.
    pub price_minor: i64,
    /// The goods and services tax within the price, in hundredths of a percent: one of
    /// [`TAX_BASIS_POINTS`].
    pub tax_basis_points: u16,
}

/// The longest name.
pub const NAME_CHARACTERS_MAX: usize = 120;
/// The longest brand.
pub const BRAND_CHARACTERS_MAX: usize = 60;
/// The longest unit.
pub const UNIT_CHARACTERS_MAX: usize = 30;
/// The longest category.
pub const CATEGORY_CHARACTERS_MAX: usize = 40;
/// The highest price of one piece: ten lakh rupees. Keeps sums of whole orders far from overflow.
pub const PRICE_MINOR_MAX: i64 = 100_000_000;
/// The classes of India's goods and services tax: those in force since 22 September 2025 (nil, 5, 18, 40
/// percent) and those before it, which goods bought earlier still carry.
pub const TAX_BASIS_POINTS: [u16; 6] = [0, 500, 1200, 1800, 2800, 4000];

/// What a product answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The product as it is now.
    Product(Product),
}

/// A product as it is; also the head of its state, so lists return it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// False until it has been created.
    pub exists: bool,
    /// What it is.
    pub details: Details,
    /// What it costs.
    pub price: Price,
    /// Whether it has left the catalogue.
    pub archived: bool,
}

/// Why a product refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// There is no such product.
    #[error("there is no product under this key")]
    NotFound,
    /// Another product has been created under this key.
    #[error("another product exists under this key")]
    AlreadyExists,
    /// It has been archived and no longer changes.
    #[error("the product is archived")]
    Archived,
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `barcode`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
