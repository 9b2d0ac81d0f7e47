//! Links between real processes. Every node is a child of the test (this binary again), told what to do
//! over a socket of its own; tests stop, freeze and kill them.
//!
//! * [`child`]: what a child does
//! * [`node`]: a child as the tests see it
//! * [`exchange`], [`hello`], [`encrypted`], [`faults`], [`bounds`]: the tests
//! * [`figures`]: throughput and latency beside a plain ractor_cluster call, run by name

mod bounds;
mod child;
mod encrypted;
mod exchange;
mod faults;
mod figures;
mod hello;
mod node;

/// What a child process runs; without its environment variable there is nothing to do.
#[test]
fn child_process() {
    child::run();
}
