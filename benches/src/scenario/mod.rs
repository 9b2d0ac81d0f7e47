//! The scenarios, one file each.
//!
//! - [`journal`]: durable commands against raw batched statements

pub mod journal;
