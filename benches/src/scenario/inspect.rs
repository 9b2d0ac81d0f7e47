//! What looking costs: whole checkouts with a console open and `top` running, against the same without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::checkout::{Found, PAYMENTS, prepare};
use crate::arguments::{BenchArguments, Scenario};
use crate::database::Database;
use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::{ADMIN_TOKEN, Server};
use crate::machine::Watch;
use crate::report::{Bound, Figure, Report, Target};
use crate::statistics::Series;

/// What a console shows at the same time, and what `top` asks, each as often as they do.
const VIEWS: [&str; 6] = ["nodes", "shards", "types", "moves", "points", "top?by=messages&limit=50"];
/// How often a view is refreshed.
const REFRESH: Duration = Duration::from_secs(2);
/// What must be reached.
const RATIO_MIN: f64 = 0.98;
const PAGE_P99_MILLIS_MAX: f64 = 200.0;

/// Runs the scenario.
///
/// # Errors
/// When a request is refused, or server or database fail.
pub async fn run(arguments: &BenchArguments) -> Result<Report, BenchError> {
    let watch = Watch::start();
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let server = Server::start(&arguments.node_executable, &database.url).await?;
    let sessions = prepare(&server).await?;
    let (_, choice) = PAYMENTS[0];
    let (mut alone, mut watched) = (Found::default(), Found::default());
    let (mut ratio, mut pages) = (Series::default(), Series::default());
    for repeat in 0..arguments.repeats {
        eprintln!("repeat {} of {}", repeat + 1, arguments.repeats);
        // In turns, so that what else the machine does meets both alike.
        for turn in 0..2 {
            if (repeat + turn) % 2 == 0 {
                alone.measure(arguments, &database, &server, &sessions, choice, 2 * repeat + turn).await?;
            } else {
                let watchers = Watchers::start(&server);
                watched.measure(arguments, &database, &server, &sessions, choice, 2 * repeat + turn).await?;
                pages.push(watchers.stop().await?);
            }
        }
        let last = |series: &Series| series.values().last().copied().unwrap_or_default();
        ratio.push(last(&watched.per_second) / last(&alone.per_second).max(1.0));
    }
    let machine = watch.finish(
        &[database.pid, Some(server.pid())].into_iter().flatten().collect::<Vec<_>>(),
        database.versions().await?,
    );
    drop(server);
    database.clear().await?;
    let mut settings = Report::common_settings(arguments);
    settings.push(("views".into(), format!("{}, each every {} s", VIEWS.join(", "), REFRESH.as_secs())));
    Ok(Report {
        scenario: Scenario::Inspect.name(),
        about: "Whole checkouts by card as in `checkout`, with all views of a console refreshed and `top` running, \
                against the same without; in turns on one node with every role. A page is one view over HTTP, asked while \
                the checkouts run."
            .into(),
        settings,
        figures: vec![
            Figure::new("checkouts, nobody looks", "checkouts/s", &alone.per_second),
            Figure::new("checkouts, looked at", "checkouts/s", &watched.per_second),
            Figure::new("ratio", "", &ratio),
            Figure::new("processor time of nakku node, nobody looks", "ms/checkout", &alone.server_millis),
            Figure::new("processor time of nakku node, looked at", "ms/checkout", &watched.server_millis),
            Figure::new("a page: slowest of a hundred", "ms", &pages),
        ],
        targets: vec![
            Target::new("ratio", &ratio, Bound::AtLeast(RATIO_MIN)),
            Target::new("a page, p99 (ms)", &pages, Bound::AtMost(PAGE_P99_MILLIS_MAX)),
        ],
        machine,
    })
}

/// One task for each view.
struct Watchers {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<Vec<f64>, BenchError>>>,
}

impl Watchers {
    fn start(server: &Server) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let tasks = VIEWS.map(|view| {
            let (over, admin) = (Arc::clone(&over), server.admin);
            tokio::spawn(async move {
                let mut client = Client::new(admin).with_token(ADMIN_TOKEN);
                let mut millis = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = client.send("GET", &format!("/admin/v1/{view}"), "", "").await?;
                    if answer.status != 200 {
                        return Err(answer.unexpected(view));
                    }
                    millis.push(began.elapsed().as_secs_f64() * 1000.0);
                    tokio::time::sleep(REFRESH.saturating_sub(began.elapsed())).await;
                }
                Ok(millis)
            })
        });
        Self { over, tasks: tasks.into() }
    }

    /// The 99th percentile of all pages, in milliseconds.
    async fn stop(self) -> Result<f64, BenchError> {
        self.over.store(true, Ordering::Relaxed);
        let mut millis = Vec::new();
        for task in self.tasks {
            millis.extend(task.await.map_err(|error| BenchError::failed("a view", error))??);
        }
        millis.sort_by(f64::total_cmp);
        let rank = (millis.len() * 99).div_ceil(100).saturating_sub(1);
        Ok(millis.get(rank).copied().unwrap_or_default())
    }
}
