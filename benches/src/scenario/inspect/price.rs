//! What looking costs: whole checkouts with a console open and `top` running, against the same without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::arguments::BenchArguments;
use crate::database::Database;
use crate::error::BenchError;
use crate::http::client::Client;
use crate::http::server::{ADMIN_TOKEN, Server};
use crate::scenario::checkout::{Found, PAYMENTS, prepare};
use crate::statistics::Series;

/// What a console shows at the same time, and what `top` asks, each as often as they do.
pub(super) const VIEWS: [&str; 6] = ["nodes", "shards", "types", "moves", "points", "top?by=messages&limit=50"];
/// How often a view is refreshed.
pub(super) const REFRESH: Duration = Duration::from_secs(2);

/// What was found, repeat by repeat.
#[derive(Default)]
pub(super) struct Price {
    pub alone: Found,
    pub watched: Found,
    pub ratio: Series,
    pub pages: Series,
}

/// Measures it on one node with every role.
///
/// # Errors
/// When a request is refused, or server or database fail.
pub(super) async fn measure(arguments: &BenchArguments, database: &Database) -> Result<Price, BenchError> {
    let server = Server::start(&arguments.node_executable, &database.url).await?;
    let sessions = prepare(&server).await?;
    let (_, choice) = PAYMENTS[0];
    let mut price = Price::default();
    for repeat in 0..arguments.repeats {
        eprintln!("repeat {} of {}", repeat + 1, arguments.repeats);
        // In turns, so that what else the machine does meets both alike.
        for turn in 0..2 {
            if (repeat + turn) % 2 == 0 {
                price.alone.measure(arguments, database, &server, &sessions, choice, 2 * repeat + turn).await?;
            } else {
                let watchers = Watchers::start(&server);
                price.watched.measure(arguments, database, &server, &sessions, choice, 2 * repeat + turn).await?;
                price.pages.push(watchers.stop().await?);
            }
        }
        let last = |series: &Series| series.values().last().copied().unwrap_or_default();
        price.ratio.push(last(&price.watched.per_second) / last(&price.alone.per_second).max(1.0));
    }
    Ok(price)
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
