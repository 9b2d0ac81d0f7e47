//! What an intake remembers: sums by hour and by day, what was sold on which day, and carts in use.

use nakku_cluster::events::intake::Gathered;
use nakku_cluster::{Key, PartSet, Parts, Timestamp};

use super::bucket::{PRODUCT_DAYS_KEPT, Place, Resolution};
use super::carts::Carts;
use super::event::{Event, Fact, Line};
use super::sums::{Products, Sold, Sums};

/// See the module. The newest bucket decides which are too old to be kept.
#[derive(Debug, Default)]
pub struct State {
    /// By hour and store.
    pub hours: Parts<Place, Sums>,
    /// By day and store.
    pub days: Parts<Place, Sums>,
    /// What was sold, by day and store.
    pub products: Parts<Place, Products>,
    /// Carts in use.
    pub carts: Carts,
}

impl Gathered for State {
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![
            ("hours", &mut self.hours),
            ("days", &mut self.days),
            ("products", &mut self.products),
            ("carts", self.carts.parts()),
        ]
    }

    fn loaded(&mut self) {
        self.carts.loaded();
    }
}

impl State {
    /// The sums of a resolution.
    pub fn sums(&self, resolution: Resolution) -> &Parts<Place, Sums> {
        match resolution {
            Resolution::Hour => &self.hours,
            Resolution::Day => &self.days,
        }
    }

    /// The time of the newest event.
    pub fn latest_at(&self) -> Timestamp {
        let newest = self.days.keys().next_back().map(|place| place.bucket);
        let sums = newest.and_then(|day| self.days.get(&Place::first_of(day)));
        sums.map(|sums| sums.latest_at).unwrap_or_default()
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let Event { at, event_type, fact } = event;
        self.note(*at, None, |sums| {
            sums.count(event_type, 1);
            sums.latest_at = sums.latest_at.max(*at);
        });
        if let Some(fact) = fact {
            self.evolve_fact(*at, fact);
        }
    }

    fn evolve_fact(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Registered => self.note(at, None, |sums| sums.registered += 1),
            Fact::CartTouched { user, store } => {
                if self.carts.touch(user, at) {
                    self.note(at, store.as_ref(), |sums| sums.carts += 1);
                }
            }
            Fact::CartEmptied { user } => self.carts.close(user),
            Fact::Placed { store } => self.note(at, Some(store), |sums| sums.placed += 1),
            Fact::Confirmed { store, total_minor } => self.note(at, Some(store), |sums| {
                sums.confirmed += 1;
                sums.gross_minor = sums.gross_minor.saturating_add(*total_minor);
            }),
            Fact::Cancelled { store, confirmed_minor } => self.note(at, Some(store), |sums| {
                sums.cancelled += 1;
                if let Some(total_minor) = confirmed_minor {
                    sums.cancelled_after_confirmation += 1;
                    sums.cancelled_minor = sums.cancelled_minor.saturating_add(*total_minor);
                }
            }),
            Fact::Completed { store, actual_ms, promised_minutes, lines } => {
                self.note(at, Some(store), |sums| {
                    sums.completed += 1;
                    sums.punctuality.note(*actual_ms, *promised_minutes);
                    for line in lines {
                        sums.units = sums.units.saturating_add(line.units.into());
                        sums.tax_minor = sums.tax_minor.saturating_add(line.tax_minor);
                    }
                });
                self.note_products(at, store, lines);
            }
            Fact::Refunded { store, amount_minor } => self.note(at, Some(store), |sums| {
                sums.refunded += 1;
                sums.refunds_minor = sums.refunds_minor.saturating_add(*amount_minor);
            }),
        }
    }

    /// Notes something in the hour and in the day in which it happened.
    fn note(&mut self, at: Timestamp, store: Option<&Key>, note: impl Fn(&mut Sums)) {
        for (resolution, sums) in [(Resolution::Hour, &mut self.hours), (Resolution::Day, &mut self.days)] {
            let place = Place { bucket: resolution.bucket(at), store: store.cloned() };
            change(sums, place, resolution.kept(), &note);
        }
    }

    fn note_products(&mut self, at: Timestamp, store: &Key, lines: &[Line]) {
        let place = Place { bucket: Resolution::Day.bucket(at), store: Some(store.clone()) };
        change(&mut self.products, place, PRODUCT_DAYS_KEPT, |products| {
            for line in lines {
                let revenue_minor = line.price_minor.saturating_mul(line.units.into());
                products.add(&line.sku, Sold { units: line.units.into(), revenue_minor });
            }
        });
    }
}

/// Changes the value of a place, unless its bucket is too old to be kept, and drops those that now are.
fn change<V: Default>(parts: &mut Parts<Place, V>, place: Place, kept: i64, apply: impl FnOnce(&mut V)) {
    let newest = parts.keys().next_back().map_or(place.bucket, |newest| newest.bucket.max(place.bucket));
    let oldest_kept = newest.saturating_sub(kept - 1);
    if place.bucket < oldest_kept {
        return;
    }
    if parts.get(&place).is_none() {
        parts.insert(place.clone(), V::default());
    }
    if let Some(value) = parts.get_mut(&place) {
        apply(value);
    }
    let too_old: Vec<Place> = parts.keys().take_while(|place| place.bucket < oldest_kept).cloned().collect();
    too_old.iter().for_each(|place| drop(parts.remove(place)));
}
