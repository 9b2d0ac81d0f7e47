//! The command line: what can be asked for, and the client side of it.
//!
//! - [`arguments`]: every command with its flags
//! - [`outcome`]: exit codes and the one line that says what is wrong
//! - [`config`]: `nakku config`
//! - [`show`]: tables, and the same as JSON

mod arguments;
mod config;
mod outcome;
mod show;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Config(config) => config::run(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => wrong.report(),
    }
}
