//! The rider.

pub mod command;
pub mod event;

pub use command::{Command, Rejection, Reply};
pub use event::Event;
