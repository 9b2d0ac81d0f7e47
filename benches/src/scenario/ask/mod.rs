//! Asks from node to node that write nothing, against calls of ractor_cluster's derived messages over its
//! built-in TCP. Both carry the same payload; caller and callee are two processes, new ones in each repeat.
//!
//! - `entity`: asks to entities through the region and the links
//! - `derived`: the baseline

pub mod derived;
pub mod entity;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arguments::{BenchArguments, Scenario};
use crate::error::BenchError;
use crate::load::Achieved;
use crate::machine::Watch;
use crate::node::{Folder, PATIENCE};
use crate::peer::Peer;
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

/// What each ask carries.
const PAYLOAD_BYTES: usize = 1024;
/// Callers when the throughput is measured.
const CALLERS: usize = 256;

/// How a caller is to measure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timing {
    warmup_ms: u64,
    duration_ms: u64,
}

/// What a caller found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    many: Achieved,
    one: Achieved,
}

impl Timing {
    fn warmup(self) -> Duration {
        Duration::from_millis(self.warmup_ms)
    }

    fn duration(self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }
}

/// Runs the scenario.
///
/// # Errors
/// When a process fails.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let timing =
        Timing { warmup_ms: arguments.warmup.as_millis() as u64, duration_ms: arguments.duration.as_millis() as u64 };
    let timing_json = serde_json::to_string(&timing)?;
    let patience = PATIENCE + 2 * (arguments.warmup + arguments.duration);
    let mut sides = [Side::default(), Side::default()];
    for repeat in 0..arguments.repeats {
        eprintln!("repeat {} of {}", repeat + 1, arguments.repeats);
        let mut callee = Peer::start(&arguments.executable, &["ask-derived-callee"])?;
        let port = callee.hear::<u16>(PATIENCE).await?.to_string();
        let mut caller = Peer::start(&arguments.executable, &["ask-derived-caller", &port, &timing_json])?;
        sides[0].add(&caller.hear(patience).await?);
        caller.stop().await;
        callee.stop().await;

        let folder = Folder::new()?;
        let url = folder.sqlite_url();
        let mut callee = Peer::start(&arguments.executable, &["ask-entity-callee", &url])?;
        callee.hear::<String>(PATIENCE).await?;
        let mut caller = Peer::start(&arguments.executable, &["ask-entity-caller", &url, &timing_json])?;
        sides[1].add(&caller.hear(patience).await?);
        caller.stop().await;
        callee.stop().await;
    }
    let [derived, entity] = sides;
    let throughput = entity.per_second.ratio(&derived.per_second);
    let latency = entity.p50_micros.ratio(&derived.p50_micros);
    let mut settings = Report::common_settings(arguments);
    settings.push(("payload".into(), format!("{PAYLOAD_BYTES} bytes there, its length back")));
    settings.push(("links".into(), "plain TCP on loopback on both sides".into()));
    Ok(Report {
        scenario: Scenario::Ask.name(),
        about: "Asks to entities of another node, nothing written, through region, links and entity actor, against \
                calls of a derived ractor_cluster message to a remote actor over its built-in TCP. Caller and callee \
                are two processes."
            .into(),
        settings,
        figures: vec![
            Figure::new(format!("entity asks, {CALLERS} callers"), "asks/s", &entity.per_second),
            Figure::new(format!("derived calls, {CALLERS} callers"), "calls/s", &derived.per_second),
            Figure::new("throughput ratio", "", &throughput),
            Figure::new(format!("entity asks, {CALLERS} callers: p99"), "µs", &entity.p99_micros),
            Figure::new(format!("derived calls, {CALLERS} callers: p99"), "µs", &derived.p99_micros),
            Figure::new("entity asks, 1 caller: p50", "µs", &entity.p50_micros),
            Figure::new("derived calls, 1 caller: p50", "µs", &derived.p50_micros),
            Figure::new("latency ratio", "", &latency),
        ],
        targets: vec![
            Target::new(format!("throughput ratio at {CALLERS} callers"), &throughput, Bound::AtLeast(1.3)),
            Target::new("latency ratio at 1 caller", &latency, Bound::AtMost(1.3)),
        ],
        machine: watch.finish(&[], Vec::new()),
    })
}

#[derive(Default)]
struct Side {
    per_second: Series,
    p99_micros: Series,
    p50_micros: Series,
}

impl Side {
    fn add(&mut self, found: &Found) {
        self.per_second.push(found.many.per_second);
        self.p99_micros.push(found.many.p99_micros);
        self.p50_micros.push(found.one.p50_micros);
    }
}
