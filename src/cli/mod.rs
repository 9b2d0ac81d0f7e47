//! The command line: what can be asked for, and the client side of it.
//!
//! - [`arguments`]: every command with its flags
//! - [`outcome`]: exit codes and the one line that says what is wrong
//! - [`client`]: where client commands send their requests
//! - [`show`]: tables, and the same as JSON
//! - [`inspect`]: looks into nodes, shards and entities, and acts on them
//! - [`analytics`], [`asyncapi`], [`backup`], [`config`], [`dead_letters`], [`metrics`], [`migrate`], [`openapi`], [`order`], [`promote`], [`status`], [`user`], [`webhooks`]: one command each (`status` also holds `health`)

pub mod analytics;
pub mod arguments;
pub mod asyncapi;
pub mod backup;
pub mod client;
mod config;
pub mod dead_letters;
pub mod inspect;
mod metrics;
mod migrate;
pub mod openapi;
pub mod order;
pub mod outcome;
pub mod promote;
mod show;
pub mod status;
pub mod user;
pub mod webhooks;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::{dev, node};
use arguments::{Arguments, Bench, Command};
use nakku_benches::BenchError;
use outcome::{Done, Wrong};

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    inspect::completion::answer();
    match perform(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => wrong.report(),
    }
}

fn perform(command: Command) -> Done {
    match command {
        Command::Config(config) => config::run(&config),
        Command::Dev(arguments) => {
            let wanted = dev::run::Wanted {
                nodes: usize::from(arguments.nodes),
                settings: arguments.settings,
                port: arguments.port,
                data: arguments.data,
            };
            server()?.block_on(dev::run::run(&wanted))
        }
        Command::Node(arguments) => {
            let loaded = arguments.settings.sources(arguments.flags())?.load()?;
            server()?.block_on(node::run(&loaded))
        }
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Asyncapi(arguments) => asyncapi::run(&arguments),
        Command::Bench(arguments) => server()?.block_on(bench(&arguments)),
        Command::Metrics(arguments) => metrics::run(&arguments),
        Command::Backup(arguments) => client()?.block_on(backup::backup(&arguments)),
        Command::Restore(arguments) => client()?.block_on(backup::restore(&arguments)),
        Command::Migrate(arguments) => client()?.block_on(migrate::run(&arguments)),
        Command::Promote(arguments) => client()?.block_on(promote::run(&arguments)),
        Command::Order(arguments) => client()?.block_on(order::run(&arguments)),
        Command::Analytics(command) => client()?.block_on(analytics::run(&command)),
        Command::DeadLetters(command) => client()?.block_on(dead_letters::run(&command)),
        Command::Webhooks(command) => client()?.block_on(webhooks::run(&command)),
        Command::User(arguments) => client()?.block_on(user::run(&arguments)),
        Command::Health(arguments) => client()?.block_on(status::health(&arguments)),
        Command::Tui(arguments) => client()?.block_on(crate::tui::run::run(&arguments)),
        Command::Status(arguments) => client()?.block_on(status::status(&arguments)),
        Command::Inspect(command) => client()?.block_on(inspect::run(&command)),
    }
}

/// As many threads as the machine has cores.
fn server() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// A client does one thing at a time.
fn client() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// The scenarios are a crate of their own; some start further processes of this program.
async fn bench(arguments: &Bench) -> Done {
    let done = nakku_benches::command(arguments.scenario.as_deref(), &arguments.rest, std::env::current_exe()?).await;
    done.map_err(|error| match error {
        BenchError::Usage(message) => Wrong::Usage(message),
        other => Wrong::failed(other),
    })
}
