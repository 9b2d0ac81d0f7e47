//! What the demo shop sells and has in stock.

use nakku_cluster::Key;

use super::{STORES, key};
use crate::product::command::{Details, Price};
use crate::{inventory, product};

/// The catalogue: a comment, a line with the names of the fields, and a product a line. No field holds a comma
/// or a quotation mark.
const PRODUCTS: &str = include_str!("products.csv");

/// Names the one supply that every store gets.
const RECEIPT: &str = "demo";

/// The product of which the first store has exactly [`SCARCE_QUANTITY`]: to be fought for.
pub const SCARCE: &str = "p-amul-salted-butter-500-g";
/// See [`SCARCE`].
pub const SCARCE_QUANTITY: u32 = 100;

/// Every product: its key and the command that creates it.
pub fn products() -> Vec<(Key, product::Command)> {
    rows().map(|row| row.expect("products.csv is well formed, a test reads all of it")).collect()
}

/// Every store and the supply that stocks it.
pub fn supplies() -> Vec<(Key, inventory::Command)> {
    let skus: Vec<Key> = products().into_iter().map(|(sku, _)| sku).collect();
    let supply = |store: usize| {
        let line = |(at, sku): (usize, &Key)| inventory::Line {
            sku: sku.as_str().to_owned(),
            quantity: if sku.as_str() == SCARCE { SCARCE_QUANTITY } else { quantity(store, at) },
        };
        inventory::Command::Supply { receipt: RECEIPT.into(), lines: skus.iter().enumerate().map(line).collect() }
    };
    STORES.iter().enumerate().map(|(at, store)| (store.key(), supply(at))).collect()
}

/// Between 100 and 499, spread so that stores and products differ.
fn quantity(store: usize, product: usize) -> u32 {
    u32::try_from((product * 37 + store * 113) % 400).unwrap_or_default() + 100
}

/// Reads the file.
pub(super) fn rows() -> impl Iterator<Item = Result<(Key, product::Command), String>> {
    PRODUCTS.lines().filter(|line| !line.starts_with('#')).skip(1).map(row)
}

fn row(line: &str) -> Result<(Key, product::Command), String> {
    let fields: Vec<&str> = line.split(',').collect();
    let [sku, name, brand, unit, category, barcode, mrp, price, tax] = fields[..] else {
        return Err(format!("{} fields in {line:?}", fields.len()));
    };
    let number = |text: &str| text.parse::<i64>().map_err(|error| format!("{error} in {line:?}"));
    let details = Details {
        name: name.into(),
        brand: brand.into(),
        barcode: barcode.into(),
        unit: unit.into(),
        category: category.into(),
    };
    let price = Price {
        mrp_minor: number(mrp)?,
        price_minor: number(price)?,
        tax_basis_points: tax.parse().map_err(|error| format!("{error} in {line:?}"))?,
    };
    Ok((key(sku), product::Command::Create { details, price }))
}
