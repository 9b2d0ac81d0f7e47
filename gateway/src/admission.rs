//! How many requests may be in progress. One more is refused at once instead of queueing in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::edge::Edge;
use crate::metrics::METRICS;
use crate::problem::{Code, Problem};

/// When a client that was refused should come back.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Counts requests in progress against a bound.
#[derive(Debug)]
pub struct Admission {
    in_flight: AtomicUsize,
    in_flight_max: usize,
    draining: AtomicBool,
}

/// The right to be in progress; given back when dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
}

impl Admission {
    /// Room for so many requests.
    pub fn new(in_flight_max: usize) -> Arc<Self> {
        Arc::new(Self { in_flight: AtomicUsize::new(0), in_flight_max, draining: AtomicBool::new(false) })
    }

    /// Admits a request, or nothing when there is no room.
    pub fn admit(self: &Arc<Self>) -> Option<Admitted> {
        let room = |now: usize| (now < self.in_flight_max).then_some(now + 1);
        self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        METRICS.requests_in_flight.inc();
        Some(Admitted { admission: self.clone() })
    }

    /// Requests in progress.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// The bound.
    pub fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }

    /// Marks the gateway as on its way out. Requests are still admitted: none is to fail.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether it is on its way out.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.in_flight.fetch_sub(1, Ordering::AcqRel);
        METRICS.requests_in_flight.dec();
    }
}

/// Lets a request in, or answers 503 with `Retry-After`.
pub async fn admit(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let Some(_admitted) = edge.admission.admit() else {
        METRICS.requests_refused.inc();
        return Problem::new(Code::Overloaded, "too many requests are in progress")
            .retry_after(RETRY_AFTER)
            .into_response();
    };
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_up_to_the_bound_and_again_when_one_ends() {
        let admission = Admission::new(2);
        let first = admission.admit();
        let second = admission.admit();
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit().is_none());
        assert_eq!(admission.in_flight(), 2);
        drop(first);
        assert!(admission.admit().is_some(), "the third was dropped at once, so there is room again");
        drop(second);
        assert_eq!(admission.in_flight(), 0);
    }

    #[test]
    fn draining_still_admits() {
        let admission = Admission::new(1);
        admission.drain();
        assert!(admission.is_draining());
        assert!(admission.admit().is_some());
    }
}
