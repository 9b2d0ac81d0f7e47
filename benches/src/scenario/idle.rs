//! Memory of loaded, idle entities, next to bare ractor actors; each in a process of its own.
//!
//! The entities are carts with one line in them, all written and durable. What is counted is everything
//! that the process has resident, divided by their number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nakku_actors::cart::{self, Cart};
use nakku_cluster::{Ask, Cluster, Key, Ref};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tokio::task::JoinSet;

use crate::arguments::{BenchArguments, Scenario};
use crate::error::BenchError;
use crate::machine::{Watch, resident_bytes};
use crate::node::{self, Folder, PATIENCE};
use crate::peer::{self, Peer};
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

/// How many are loaded.
const COUNT: usize = 200_000;
/// What one may take, of the process in total.
const KIBIBYTES_MAX: f64 = 14.0;
/// Callers that load them side by side.
const LOADERS: usize = 512;
/// After loading, before memory is counted.
const SETTLE: Duration = Duration::from_secs(3);
/// How long loading all of them may take.
const LOADING_PATIENCE: Duration = Duration::from_secs(600);

/// Runs the scenario.
///
/// # Errors
/// When a process fails.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let (mut entities, mut actors) = (Series::default(), Series::default());
    for repeat in 0..arguments.repeats {
        eprintln!("repeat {} of {}", repeat + 1, arguments.repeats);
        let count = COUNT.to_string();
        let bare = Peer::start(&arguments.executable, &["idle-actors", &count])?;
        actors.push(kibibytes_each(bare).await?);
        let folder = Folder::new()?;
        let url = folder.sqlite_url();
        let loaded = Peer::start(&arguments.executable, &["idle-entities", &url, &count])?;
        entities.push(kibibytes_each(loaded).await?);
    }
    let ratio = entities.ratio(&actors);
    Ok(Report {
        scenario: Scenario::Idle.name(),
        about: format!(
            "Resident memory of a process with {COUNT} loaded idle carts of one line each (node on SQLite, all \
             durable), divided by their number, next to the same number of bare ractor actors without state."
        ),
        settings: vec![("repeats".into(), arguments.repeats.to_string())],
        figures: vec![
            Figure::new("one loaded entity, of process total", "KiB", &entities),
            Figure::new("one bare ractor actor, of process total", "KiB", &actors),
            Figure::new("ratio", "", &ratio),
        ],
        targets: vec![Target::new("one loaded entity (KiB)", &entities, Bound::AtMost(KIBIBYTES_MAX))],
        machine: watch.finish(&[], Vec::new()),
    })
}

async fn kibibytes_each(mut peer: Peer) -> Result<f64, BenchError> {
    let count: usize = peer.hear(LOADING_PATIENCE).await?;
    tokio::time::sleep(SETTLE).await;
    let kibibytes = resident_bytes(peer.pid()) as f64 / 1024.0;
    peer.stop().await;
    Ok(kibibytes / count as f64)
}

/// Peer: a node with so many loaded carts.
///
/// # Errors
/// When they can't be loaded.
pub async fn entities(url: &str, count: usize) -> Result<(), BenchError> {
    let node = node::start("idle", &["cart"], url, vec![cart::service()]).await?;
    load(&node.cluster(), count).await?;
    let loaded: usize = node.cluster().status().await.services.iter().map(|service| service.loaded_here as usize).sum();
    if loaded < count {
        return Err(BenchError::failed("loading", format!("only {loaded} of {count} are loaded")));
    }
    peer::say(&count)?;
    peer::until_released().await;
    Ok(())
}

/// Puts so many carts with one line each into the memory of whoever owns them, all durable.
///
/// # Errors
/// When one can't be filled.
pub(super) async fn load(cluster: &Cluster, count: usize) -> Result<(), BenchError> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut loaders = JoinSet::new();
    for _ in 0..LOADERS {
        let (cluster, next) = (cluster.clone(), Arc::clone(&next));
        loaders.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<(), BenchError>(());
                }
                fill(&cluster, number).await?;
            }
        });
    }
    while let Some(ended) = loaders.join_next().await {
        ended.map_err(|error| BenchError::failed("a loader", error))??;
    }
    Ok(())
}

/// The cart of a number.
pub(super) fn cart(number: usize) -> Key {
    Key::new(format!("u-{number:08}")).expect("letters, digits and a dash")
}

async fn fill(cluster: &Cluster, number: usize) -> Result<(), BenchError> {
    let store = Key::new("s-1").expect("letters, digits and a dash");
    let line = cart::Line { sku: "butter-500g".into(), name: "Butter, 500 g".into(), quantity: 1, price_minor: 28_500 };
    let command = cart::Command::Add { store, line };
    let target = Ref::<Cart>::new(cart(number));
    let answer = cluster.ask(&target, &command, Ask::within(PATIENCE)).await;
    answer.map(drop).map_err(|error| BenchError::failed("filling a cart", error))
}

/// Peer: so many bare actors, each of which has handled a message.
///
/// # Errors
/// When they can't be started.
pub async fn actors(count: usize) -> Result<(), BenchError> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let (actor, _) = Actor::spawn(None, Bare, ()).await.map_err(|error| BenchError::failed("an actor", error))?;
        actor.cast(Poke).map_err(|error| BenchError::failed("an actor", error))?;
        all.push(actor);
    }
    peer::say(&all.len())?;
    peer::until_released().await;
    Ok(())
}

struct Bare;

#[derive(RactorMessage)]
struct Poke;

impl Actor for Bare {
    type Msg = Poke;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Poke>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Poke>, _: Poke, handled: &mut u64) -> Result<(), ActorProcessingErr> {
        *handled += 1;
        Ok(())
    }
}
