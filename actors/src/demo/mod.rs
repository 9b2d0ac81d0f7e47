//! The demo shop: a catalogue, three dark stores with stock, riders and people to log in as. For development
//! only: the password of all its accounts is [`PASSWORD`] and is no secret.
//!
//! - [`catalogue`]: what it sells, from `products.csv`
//! - [`people`]: who works and buys there
//! - [`seed`](mod@seed): puts it into a cluster

pub mod catalogue;
pub mod people;
pub mod seed;
#[cfg(test)]
mod tests;

pub use people::PASSWORD;
pub use seed::{SeedError, Seeded, seed};

use nakku_cluster::Key;

/// A dark store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its key.
    pub key: &'static str,
    /// Where it is.
    pub area: &'static str,
    /// Its postal index number.
    pub pin_code: &'static str,
}

/// The stores, all of them in Bengaluru.
pub const STORES: [Store; 3] = [
    Store { key: "s-indiranagar", area: "Indiranagar", pin_code: "560038" },
    Store { key: "s-koramangala", area: "Koramangala", pin_code: "560034" },
    Store { key: "s-jayanagar", area: "Jayanagar", pin_code: "560041" },
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
