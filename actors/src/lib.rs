//! The services of the shop as pure decisions: no HTTP, no sockets, no SQL but each service's own schema.
//!
//! Every service is a folder with the same files in the same order:
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | what the service is for, `service()` and the entity's wiring |
//! | `command.rs` | the public protocol: commands, replies, rejections and their limits |
//! | `event.rs` | what happened, with the public names |
//! | `state.rs` | head, parts, and how an event changes them |
//! | `decide.rs` | from state and command to events or a rejection |
//! | `outstanding.rs` | what still has to happen elsewhere because of the state |
//! | `public.rs` | the public events, and which internal event becomes which |
//! | `schema/` | the tables, oldest migration first |
//! | `tests.rs` | properties over random command sequences |
//!
//! A further entity of a service is a subfolder with the same files.

pub mod analytics;
pub mod asyncapi;
pub mod cart;
pub mod delivery;
pub mod demo;
pub mod inventory;
pub mod location;
pub mod money;
pub mod notification;
pub mod order;
pub mod payment;
pub mod position;
pub mod product;
pub mod public;
pub mod user;

mod digest;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
mod text;

use nakku_cluster::Service;
pub use public::events;

/// What the services are built with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether events are sent to the endpoints of integrators. Without it nothing is spent on them.
    pub webhooks: bool,
}

/// All services as they are without options, in the order of their ports.
pub fn services() -> Vec<Service> {
    services_with(Options::default())
}

/// All services, in the order of their ports.
pub fn services_with(options: Options) -> Vec<Service> {
    vec![
        user::service(),
        product::service(),
        inventory::service(),
        order::service(),
        cart::service(),
        payment::service(),
        delivery::service(),
        notification::service(options.webhooks),
        location::service(),
        analytics::service(),
    ]
}
