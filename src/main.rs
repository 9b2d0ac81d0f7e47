//! The one binary: composition root and command line. Nothing depends on it.

mod cli;
#[allow(dead_code, unused_imports, reason = "the commands that start a node read the rest")]
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
