//! What can be set, and what is in force.
//!
//! One [`table`] names every setting with its kind, default and meaning. From it follow the names in a file
//! and in the environment, the checks, `nakku config` and `docs/settings.md`. The [`tree`] gives the same
//! settings types; a test holds that the two agree.
//!
//! - [`table`]: every setting, once
//! - [`value`]: the kinds of values, how they are read and shown
//! - [`load`]: defaults, file, environment and flags laid over each other
//! - [`tree`]: the typed tree that the rest of the program reads
//! - [`check`]: what must hold before a node starts
//! - [`print`]: `nakku config` and the generated page

pub mod check;
pub mod load;
pub mod print;
pub mod table;
pub mod tree;
pub mod value;

#[cfg(test)]
mod tests;

pub use load::{Layer, Loaded, SettingsError, Sources};
pub use tree::Settings;
