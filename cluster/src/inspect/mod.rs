//! Looks into a node, and acts on it: what someone on call asks of a cluster.
//!
//! Observing must cost the commands next to nothing: what every command touches are relaxed atomics, and all that
//! needs a lock is sampled. Everything kept here has a bound that is a named constant.
//!
//! - [`question`]: what can be asked of a node
//! - [`report`]: what it answers
//! - `counts`: commands by kind and name, with their times
//! - `commits`: transactions, of shards and of the journal's lanes
//! - `hitters`: the entities that are asked most, take longest, are largest
//! - `tail`: commands as they are answered, while somebody looks
//! - `hops`: the steps of requests, and [`path`]: those of one in order
//! - `observe`: what a command touches on its way
//! - `points`: the last quarter of an hour
//! - `moves`: which shards came and went; `cause`: why
//! - `inspector`: the actor that answers; [`infrastructure`], `tree`: of what works behind the shards, and of all
//! - `entity`: one entity, from memory or from its rows
//! - `outstanding`: what may be done with the effects and the reminder of one entity
//! - `profile`: what the processor does for a time
//! - [`controls`]: what of its process a node can be told to change
//! - `ask`: one question to one node or to all
//! - `view`: where shards are to be, as an operator wants it

pub(crate) mod ask;
pub(crate) mod cause;
pub(crate) mod commits;
pub mod controls;
pub(crate) mod counts;
pub(crate) mod entity;
mod hitters;
pub(crate) mod hops;
pub mod infrastructure;
pub(crate) mod inspector;
#[cfg(test)]
mod memory_tests;
pub(crate) mod moves;
pub(crate) mod observe;
mod outstanding;
pub mod path;
pub(crate) mod points;
pub(crate) mod profile;
pub mod question;
pub mod report;
mod tail;
mod tree;
pub(crate) mod view;

pub use question::{Act, EffectAt, EntityAt, Matching, ProfileFormat, Question, TopBy, ViewChange};
pub use report::{Everywhere, Report};
