//! What makes any entity distributed and durable. This crate knows nothing of shops.

pub mod ask;
pub mod databases;
pub mod entity;
pub mod error;
pub mod handle;
pub mod instance;
pub mod journal;
pub mod link;
pub mod membership;
pub mod metrics;
pub mod outstanding;
pub mod parts;
pub mod placement;
pub mod provider;
pub mod query;
pub mod reference;
mod region;
pub mod runtime;
pub mod service;
mod shard;
pub mod status;
pub mod store;
pub mod time;
pub mod topology;

pub use ask::{Answered, Ask, Once};
pub use entity::{Column, ColumnKind, ColumnValue, Context, Decision, Entity, EntityState, Event};
pub use error::{AskError, Failure};
pub use handle::Cluster;
pub use outstanding::{Answer, Call, Effect, Outstanding};
pub use parts::{PartSet, Parts};
pub use provider::{Provider, ProviderError};
pub use query::{Listed, Query};
pub use reference::{Address, Key, Kind, Ref};
pub use service::{Migration, Service};
pub use time::Timestamp;
