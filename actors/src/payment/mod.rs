//! The payment: an order's money, by card through a provider or in cash at the door.
//!
//! - [`command`]: the protocol
//! - [`event`]: what happened
//! - [`provider`]: the card network, and a simulated one

pub mod command;
pub mod event;
pub mod provider;

pub use command::{Command, Details, Outcome, Rejection, Reply, Status};
pub use event::Event;
pub use provider::SimulatedCard;
