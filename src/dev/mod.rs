//! `nakku dev`: a whole cluster on one machine, with a shop to try.
//!
//! - [`run`]: starts it, looks after it, stops it
//! - [`folder`]: the data folder, which one dev holds at a time
//! - [`local`]: what it leaves for the client commands
//! - [`nodes`]: its further nodes, processes of their own
//! - [`rider`]: simulated riders, which deliver what is ordered
//! - [`secrets`]: its secrets

pub mod folder;
pub mod local;
pub mod nodes;
pub mod rider;
pub mod run;
pub mod secrets;

/// The data folder unless another is named.
pub const DATA_DEFAULT: &str = ".nakku";

#[cfg(test)]
mod tests;
