//! The scenarios, one file or folder each.
//!
//! - [`journal`]: durable commands against raw batched statements
//! - [`hot_item`]: many buyers of few units
//! - [`ask`]: asks from node to node against ractor_cluster's own calls
//! - [`checkout`]: whole checkouts over HTTP
//! - [`failover`]: from the death of an owner to the first answer of its entities
//! - [`live`]: many WebSockets, and a rider's position from gateway to gateway
//! - [`events`]: events from commit over Kafka to a consumer, against librdkafka's own producer
//! - [`inspect`]: what looking costs the checkouts, and how long it takes
//! - [`idle`]: memory of loaded idle entities against bare actors

pub mod ask;
pub mod checkout;
pub mod events;
pub mod failover;
pub mod hot_item;
pub mod idle;
pub mod inspect;
pub mod journal;
pub mod live;
