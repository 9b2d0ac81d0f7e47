//! What gateways share, on real Redis servers, which each test starts for itself: `redis-server` and `redis-cli`
//! must be on the path.
//!
//! - `server`: servers, a cluster of three, and ways to harm them
//! - `contract`: what holds on one server and on a cluster alike
//! - `faults`: servers that are away, killed, frozen, restarted
//! - `protected`: TLS and passwords

mod contract;
mod faults;
mod protected;
mod server;
