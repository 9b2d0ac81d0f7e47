//! The whole API over HTTP, on one node with a real SQLite file and the demo shop.
//!
//! - `support`: the node, the gateway, and a client
//! - `shopping`: from registering to the door
//! - `orders`: repetition, refusal, disconnection
//! - `bad_input`: each way of being wrong has its code and changes nothing
//! - `access`: tokens, roles, what belongs to others
//! - `erasure`: being forgotten
//! - `analytics`: what was sold
//! - `staff`: catalogue and stock
//! - `locations`: places of stores, zones, terms, riders
//! - `live`: updates as they happen
//! - `console`: who is let in to the admin listener, and its page
//! - `contract`: what the admin API answers is as its document says
//! - `audit`: who did what, and why
//! - `outstanding`: effects that fail, and reminders
//! - `masking`: what is personal or secret is not shown
//! - `mail`: a mail server that takes nothing until it is told to
//! - `dead_letters`: events that could not be processed
//! - `operation`: health, documents, limits, draining
//! - `sharing`: what several gateways share, with and without Redis
//! - `poison`: what publishes an event that nobody can read

mod access;
mod analytics;
mod audit;
mod bad_input;
mod console;
mod contract;
mod dead_letters;
mod erasure;
mod inspect;
mod live;
mod locations;
mod mail;
mod masking;
mod operation;
mod orders;
mod outstanding;
mod poison;
#[path = "../redis/server.rs"]
#[allow(dead_code, reason = "the tests of Redis itself use the rest")]
mod server;
mod sharing;
mod shopping;
mod staff;
mod support;
