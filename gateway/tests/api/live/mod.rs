//! Live updates with a client library of their own.
//!
//! - `client`: a WebSocket client, a client of Server-Sent Events, and an order on its way
//! - `following`: to the door, over two gateways, with and without interruption
//! - `refusing`: tokens, what is another's, limits, slow clients
//! - `lagging`: silent clients, and a gateway that was too slow to hear everything
//! - `going`: draining

mod client;
mod following;
mod going;
mod lagging;
mod refusing;
