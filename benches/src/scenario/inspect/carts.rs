//! What fills the memory of a shop's nodes: carts with one line each, all durable, put in by a node beside them that
//! owns nothing and leaves when it is done.

use std::path::Path;
use std::time::{Duration, Instant};

use nakku_actors::cart;

use crate::error::BenchError;
use crate::node;
use crate::peer::{self, Peer};
use crate::scenario::idle;

/// How many.
pub const COUNT: usize = 200_000;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Has them loaded; says how many seconds it took.
///
/// # Errors
/// When one can't be filled in time.
pub(super) async fn have_loaded(executable: &Path, database_url: &str) -> Result<f64, BenchError> {
    let mut peer = Peer::start(executable, &["inspect-load", database_url, &COUNT.to_string()])?;
    let seconds = peer.hear(PATIENCE).await?;
    peer.stop().await;
    Ok(seconds)
}

/// Peer: loads so many.
///
/// # Errors
/// When one can't be filled.
pub async fn load(url: &str, count: usize) -> Result<(), BenchError> {
    let node = node::join("loader", &["loader"], url, vec![cart::service()]).await?;
    let began = Instant::now();
    idle::load(&node.cluster(), count).await?;
    let seconds = began.elapsed().as_secs_f64();
    // Who asks for all nodes is not to wait for one that has gone.
    node.stop().await;
    peer::say(&seconds)
}
