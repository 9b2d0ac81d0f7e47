//! Live updates with a client library of their own.
//!
//! - `client`: a WebSocket client, a client of Server-Sent Events, and an order on its way
//! - `following`: to the door, over two gateways, with and without interruption
//! - `refusing`: tokens, what is another's, limits, slow clients
//! - `going`: draining

mod client;
mod following;
mod going;
mod refusing;
