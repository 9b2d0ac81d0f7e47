//! What the processes do that a scenario starts beside itself: `nakku bench peer TASK …`.
//!
//! A peer prints JSON, one value a line, and ends when its input does, so that it never outlives the
//! scenario. Links and registries are once in a process: whoever needs its own needs a process.
//!
//! - `process`: the scenario's side of it

mod process;

use serde::Serialize;

use crate::error::BenchError;
use crate::scenario::{ask, events, failover, hot_item, idle, inspect};

pub use process::Peer;

/// The name under which the program starts itself again; not listed.
pub const NAME: &str = "peer";

/// Does one task.
///
/// # Errors
/// [`BenchError::Usage`] for a task that there is not; else what went wrong.
pub async fn run(rest: &[String]) -> Result<(), BenchError> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words[..] {
        ["ask-entity-callee", url] => ask::entity::callee(url).await,
        ["ask-entity-caller", url, rest] => ask::entity::caller(url, serde_json::from_str(rest)?).await,
        ["ask-derived-callee"] => ask::derived::callee().await,
        ["ask-derived-caller", port, rest] => ask::derived::caller(number(port)?, serde_json::from_str(rest)?).await,
        ["events-backlog", url, to] => events::backlog::publish(url, serde_json::from_str(to)?).await,
        ["failover-node", url, name] => failover::node(url, name).await,
        ["idle-entities", url, count] => idle::entities(url, number(count)?).await,
        ["idle-actors", count] => idle::actors(number(count)?).await,
        ["inspect-load", url, count] => inspect::carts::load(url, number(count)?).await,
        ["reserve", url, rest] => hot_item::asks::reserve(url, serde_json::from_str(rest)?).await,
        _ => Err(BenchError::Usage(format!("there is no peer task {:?}", words.join(" ")))),
    }
}

/// Tells the scenario something.
pub(crate) fn say(value: &impl Serialize) -> Result<(), BenchError> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// Waits until the scenario has had enough.
pub(crate) async fn until_released() {
    // Reading blocks a thread that the runtime would wait for at its end, which is why nothing follows.
    let _ = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await;
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, BenchError> {
    text.parse().map_err(|_| BenchError::Usage(format!("{text:?} is no number")))
}
