//! The one binary: composition root and command line. Nothing depends on it.
//!
//! - [`settings`]: what can be set, and what is in force
//! - [`compose`]: services, providers and listeners put together as the settings say
//! - [`node`]: `nakku node`, from its start to its drain
//! - [`dev`]: `nakku dev`, a whole cluster on one machine
//! - [`cli`]: every command, and the client side of it
//! - [`telemetry`]: log lines and traces
//! - [`ports`]: whether this node can listen where it was told to

mod cli;
mod compose;
mod dev;
mod mail;
mod node;
mod ports;
mod settings;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
