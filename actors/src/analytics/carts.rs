//! Which carts are in use, so that the beginning of one counts once.

use std::collections::BTreeSet;

use nakku_cluster::{Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::bucket::Resolution;

/// Carts in use that one intake remembers; beyond it those that were touched longest ago count as new ones
/// when they are touched again.
pub const CARTS_MAX: usize = 20_000;
/// A cart that nobody has touched for so many hours is begun anew when it is touched.
pub const IDLE_HOURS: i64 = 24;

/// A cart in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// The hour in which it was last touched.
    pub hour: i64,
}

/// Carts in use by user.
#[derive(Clone, Debug, Default)]
pub struct Carts {
    carts: Parts<Key, Cart>,
    /// Derived from the carts.
    by_hour: BTreeSet<(i64, Key)>,
}

impl Carts {
    /// Notes that a user has put something into the cart; says whether that began it.
    pub fn touch(&mut self, user: &Key, at: Timestamp) -> bool {
        let hour = Resolution::Hour.bucket(at);
        self.forget_before(hour - IDLE_HOURS);
        let known = self.carts.get(user).copied();
        if known.is_none_or(|cart| cart.hour < hour) {
            self.close(user);
            self.by_hour.insert((hour, user.clone()));
            self.carts.insert(user.clone(), Cart { hour });
        }
        while self.carts.len() > CARTS_MAX {
            let oldest = self.by_hour.first().map(|(_, user)| user.clone());
            oldest.iter().for_each(|user| self.close(user));
        }
        known.is_none()
    }

    /// Notes that a user's cart is empty.
    pub fn close(&mut self, user: &Key) {
        if let Some(cart) = self.carts.remove(user) {
            self.by_hour.remove(&(cart.hour, user.clone()));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.carts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.carts.is_empty()
    }

    pub(super) fn parts(&mut self) -> &mut dyn PartSet {
        &mut self.carts
    }

    pub(super) fn loaded(&mut self) {
        self.by_hour = self.carts.iter().map(|(user, cart)| (cart.hour, user.clone())).collect();
    }

    fn forget_before(&mut self, hour: i64) {
        while let Some((touched, user)) = self.by_hour.first().cloned()
            && touched < hour
        {
            self.close(&user);
        }
    }
}
