//! Messages that were handed to the client together, and what became of them.
//!
//! A future for each message would cost more than the message: here the client carries a number for each, and whoever
//! waits is woken once, when the last of them has been let go of.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError as ClientError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::oneshot;

use super::client::Quiet;

/// Messages that were not delivered: their numbers and why.
type Failed = Vec<(usize, ClientError)>;

/// What the client tells of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deliveries;

/// A round of messages; each has it for as long as nothing is known of it.
#[derive(Debug)]
pub(super) struct Round {
    failed: Mutex<Failed>,
    /// Told at its end.
    ended: Option<oneshot::Sender<Failed>>,
}

/// One of its messages.
#[derive(Debug)]
pub(super) struct Sent {
    round: Arc<Round>,
    number: usize,
}

/// Waits for a round.
#[derive(Debug)]
pub(super) struct Ended(oneshot::Receiver<Failed>);

impl Round {
    pub(super) fn new() -> (Arc<Self>, Ended) {
        let (ended, end) = oneshot::channel();
        (Arc::new(Self { failed: Mutex::default(), ended: Some(ended) }), Ended(end))
    }

    pub(super) fn message(self: &Arc<Self>, number: usize) -> Box<Sent> {
        Box::new(Sent { round: Arc::clone(self), number })
    }

    pub(super) fn fail(&self, number: usize, error: ClientError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((number, error));
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let failed = mem::take(self.failed.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(ended) = self.ended.take() {
            // Nobody may wait for it any more.
            let _ = ended.send(failed);
        }
    }
}

impl Ended {
    /// The messages that were not delivered; nothing when the client did not tell of all in time.
    pub(super) async fn within(self, patience: Duration) -> Option<Failed> {
        tokio::time::timeout(patience, self.0).await.ok()?.ok()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Quiet.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        Quiet.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        if let Err((error, _)) = result {
            sent.round.fail(sent.number, error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_round_ends_with_its_last_message() {
        let (round, ended) = Round::new();
        let (first, second) = (round.message(0), round.message(1));
        drop(round);
        drop(first);
        let waiting = tokio::spawn(ended.within(PATIENCE));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the second message is under way");
        let error = ClientError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        second.round.fail(second.number, error.clone());
        drop(second);
        assert_eq!(waiting.await.expect("no panic"), Some(vec![(1, error)]));
    }

    #[tokio::test]
    async fn a_round_whose_messages_are_lost_is_given_up() {
        let (round, ended) = Round::new();
        let _lost = round.message(0);
        drop(round);
        assert_eq!(ended.within(Duration::from_millis(20)).await, None);
    }
}
