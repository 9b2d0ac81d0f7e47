//! What the command line and the terminal share in showing what the admin API says.
//!
//! - [`events`]: its streams
//! - [`units`]: figures that people can read

pub mod events;
pub mod units;
