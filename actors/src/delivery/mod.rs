//! Bringing orders to the door.

pub mod command;
pub mod event;
pub mod rider;
pub mod roster;

pub use command::{Command, Rejection, Reply};
pub use event::Event;
