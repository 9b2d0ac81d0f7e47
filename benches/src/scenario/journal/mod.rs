//! Durable commands through the journal, against raw batched statements that write the same rows.
//!
//! Both sides write, for each command, one journal row and one state row of about the sizes that a
//! reservation has, on as many sessions as the journal has lanes, in batches of the same size, each batch
//! one transaction. The journal gets its commands one by one from as many callers as keep every batch
//! full, and answers each; the baseline has its rows at hand and only sends them.
//!
//! - `rows`: what a command writes
//! - `baseline`: multi-row statements by the database client alone

mod baseline;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nakku_cluster::journal::{Durable, Journal, JournalSettings, Release, ReplyTo, ShardOwner, Submission};
use nakku_cluster::reference::ShardId;
use nakku_cluster::store::{self, Store};

use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::machine::Watch;
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

use rows::{ENTITIES_PER_LANE, KIND, SCHEMA, SHARDS_PER_LANE};

/// Sessions and commands in a transaction that are measured.
const SHAPES: [(usize, usize); 3] = [(1, 64), (1, 256), (4, 256)];
/// The service whose tables the baseline writes; the journal writes [`rows::KIND`]'s.
const BASELINE_SERVICE: &str = "benchraw";

/// Runs the scenario.
///
/// # Errors
/// When the database is away.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let store = store::open(&database.url).await?;
    store.migrate(KIND.service, SCHEMA).await?;
    store.migrate(BASELINE_SERVICE, SCHEMA).await?;

    let mut figures = Vec::new();
    let mut targets = Vec::new();
    for (lanes, batch) in SHAPES {
        let mut through_journal = Series::default();
        let mut raw = Series::default();
        for repeat in 0..arguments.repeats {
            eprintln!("{lanes} sessions, batches of {batch}: repeat {} of {}", repeat + 1, arguments.repeats);
            empty(&database, BASELINE_SERVICE).await?;
            raw.push(baseline::measure(&database, BASELINE_SERVICE, lanes, batch, arguments).await?);
            empty(&database, KIND.service).await?;
            through_journal.push(measure(store.clone(), lanes, batch, arguments).await?);
        }
        let shape = format!("{lanes} x {batch}");
        let ratio = through_journal.ratio(&raw);
        figures.push(Figure::new(format!("{shape}: through the journal"), "commands/s", &through_journal));
        figures.push(Figure::new(format!("{shape}: raw statements"), "commands/s", &raw));
        figures.push(Figure::new(format!("{shape}: ratio"), "", &ratio));
        targets.push(Target::new(format!("{shape}: ratio"), &ratio, Bound::AtLeast(0.5)));
    }

    let mut settings = Report::common_settings(arguments);
    settings.push(("each command writes".into(), rows::describe()));
    settings.push(("shapes".into(), "sessions (journal lanes, or connections) x commands in a transaction".into()));
    let versions = database.versions().await?;
    database.clear().await?;
    let own: Vec<u32> = database.pid.into_iter().collect();
    Ok(Report {
        scenario: Scenario::Journal.name(),
        about: "Commands handed to the journal one by one and answered once durable, against the same rows sent as \
                multi-row statements in batches of the same size by the same client library."
            .into(),
        settings,
        figures,
        targets,
        machine: watch.finish(&own, versions),
    })
}

/// Every measurement begins with empty tables.
async fn empty(database: &Database, service: &str) -> Result<(), BenchError> {
    let mut connection = database.connect().await?;
    for table in ["journal", "thing_state"] {
        let statement = sqlx::AssertSqlSafe(format!("TRUNCATE TABLE nakku_{service}.{table}"));
        sqlx::query(statement).execute(&mut connection).await?;
    }
    Ok(())
}

/// Commands per second through a journal of so many lanes.
async fn measure(
    store: Arc<dyn Store>,
    lanes: usize,
    batch: usize,
    arguments: &BenchArguments,
) -> Result<f64, BenchError> {
    let settings = JournalSettings { lanes, queue_max: 4 * batch, batch_max: batch };
    let journal = Journal::start(store, "bench@1".into(), &settings, None);
    let shards: Vec<(ShardId, ShardOwner)> =
        (0..lanes * SHARDS_PER_LANE).map(|number| (rows::shard(number), ShardOwner::new(|_| {}))).collect();
    let mut terms = Vec::with_capacity(shards.len());
    for claimed in journal.claim(&shards, 1).await {
        terms.push(claimed.map_err(|error| BenchError::failed("claiming a shard", error))?.term);
    }
    let terms: Arc<[u64]> = terms.into();
    let done = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    // One batch commits while the next gathers.
    let callers_per_lane = 2 * batch;
    for lane in 0..lanes {
        for caller in 0..callers_per_lane {
            let caller = Caller {
                journal: Arc::clone(&journal),
                terms: Arc::clone(&terms),
                done: Arc::clone(&done),
                lane,
                lanes,
                entities: (0..ENTITIES_PER_LANE).skip(caller).step_by(callers_per_lane).collect(),
            };
            callers.spawn(caller.run());
        }
    }
    let rate = rate(&done, arguments.warmup, arguments.duration).await;
    callers.abort_all();
    while let Some(ended) = callers.join_next().await {
        if let Ok(Err(error)) = ended {
            return Err(error);
        }
    }
    Ok(rate)
}

/// How fast a counter grows after the warm-up.
async fn rate(done: &AtomicU64, warmup: Duration, duration: Duration) -> f64 {
    tokio::time::sleep(warmup).await;
    let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(duration).await;
    (done.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
}

/// One caller, which has its own entities and waits for each answer.
struct Caller {
    journal: Arc<Journal>,
    terms: Arc<[u64]>,
    done: Arc<AtomicU64>,
    lane: usize,
    lanes: usize,
    entities: Vec<usize>,
}

impl Caller {
    async fn run(self) -> Result<(), BenchError> {
        let mut loaded: Vec<(rows::Entity, Arc<Durable>)> = self
            .entities
            .iter()
            .map(|number| (rows::Entity::new(*number, self.lane, self.lanes), Arc::new(Durable::default())))
            .collect();
        loop {
            for (entity, durable) in &mut loaded {
                let shard = rows::shard(entity.shard as usize);
                let (row, state) = entity.next();
                let permit = self.journal.reserve(shard).map_err(|error| BenchError::failed("handing in", error))?;
                let (reply, answer) = ReplyTo::channel();
                let outcome = nakku_cluster::handle::Outcome::Reply {
                    json: b"{\"reserved\":1}".to_vec(),
                    entity_version: entity.version,
                };
                permit.submit(Submission {
                    shard,
                    term: self.terms[entity.shard as usize],
                    kind: KIND,
                    key: entity.key.clone(),
                    rows: vec![row],
                    states: vec![state],
                    proof: false,
                    durable: Arc::clone(durable),
                    version: entity.version,
                    release: Release { reply: Some((reply, outcome)), nudge: None, ..Release::default() },
                });
                match answer.await {
                    Ok(nakku_cluster::handle::Outcome::Reply { .. }) => self.done.fetch_add(1, Ordering::Relaxed),
                    other => return Err(BenchError::failed("a durable command", format!("{other:?}"))),
                };
            }
        }
    }
}
