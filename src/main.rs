//! The one binary: composition root and command line. Nothing depends on it.
//!
//! - [`settings`]: what can be set, and what is in force
//! - [`compose`]: services, providers and listeners put together as the settings say
//! - [`node`]: `nakku node`, from its start to its drain
//! - [`dev`]: `nakku dev`, a whole cluster on one machine
//! - [`cli`]: every command, and the client side of it
//! - [`tui`]: `nakku tui`, the cluster in a terminal
//! - [`surface`]: what these two share in showing a cluster
//! - [`backup`]: all databases of a cluster into a folder, and back
//! - [`telemetry`]: log lines and traces
//! - [`mail`], [`webhooks`]: what carries e-mails, and events to integrators
//! - [`ports`]: whether this node can listen where it was told to

mod backup;
mod cli;
mod compose;
mod dev;
mod mail;
mod node;
mod ports;
mod settings;
mod surface;
mod telemetry;
mod tui;
mod webhooks;

use std::process::ExitCode;

/// Messages, rows and replies are many small blocks that one thread takes and another gives back; the C library's
/// allocator takes a fifth of the processor for them (figures in benches/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
