//! Many buyers of few units of one item.
//!
//! - `asks`: reservations per second on one SKU, by asks to the stock's entity

pub mod asks;

use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::load::Achieved;
use crate::machine::Watch;
use crate::node::PATIENCE;
use crate::peer::Peer;
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

/// Reservations per second that one SKU must bear.
const RESERVATIONS_MIN: f64 = 5000.0;

/// Runs the scenario.
///
/// # Errors
/// When a process or the database fails.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let timing = asks::Timing {
        warmup_ms: arguments.warmup.as_millis() as u64,
        duration_ms: arguments.duration.as_millis() as u64,
        repeats: arguments.repeats,
    };
    let timing = serde_json::to_string(&timing)?;
    let mut peer = Peer::start(&arguments.executable, &["reserve", &database.url, &timing])?;
    let (mut rates, mut latencies) = (Series::default(), Series::default());
    for repeat in 0..arguments.repeats {
        eprintln!("reservations: repeat {} of {}", repeat + 1, arguments.repeats);
        let achieved: Achieved = peer.hear(PATIENCE + arguments.warmup + arguments.duration).await?;
        rates.push(achieved.per_second);
        latencies.push(achieved.p99_micros / 1000.0);
    }
    peer.stop().await;
    let own: Vec<u32> = database.pid.into_iter().collect();
    Ok(Report {
        scenario: Scenario::HotItem.name(),
        about: "Reservations of one SKU of one store, by asks on the node that has the stock, each durable before it \
                is answered."
            .into(),
        settings: Report::common_settings(arguments),
        figures: vec![
            Figure::new(format!("reservations by asks, {} callers", asks::CALLERS), "reservations/s", &rates),
            Figure::new("their p99", "ms", &latencies),
        ],
        targets: vec![Target::new("reservations/s of one SKU", &rates, Bound::AtLeast(RESERVATIONS_MIN))],
        machine: watch.finish(&own, database.versions().await?),
    })
}
