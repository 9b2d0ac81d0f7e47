//! Benchmarks, each with its baseline in the same run and a word on what else the machine did.
//!
//! [`command`] is what `nakku bench` calls; [`run`] runs one scenario and returns its [`Report`].
//!
//! - [`arguments`]: scenarios and flags
//! - [`report`]: figures with median and spread, the targets that they must meet, as table and JSON
//! - [`statistics`]: series and percentiles
//! - [`machine`]: what ran, on what, and how much processor time each process took
//! - [`database`], [`brokers`]: MariaDB and Kafka, those that were given or [`throw_away`] ones
//! - [`load`]: callers in a closed loop
//! - [`http`]: a server beside this process, and a lean client
//! - [`node`]: nodes without the gateway
//! - [`scenario`]: one file each
//! - [`peer`]: what the processes do that a scenario starts beside itself

pub mod arguments;
pub mod brokers;
pub mod database;
pub mod error;
pub mod http;
pub mod load;
pub mod machine;
pub mod node;
pub mod peer;
pub mod report;
pub mod scenario;
pub mod statistics;
pub mod throw_away;

use std::path::PathBuf;
use std::pin::Pin;

pub use arguments::{BenchArguments, Scenario};
pub use error::BenchError;
pub use report::Report;

/// What `nakku bench` does: lists the scenarios, or runs one and prints its report; `rest` are the flags
/// behind the scenario's name, `executable` is the program itself, for scenarios that start further processes.
///
/// # Errors
/// [`BenchError::Usage`] for a wrong name or flag; [`BenchError::Missed`] when a target was not met, after
/// the report has been printed; else what went wrong.
pub fn command<'a>(
    scenario: Option<&'a str>,
    rest: &'a [String],
    executable: PathBuf,
) -> Pin<Box<dyn Future<Output = Result<(), BenchError>> + Send + 'a>> {
    // Boxed, so that the scenarios are compiled here and not once more in the program that calls this.
    Box::pin(listed_or_run(scenario, rest, executable))
}

async fn listed_or_run(scenario: Option<&str>, rest: &[String], executable: PathBuf) -> Result<(), BenchError> {
    let Some(name) = scenario else {
        print!("{}", arguments::usage());
        return Ok(());
    };
    if name == peer::NAME {
        return peer::run(rest).await;
    }
    let arguments = BenchArguments::parse(name, rest, executable)?;
    let json = arguments.json;
    let report = run(arguments).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    let missed = report.missed();
    if missed == 0 { Ok(()) } else { Err(BenchError::Missed { missed }) }
}

/// Runs one scenario.
///
/// # Errors
/// When it could not be run; a figure that misses its target is no error but stands in the report.
pub async fn run(arguments: BenchArguments) -> Result<Report, BenchError> {
    match arguments.scenario {
        Scenario::Journal => scenario::journal::run(&arguments).await,
        Scenario::HotItem => scenario::hot_item::run(&arguments).await,
        Scenario::Checkout => scenario::checkout::run(&arguments).await,
        Scenario::Failover => scenario::failover::run(&arguments).await,
        Scenario::Ask => scenario::ask::run(&arguments).await,
        Scenario::Idle => scenario::idle::run(&arguments).await,
        Scenario::Live => scenario::live::run(&arguments).await,
        Scenario::Inspect => scenario::inspect::run(&arguments).await,
        Scenario::Events => scenario::events::run(&arguments).await,
    }
}
