//! What the command line and the terminal share in showing what the admin API says.
//!
//! - [`events`]: its streams
//! - [`infrastructure`]: what goes on and goes wrong behind the shards, in words
//! - [`units`]: figures that people can read

pub mod events;
pub mod infrastructure;
pub mod units;
