//! The entities that stand out, in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi, 2005), over the
//! present window and the one before it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::reference::{Key, Kind};

/// Entities that are followed by each measure. What takes more than one part in so many of it is among them.
pub const FOLLOWED_MAX: usize = 256;

/// Who it is.
pub(crate) type Name = (Kind, Key);

/// See the module.
#[derive(Default)]
pub(crate) struct Hitters(Mutex<[Sketch; 2]>);

#[derive(Default)]
struct Sketch(HashMap<Name, u64>);

impl Hitters {
    /// More of a sum.
    pub(crate) fn add(&self, name: &Name, amount: u64) {
        self.lock()[0].add(name, amount);
    }

    /// A measure of which the latest counts.
    pub(crate) fn set(&self, name: &Name, value: u64) {
        self.lock()[0].set(name, value);
    }

    /// The present window becomes the one before it.
    pub(crate) fn turn(&self) {
        let mut windows = self.lock();
        let [present, before] = &mut *windows;
        std::mem::swap(present, before);
        present.0.clear();
    }

    /// The greatest sums of both windows.
    pub(crate) fn sums(&self, limit: usize) -> Vec<(Name, u64)> {
        self.greatest(limit, |one, other| one + other)
    }

    /// The greatest values; the latest of each.
    pub(crate) fn values(&self, limit: usize) -> Vec<(Name, u64)> {
        self.greatest(limit, |latest, _| latest)
    }

    fn greatest(&self, limit: usize, join: impl Fn(u64, u64) -> u64) -> Vec<(Name, u64)> {
        let windows = self.lock();
        let mut all = windows[0].0.clone();
        for (name, value) in &windows[1].0 {
            all.entry(name.clone()).and_modify(|latest| *latest = join(*latest, *value)).or_insert(*value);
        }
        drop(windows);
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        all.truncate(limit);
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Sketch; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sketch {
    fn add(&mut self, name: &Name, amount: u64) {
        if let Some(sum) = self.0.get_mut(name) {
            *sum += amount;
            return;
        }
        // A newcomer inherits the least sum, so that it is never underestimated.
        let inherited = if self.0.len() < FOLLOWED_MAX { 0 } else { self.remove_least().unwrap_or(0) };
        self.0.insert(name.clone(), inherited + amount);
    }

    fn set(&mut self, name: &Name, value: u64) {
        if let Some(known) = self.0.get_mut(name) {
            *known = value;
            return;
        }
        if self.0.len() >= FOLLOWED_MAX {
            if self.0.values().min().is_some_and(|least| *least >= value) {
                return;
            }
            self.remove_least();
        }
        self.0.insert(name.clone(), value);
    }

    fn remove_least(&mut self) -> Option<u64> {
        let least = self.0.iter().min_by_key(|(_, sum)| **sum).map(|(name, _)| name.clone())?;
        self.0.remove(&least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { service: "cart", entity: "cart" };

    fn name(number: u32) -> Name {
        (KIND, Key::new(format!("u-{number}")).unwrap())
    }

    #[test]
    fn who_is_asked_most_is_found_among_many() {
        let hitters = Hitters::default();
        for round in 0..2000u32 {
            hitters.add(&name(7), 1);
            hitters.add(&name(1000 + round), 1);
            if round == 1000 {
                hitters.turn();
            }
        }
        let found = hitters.sums(3);
        assert_eq!(found[0].0, name(7));
        assert!(found[0].1 >= 2000, "{found:?}");
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn the_largest_stay() {
        let hitters = Hitters::default();
        hitters.set(&name(1), 9000);
        for number in 10..2000 {
            hitters.set(&name(number), u64::from(number));
        }
        hitters.set(&name(1), 8000);
        let found = hitters.values(2);
        assert_eq!((found[0].clone(), found[1].clone()), ((name(1), 8000), (name(1999), 1999)));
    }
}
