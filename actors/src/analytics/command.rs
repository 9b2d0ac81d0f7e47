//! The protocol of an intake: what it has gathered, to be merged with what the others have.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::bucket::{Place, Resolution};
use super::sums::{Sold, Sums};

/// The most rows of one answer.
pub const ROWS_MAX: usize = 500;
/// The most products of one answer; beyond it those with the fewest units are told as one.
pub const PRODUCTS_MAX: usize = 5_000;

/// What an intake can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Its sums.
    Sums {
        /// From which buckets.
        resolution: Resolution,
        /// The first of them.
        from: i64,
        /// The one behind the last.
        until: i64,
        /// Of one store only; without, also what belongs to none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store: Option<Key>,
        /// Which of them are told as one.
        grouping: Grouping,
        /// Where the answer before ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Place>,
    },
    /// What was sold.
    Products {
        /// The first day.
        from: i64,
        /// The day behind the last.
        until: i64,
        /// In one store only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store: Option<Key>,
    },
}

/// Which sums are told as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// All of them; the row's bucket is the first that was asked for. Only here are events counted by type.
    All,
    /// Those of all stores.
    Bucket,
    /// None.
    BucketAndStore,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Its sums.
    Sums {
        /// In the order of their places, at most [`ROWS_MAX`].
        rows: Vec<Row>,
        /// There are more behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Place>,
        /// The time of the newest event that is in them, or would be.
        latest_at: Timestamp,
    },
    /// What was sold.
    Products {
        /// By SKU, at most [`PRODUCTS_MAX`].
        products: Vec<Product>,
        /// All others.
        others: Sold,
        /// The time of the newest event that is in them, or would be.
        latest_at: Timestamp,
    },
}

/// The sums of a bucket and store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose; without a store where those of all stores are told as one.
    pub place: Place,
    /// What happened.
    pub sums: Sums,
}

/// How much of a product was sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Which.
    pub sku: String,
    /// How much.
    #[serde(flatten)]
    pub sold: Sold,
}
