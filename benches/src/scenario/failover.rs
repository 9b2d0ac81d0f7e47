//! From the SIGKILL of an owner to the first answer of its entities.
//!
//! Three processes, each a node, own the entities; this process is a fourth node that owns none and asks.
//! An entity's answer names the process that it lives in, which is how its owner is known.

use std::time::{Duration, Instant};

use nakku_cluster::entity::EntityState;
use nakku_cluster::{Ask, Cluster, Context, Decision, Entity, Event, Key, Kind, Migration, Ref, Service};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::machine::Watch;
use crate::node::{self, PATIENCE};
use crate::peer::{self, Peer};
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

/// Processes that own entities.
const NODES: usize = 3;
/// Entities that are asked; about a third live on each node.
const ENTITIES: usize = 96;
/// How long one ask waits before it is repeated.
const ASK_PATIENCE: Duration = Duration::from_millis(500);
/// Between an answer that failed at once and the next ask.
const ASK_PAUSE: Duration = Duration::from_millis(5);
/// After the cluster is whole again, before the next kill.
const CALM: Duration = Duration::from_secs(1);
/// What all but one in a hundred of the entities must keep to.
const P99_SECONDS_MAX: f64 = 3.0;

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    sql: "CREATE TABLE {prefix}visited_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
          part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
          wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
          CREATE INDEX visited_state_wake ON {prefix}visited_state (wake_at);\n",
}];

fn service() -> Service {
    Service::new("bench", 8099, SCHEMA).entity::<Visited>()
}

/// Runs the scenario.
///
/// # Errors
/// When a process or the database fails, or an entity forgot what it had acknowledged.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let mut nodes = Vec::with_capacity(NODES);
    for number in 0..NODES {
        nodes.push(start_node(arguments, &database, number).await?);
    }
    let own = node::start("asker", &["asker"], &database.url, vec![service()]).await?;
    let cluster = own.cluster();
    let mut all = Vec::new();
    let mut slowest = Series::default();
    let mut first = Series::default();
    for kill in 0..arguments.repeats {
        let whole = whole(&cluster, &nodes).await?;
        tokio::time::sleep(CALM).await;
        let victim = kill as usize % NODES;
        let pid = nodes[victim].pid();
        let orphans: Vec<usize> = (0..ENTITIES).filter(|number| whole[*number].process == pid).collect();
        let acknowledged: Vec<u64> = orphans.iter().map(|number| whole[*number].visits).collect();
        let killed = Instant::now();
        nodes[victim].kill().await?;
        let mut asking = JoinSet::new();
        for (number, visits) in orphans.into_iter().zip(acknowledged) {
            asking.spawn(answered_after(cluster.clone(), number, visits, killed));
        }
        let mut seconds = Series::default();
        while let Some(ended) = asking.join_next().await {
            seconds.push(ended.map_err(|error| BenchError::failed("asking", error))??);
        }
        eprintln!("kill {} of {}: {:.2} to {:.2} s", kill + 1, arguments.repeats, seconds.min(), seconds.max());
        all.extend_from_slice(seconds.values());
        first.push(seconds.min());
        slowest.push(seconds.max());
        nodes[victim] = start_node(arguments, &database, victim).await?;
    }
    all.sort_by(f64::total_cmp);
    let place = (all.len() as f64 * 0.99).ceil() as usize;
    let p99: Series = all.get(place.saturating_sub(1)).copied().into_iter().collect();
    let every: Series = all.iter().copied().collect();
    let mut processes: Vec<u32> = nodes.iter().map(Peer::pid).collect();
    processes.extend(database.pid);
    let versions = database.versions().await?;
    own.stop().await;
    for node in nodes {
        node.stop().await;
    }
    database.clear().await?;
    Ok(Report {
        scenario: Scenario::Failover.name(),
        about: format!(
            "SIGKILL of one of {NODES} processes, then the time until each of its entities (about {} of {ENTITIES}, all \
             asked at once and again until they answer) answers a command that is durable. Leases as by default.",
            ENTITIES / NODES
        ),
        settings: vec![("kills".into(), arguments.repeats.to_string())],
        figures: vec![
            Figure::new("an entity's first answer after the kill", "s", &every),
            Figure::new("the earliest of each kill", "s", &first),
            Figure::new("the last of each kill", "s", &slowest),
            Figure::new("p99 of all", "s", &p99),
        ],
        targets: vec![Target::new("p99 of all (s)", &p99, Bound::AtMost(P99_SECONDS_MAX))],
        machine: watch.finish(&processes, versions),
    })
}

