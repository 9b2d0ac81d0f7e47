//! The cart: what a user is about to order from one store.
//!
//! - [`command`]: the protocol
//! - [`event`]: what happened

pub mod command;
pub mod event;

pub use command::{Command, Contents, Line, Rejection, Reply};
pub use event::Event;
