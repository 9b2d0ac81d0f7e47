//! Live updates: an order on its way, a rider's deliveries, a store's board, told as they change.
//!
//! A client opens a WebSocket at `/api/v1/live` (or, without WebSockets, a stream of Server-Sent Events at
//! `/api/v1/live/events`) and subscribes; what it may send and what it hears is in [`protocol`] and, for those
//! who write clients, in `docs/live.md`.
//!
//! What is committed anywhere reaches the [`hub`] of every gateway at once, but without a promise. What a
//! subscriber must not miss is made whole from the journal: after a reconnection, when something is seen to be
//! missing, and now and then in any case. So nothing is kept in a gateway that another could not go on from.
//!
//! - [`protocol`]: the messages
//! - [`cursor`]: how far a client has come
//! - [`hub`]: from what the cluster tells to those who want to know
//! - `subscription`: what can be subscribed to, and who may
//! - `order`, `board`: the tasks that serve a subscription
//! - `token`: the access token, while the connection lives
//! - `session`: a WebSocket: an actix actor
//! - `arbiters`: the threads that these actors live on
//! - [`upgrade`]: from a request to a session
//! - [`stream`]: Server-Sent Events
//! - `updates`: what all connections of a gateway share

mod arbiters;
mod board;
pub mod cursor;
pub mod hub;
mod order;
pub mod protocol;
mod session;
pub mod stream;
mod subscription;
mod token;
mod updates;
pub mod upgrade;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::edge::Edge;

pub use self::updates::{LiveSettings, LiveUpdates};

/// Its routes. A connection that lives on takes no place among the requests in progress and has no deadline.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new().route("/", get(upgrade::open)).route("/events", get(stream::events))
}
