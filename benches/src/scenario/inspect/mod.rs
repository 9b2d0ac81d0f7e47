//! What looking costs, and how long it takes.
//!
//! - `price`: whole checkouts on one node with a console open and `top` running, against the same without
//! - [`carts`]: what fills the memory of five nodes
//! - `shoppers`: commands that go on meanwhile
//! - `pages`: every view of the five nodes, asked of one of them

pub mod carts;
mod pages;
mod price;
mod shoppers;

use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::machine::Watch;
use crate::report::{Bound, Figure, Report, Target};

/// What must be reached.
const RATIO_MIN: f64 = 0.98;
const PAGE_P99_MILLIS_MAX: f64 = 200.0;

/// Runs the scenario.
///
/// # Errors
/// When a request is refused, or a node or the database fails.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let price = price::measure(arguments, &database).await?;
    database.clear().await?;
    let pages = pages::measure(arguments, &database).await?;
    let own: Vec<u32> = database.pid.into_iter().collect();
    let machine = watch.finish(&own, database.versions().await?);
    database.clear().await?;
    let mut settings = Report::common_settings(arguments);
    let refreshed = price::VIEWS.join(", ");
    settings.push(("a console and top".into(), format!("{refreshed}, each every {} s", price::REFRESH.as_secs())));
    settings.extend(pages.settings());
    let mut figures = vec![
        Figure::new("checkouts, nobody looks", "checkouts/s", &price.alone.per_second),
        Figure::new("checkouts, looked at", "checkouts/s", &price.watched.per_second),
        Figure::new("ratio", "", &price.ratio),
        Figure::new("processor time of nakku node, nobody looks", "ms/checkout", &price.alone.server_millis),
        Figure::new("processor time of nakku node, looked at", "ms/checkout", &price.watched.server_millis),
        Figure::new("one node, a page: slowest of a hundred", "ms", &price.pages),
    ];
    figures.extend(pages.figures());
    Ok(Report {
        scenario: Scenario::Inspect.name(),
        about: format!(
            "Whole checkouts by card as in `checkout`, with all views of a console refreshed and `top` running, against \
             the same without; in turns on one node with every role. Then {} nodes with every role, {} loaded carts on \
             them and commands going on: every view of all of them, asked of one over HTTP.",
            pages::NODES,
            carts::COUNT
        ),
        settings,
        figures,
        targets: vec![
            Target::new("ratio", &price.ratio, Bound::AtLeast(RATIO_MIN)),
            Target::new("one node, a page, p99 (ms)", &price.pages, Bound::AtMost(PAGE_P99_MILLIS_MAX)),
            Target::new(
                "the slowest view of all nodes, p99 (ms)",
                &pages.slowest(),
                Bound::AtMost(PAGE_P99_MILLIS_MAX),
            ),
            Target::new("pages that lacked a node", &pages.lacking(), Bound::Exactly(0.0)),
        ],
        machine,
    })
}
