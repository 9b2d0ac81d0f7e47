//! The order: the saga from its placing to the customer's door. Only the order decides.
//!
//! - [`command`]: the protocol
//! - [`event`]: what happened

pub mod command;
pub mod event;

pub use command::{
    CancelReason, Command, DeliveryStep, Details, Line, PaymentMethod, Placement, Rejection, Reply, Status, Summary,
};
pub use event::Event;

use nakku_cluster::Key;

use crate::digest::short_digest;

/// The key of a user's order: it follows from the Idempotency-Key under which it is placed, so that a
/// repetition finds the same order wherever it arrives. Cart, order and payment share the user's shard.
///
/// # Panics
/// When the user's key is longer than 100 bytes, which no user's is.
pub fn order_key(user: &Key, idempotency_key: &str) -> Key {
    let digest = short_digest(&[user.as_str().as_bytes(), idempotency_key.as_bytes()]);
    Key::new(format!("{user}.o-{digest}")).expect("a user's key and a digest make a key")
}
