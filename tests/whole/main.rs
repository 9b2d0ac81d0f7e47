//! The whole system: real processes on a real MariaDB, customers over HTTP, faults on purpose.
//!
//! - `processes`: starts, kills, freezes, drains nodes
//! - `certificates`: what the links of the nodes are protected with
//! - `wires`: links that can be cut
//! - `shop`: a shop with stock, and customers who note every answer
//! - `history`: what the notes and the databases must agree on
//! - `sums`: what analytics say of it
//! - `faults`: SIGKILL, SIGSTOP, database outages, all from one seed
//! - `outage`: what customers are told while the database is away, and how soon it is over
//! - `moves`: joins and drains in which no request may fail
//! - `operating`: what an operator does to a running shop, and no request may fail
//! - `backup`: a backup of a shop at work, and its new life from there
//! - `traces`: a request is one tree of spans, over every node that it touches
//! - `collector`: takes the spans
//! - `webhooks`: events on their way to an integrator, whose endpoint is `receiver`

mod backup;
mod certificates;
mod collector;
mod faults;
mod history;
mod moves;
mod operating;
mod outage;
#[path = "../../cluster/tests/support/ports.rs"]
mod ports;
mod processes;
#[path = "../../src/webhooks/receiver.rs"]
#[expect(dead_code, reason = "the tests of the sender use the rest")]
mod receiver;
#[path = "../../cluster/tests/support/servers.rs"]
mod servers;
mod shop;
mod sums;
mod traces;
mod webhooks;
mod wires;

/// From `NAKKU_TEST_SEED` or at random; printed either way, so that a failure can be repeated.
fn seed() -> u64 {
    let seed = match std::env::var("NAKKU_TEST_SEED") {
        Ok(text) => text.parse().expect("NAKKU_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    eprintln!("NAKKU_TEST_SEED={seed}");
    seed
}
