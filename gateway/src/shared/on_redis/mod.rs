//! What gateways share, on Redis: one server, or a cluster of them.
//!
//! Keys begin with the cluster's name. Those that one script or command takes together carry a hash tag
//! (`{…}`), which puts them into one slot. Every operation has a short deadline; when Redis does not answer,
//! the implementations here go on with those of [`in_process`](super::in_process) or say
//! [`Away`](super::Away).
//!
//! - `link`: the connection, its deadline and its circuit breakers
//! - `connection`: one server or a cluster, with TLS and password
//! - `script`: scripts in Lua, which Redis runs as one
//! - `limits`, `sessions`, `pages`, `positions`: one trait each

mod connection;
mod limits;
mod link;
mod pages;
mod positions;
mod script;
mod sessions;

pub use self::limits::LimitsOnRedis;
pub use self::link::{Link, LinkStatus};
pub use self::pages::PagesOnRedis;
pub use self::positions::PositionsOnRedis;
pub use self::sessions::SessionsOnRedis;
