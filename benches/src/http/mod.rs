//! HTTP to a server that runs beside: a lean client and the server's process.
//!
//! - [`client`]: one kept-alive HTTP/1.1 connection, cheap enough not to weigh in the figures
//! - [`server`]: a process of `nakku node` on free ports
//! - [`shop`]: staff, products, stock and customers through the API

pub mod client;
pub mod server;
pub mod shop;
