//! Many buyers of few units of one item.
//!
//! - `http`: 300 buyers at once of 100 units, over HTTP
//! - `asks`: reservations per second on one SKU, by asks to the stock's entity

pub mod asks;
pub mod http;

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
    // The node of the rush founds a cluster of its own.
    database.clear().await?;
    let (rush, server) = http::rush(&arguments.node_executable, &database.url, arguments.repeats).await?;
    let versions = database.versions().await?;
    database.clear().await?;
    let own: Vec<u32> = database.pid.into_iter().chain([server]).collect();
    let (units, buyers) = (http::UNITS, http::BUYERS);
    Ok(Report {
        scenario: Scenario::HotItem.name(),
        about: format!(
            "{buyers} buyers order one of the last {units} units each at the same moment over HTTP, on one node with \
             all services; and reservations of one SKU by asks on the node that has the stock, each durable before it \
             is answered."
        ),
        settings: Report::common_settings(arguments),
        figures: vec![
            Figure::new(format!("reservations by asks, {} callers", asks::CALLERS), "reservations/s", &rates),
            Figure::new("their p99", "ms", &latencies),
            Figure::new(format!("{buyers} buyers: confirmed"), "orders", &rush.confirmed),
            Figure::new(format!("{buyers} buyers: refused for lack of stock"), "orders", &rush.refused),
            Figure::new(format!("{buyers} buyers: all answered after"), "s", &rush.seconds),
            Figure::new(format!("{buyers} buyers: p99"), "ms", &rush.p99_millis),
        ],
        targets: vec![
            Target::new(format!("confirmed of {buyers} buyers"), &rush.confirmed, Bound::Exactly(units.into())),
            Target::new("units reserved or sold", &rush.taken, Bound::Exactly(units.into())),
            Target::new("reservations/s of one SKU", &rates, Bound::AtLeast(RESERVATIONS_MIN)),
        ],
        machine: watch.finish(&own, versions),
    })
}
