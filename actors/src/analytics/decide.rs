//! How an intake answers.

use std::collections::BTreeMap;

use nakku_cluster::{Key, Parts};

use super::bucket::Place;
use super::command::{Command, Grouping, PRODUCTS_MAX, Product, ROWS_MAX, Reply, Row};
use super::state::State;
use super::sums::Sold;

/// Answers a question; nothing changes.
pub fn decide(state: &State, command: Command) -> Reply {
    match command {
        Command::Sums { resolution, from, until, store, grouping, after } => {
            let begin = match (&after, grouping) {
                (Some(after), Grouping::BucketAndStore) => from.max(after.bucket),
                (Some(after), _) => from.max(after.bucket.saturating_add(1)),
                (None, _) => from,
            };
            let told = |place: &Place| grouping == Grouping::BucketAndStore && after.as_ref() >= Some(place);
            let before = bucket_before(begin);
            let mut rows: Vec<Row> = Vec::new();
            let mut next = None;
            for (place, sums) in between(state.sums(resolution), &before, until, store.as_ref()) {
                let place = match grouping {
                    _ if told(place) => continue,
                    Grouping::All => Place::first_of(from),
                    Grouping::Bucket => Place::first_of(place.bucket),
                    Grouping::BucketAndStore => place.clone(),
                };
                if let Some(row) = rows.last_mut().filter(|row| row.place == place) {
                    row.sums.merge(sums);
                    continue;
                }
                if rows.len() == ROWS_MAX {
                    next = rows.last().map(|row| row.place.clone());
                    break;
                }
                rows.push(Row { place, sums: sums.clone() });
            }
            if grouping != Grouping::All {
                // Many types a row, which would make answers too large.
                rows.iter_mut().for_each(|row| row.sums.events.clear());
            }
            Reply::Sums { rows, next, latest_at: state.latest_at() }
        }
        Command::Products { from, until, store } => {
            let before = bucket_before(from);
            let mut by_sku: BTreeMap<&String, Sold> = BTreeMap::new();
            let mut others = Sold::default();
            for (_, products) in between(&state.products, &before, until, store.as_ref()) {
                products.by_sku.iter().for_each(|(sku, sold)| by_sku.entry(sku).or_default().merge(*sold));
                others.merge(products.others);
            }
            let product = |(sku, sold): (&String, Sold)| Product { sku: sku.clone(), sold };
            let mut products: Vec<Product> = by_sku.into_iter().map(product).collect();
            if products.len() > PRODUCTS_MAX {
                products.sort_by(|one, other| other.sold.units.cmp(&one.sold.units).then(one.sku.cmp(&other.sku)));
                products.drain(PRODUCTS_MAX..).for_each(|product| others.merge(product.sold));
            }
            Reply::Products { products, others, latest_at: state.latest_at() }
        }
    }
}

/// The first place of a bucket may be there itself, so a search for what lies behind a place has to begin in
/// the bucket before.
fn bucket_before(bucket: i64) -> Place {
    Place::first_of(bucket.saturating_sub(1))
}

/// What there is in the buckets behind one, in order.
fn between<'a, V>(
    parts: &'a Parts<Place, V>,
    before: &'a Place,
    until: i64,
    store: Option<&'a Key>,
) -> impl Iterator<Item = (&'a Place, &'a V)> {
    parts
        .iter_after(Some(before))
        .skip_while(|(place, _)| place.bucket == before.bucket)
        .take_while(move |(place, _)| place.bucket < until)
        .filter(move |(place, _)| store.is_none_or(|store| place.store.as_ref() == Some(store)))
}