async fn start_node(arguments: &BenchArguments, database: &Database, number: usize) -> Result<Peer, BenchError> {
    let name = format!("owner-{number}");
    let mut peer = Peer::start(&arguments.executable, &["failover-node", &database.url, &name])?;
    peer.hear::<String>(PATIENCE).await?;
    Ok(peer)
}

/// Peer: a node that owns entities.
///
/// # Errors
/// When it does not start.
pub async fn node(url: &str, name: &str) -> Result<(), BenchError> {
    let _node = node::start(name, &["bench"], url, vec![service()]).await?;
    peer::say(&"ready")?;
    peer::until_released().await;
    Ok(())
}

/// Waits until every process has its share and says what each entity answered.
async fn whole(cluster: &Cluster, nodes: &[Peer]) -> Result<Vec<Place>, BenchError> {
    let began = Instant::now();
    loop {
        let mut places = Vec::with_capacity(ENTITIES);
        for number in 0..ENTITIES {
            // One that does not answer in time is asked again with all others.
            places.push(visit(cluster, number).await.unwrap_or_default());
        }
        if nodes.iter().all(|node| places.iter().any(|place| place.process == node.pid()))
            && places.iter().all(|place| place.process != 0)
        {
            return Ok(places);
        }
        if began.elapsed() > PATIENCE {
            return Err(BenchError::failed("the cluster", "is not whole again"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Seconds from the kill to the first answer.
async fn answered_after(
    cluster: Cluster,
    number: usize,
    acknowledged: u64,
    killed: Instant,
) -> Result<f64, BenchError> {
    loop {
        match visit(&cluster, number).await {
            Ok(place) if place.visits > acknowledged => return Ok(killed.elapsed().as_secs_f64()),
            Ok(place) => {
                let cause = format!("has {} visits, {acknowledged} were acknowledged", place.visits);
                return Err(BenchError::failed("an entity", cause));
            }
            Err(error) if killed.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(ASK_PAUSE).await,
        }
    }
}

async fn visit(cluster: &Cluster, number: usize) -> Result<Place, BenchError> {
    let target = Ref::<Visited>::new(Key::new(format!("v-{number}")).expect("letters, digits and a dash"));
    let answer = cluster.ask(&target, &Visit {}, Ask::within(ASK_PATIENCE)).await;
    answer.map(|answered| answered.reply).map_err(|error| BenchError::failed("a visit", error))
}

/// An entity that counts its visits.
#[derive(Debug)]
pub struct Visited;

/// What it is asked: to count one more.
#[derive(Debug, Serialize, Deserialize)]
pub struct Visit {}

/// What it answers: how many visits it has had, and in which process it lives.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Place {
    visits: u64,
    process: u32,
}

/// There was one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Came {}

/// It never refuses.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("refused")]
pub struct Refused {}

/// How many there were.
#[derive(Debug, Default)]
pub struct Visits(u64);

impl Event for Came {
    fn event_type(&self) -> &'static str {
        "visited.came"
    }
}

impl EntityState for Visits {
    type Head = u64;

    fn head(&self) -> &u64 {
        &self.0
    }

    fn head_mut(&mut self) -> &mut u64 {
        &mut self.0
    }
}

impl Entity for Visited {
    const KIND: Kind = Kind { service: "bench", entity: "visited" };
    type State = Visits;
    type Command = Visit;
    type Reply = Place;
    type Event = Came;
    type Rejection = Refused;

    fn decide(state: &Visits, _: Visit, _: &mut Context) -> Result<Decision<Came, Place>, Refused> {
        // Where it lives is what is measured here; a decision of the shop would not look.
        let place = Place { visits: state.0 + 1, process: std::process::id() };
        Ok(Decision::event(Came {}, place))
    }

    fn evolve(state: &mut Visits, _: &Came) {
        state.0 += 1;
    }
}
