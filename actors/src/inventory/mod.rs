//! The inventory: one entity owns all stock of one store, so that an order's lines are reserved in one
//! decision, all or none, however many buyers come at once.
//!
//! - [`command`]: the protocol
//! - [`event`]: what happened

pub mod command;
pub mod event;

pub use command::{Command, Lack, Level, Line, Rejection, Reply, Verdict};
pub use event::Event;
