//! The edge: HTTP in. It knows the services' protocols and the cluster's handle, no sockets of nodes and no
//! SQL.
//!
//! - [`gateway`]: the actor that owns the public listener, and its start
//! - [`settings`]: what the edge can be told
//! - [`server`]: one HTTP listener, with limits and draining
//! - [`admission`]: how many requests may be in progress
//! - [`rate_limit`], [`client_address`]: how fast somebody may go on asking, and who that is
//! - [`shared`]: what several gateways share
//! - [`problem`]: what a client is told when something does not work
//! - [`auth`]: tokens, passwords, and whom a route lets in
//! - [`erasure`]: erasing a user
//! - `heard`: what events make old
//! - [`trace`]: request id, trace and deadline of a request
//! - [`extract`]: bodies, paths and queries
//! - [`routes`]: one file per service
//! - [`live`]: updates as they happen, by WebSocket and Server-Sent Events
//! - [`openapi`], [`docs`]: the document and the page to read it
//! - [`health`], [`service_ports`], [`admin`]: what operators and probes ask
//! - [`metrics`]: names, labels, help

pub mod admin;
pub mod admission;
pub mod auth;
pub mod client_address;
pub mod docs;
pub mod edge;
pub mod erasure;
pub mod extract;
pub mod gateway;
pub mod health;
mod heard;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod rate_limit;
pub mod routes;
pub mod server;
pub mod service_ports;
pub mod settings;
pub mod shared;
pub mod trace;

pub use admin::{Admin, start_admin};
pub use gateway::{Gateway, GatewayError, GatewayStatus, start};
pub use service_ports::{ServicePorts, start_service_ports};
pub use settings::{
    AdminSettings, GatewaySettings, LimitSettings, RedisSettings, Secret, ServicePortSettings, SharedSettings,
    WebhookSettings,
};
