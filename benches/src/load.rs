//! A closed loop of callers: each waits for its answer before it asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::statistics::Latencies;

/// What a closed loop achieved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Achieved {
    /// Answers per second.
    pub per_second: f64,
    /// Half of them came within this, in microseconds.
    pub p50_micros: f64,
    /// All but one in a hundred came within this.
    pub p99_micros: f64,
    /// How many were measured.
    pub count: u64,
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Runs so many callers; `caller` makes the function that one of them calls again and again.
///
/// # Errors
/// The first error of any call.
pub async fn closed_loop<C, F>(
    callers: usize,
    warmup: Duration,
    duration: Duration,
    caller: impl Fn(usize) -> C,
) -> Result<Achieved, BenchError>
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<(), BenchError>> + Send,
{
    Ok(closed_loop_probed(callers, warmup, duration, || (), caller).await?.0)
}

/// The same, and what `probe` said when the measurement began and when it ended.
///
/// # Errors
/// The first error of any call.
pub async fn closed_loop_probed<C, F, P>(
    callers: usize,
    warmup: Duration,
    duration: Duration,
    probe: impl Fn() -> P,
    caller: impl Fn(usize) -> C,
) -> Result<(Achieved, [P; 2]), BenchError>
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<(), BenchError>> + Send,
{
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut running = JoinSet::new();
    for number in 0..callers {
        let (phase, mut call) = (Arc::clone(&phase), caller(number));
        running.spawn(async move {
            let mut latencies = Latencies::new();
            loop {
                let began = Instant::now();
                let before = phase.load(Ordering::Relaxed);
                if before == OVER {
                    return Ok::<_, BenchError>(latencies);
                }
                call().await?;
                // Only what both began and ended while it was measured counts as a latency.
                if before == MEASURING && phase.load(Ordering::Relaxed) == MEASURING {
                    latencies.record(began.elapsed());
                }
            }
        });
    }
    let failed_early = |ended: Option<Result<Result<Latencies, BenchError>, _>>| match ended {
        Some(Ok(Err(error))) => error,
        other => BenchError::failed("a caller", format!("ended early: {:?}", other.is_some())),
    };
    tokio::select! {
        () = tokio::time::sleep(warmup) => {}
        ended = running.join_next() => return Err(failed_early(ended)),
    }
    let probed_before = probe();
    phase.store(MEASURING, Ordering::Relaxed);
    let began = Instant::now();
    tokio::select! {
        () = tokio::time::sleep(duration) => {}
        ended = running.join_next() => return Err(failed_early(ended)),
    }
    let elapsed = began.elapsed();
    phase.store(OVER, Ordering::Relaxed);
    let probed = [probed_before, probe()];
    let mut all = Latencies::new();
    while let Some(ended) = running.join_next().await {
        all.add(&ended.map_err(|error| BenchError::failed("a caller", error))??);
    }
    let achieved = Achieved {
        per_second: all.count() as f64 / elapsed.as_secs_f64(),
        p50_micros: all.micros(0.5),
        p99_micros: all.micros(0.99),
        count: all.count(),
    };
    Ok((achieved, probed))
}
