//! The demo shop: a catalogue, three dark stores with stock, riders and people to log in as. For development
//! only: the password of all its accounts is [`PASSWORD`] and is no secret.
//!
//! - [`catalogue`]: what it sells, from `products.csv`
//! - [`people`]: who works and buys there
//! - [`places`]: where the stores are, and where they bring goods
//! - [`seed`](mod@seed): puts it into a cluster

pub mod catalogue;
pub mod people;
pub mod places;
pub mod seed;
#[cfg(test)]
mod tests;

pub use people::PASSWORD;
pub use seed::{SeedError, Seeded, seed};

use nakku_cluster::Key;

use crate::position::Position;

/// A dark store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its key.
    pub key: &'static str,
    /// Where it is.
    pub area: &'static str,
    /// Its postal index number.
    pub pin_code: &'static str,
    /// Where exactly.
    pub position: Position,
}

/// The stores, all of them in Bengaluru.
pub const STORES: [Store; 3] = [
    Store {
        key: "s-indiranagar",
        area: "Indiranagar",
        pin_code: "560038",
        position: Position { lat_e6: 12_978_400, lng_e6: 77_640_800 },
    },
    Store {
        key: "s-koramangala",
        area: "Koramangala",
        pin_code: "560034",
        position: Position { lat_e6: 12_935_200, lng_e6: 77_624_500 },
    },
    Store {
        key: "s-jayanagar",
        area: "Jayanagar",
        pin_code: "560041",
        position: Position { lat_e6: 12_925_000, lng_e6: 77_593_800 },
    },
];

impl Store {
    /// Its key.
    pub fn key(&self) -> Key {
        key(self.key)
    }
}

/// A key that is written in this folder.
fn key(text: &str) -> Key {
    Key::new(text).expect("the keys of the demo are well formed")
}
