//! The card network: what it is asked, what it answers, and a simulated one whose outcome the token chooses.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nakku_cluster::{Provider, ProviderError};
use serde::{Deserialize, Serialize};

use crate::digest::short_digest;

/// The name under which the simulated card network is registered at a node.
pub const SIMULATED_CARD: &str = "simulated-card";
/// Approves.
pub const TOKEN_APPROVE: &str = "card_approve";
/// Declines.
pub const TOKEN_DECLINE: &str = "card_decline";
/// Approves after [`SLOW_MS`].
pub const TOKEN_SLOW: &str = "card_slow";
/// Approves, but the first answer to every request is lost; its repetition is answered.
pub const TOKEN_LOST: &str = "card_lost";
/// How long [`TOKEN_SLOW`] takes, in milliseconds.
pub const SLOW_MS: u64 = 2_000;
/// How many lost answers the simulation remembers; one that it forgot is lost once more.
pub const LOST_MAX: usize = 10_000;

/// What a card network is asked. Carried out once for an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequest {
    /// The card's token.
    pub token: String,
    /// What to do.
    pub operation: CardOperation,
    /// About how much.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// The network's name for the payment, once it has given one.
    pub reference: Option<String>,
}

/// What a card network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardOperation {
    /// Holds the amount.
    Authorise,
    /// Holds and takes the amount.
    Charge,
    /// Takes what is held.
    Capture,
    /// Lets go what is held.
    Void,
    /// Gives back.
    Refund,
}

/// What a card network answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum CardAnswer {
    /// It is done.
    Approved {
        /// The network's name for the payment.
        reference: String,
    },
    /// It won't be done.
    Declined {
        /// Why.
        reason: String,
    },
}

/// The built-in card network of demonstrations and tests. No money moves.
///
/// What it answers follows from the request and its idempotency key alone, so that it needs no memory to
/// answer a repetition alike; it only remembers which answers of [`TOKEN_LOST`] it has lost.
#[derive(Debug, Default)]
pub struct SimulatedCard {
    lost: Mutex<Lost>,
}

#[derive(Debug, Default)]
struct Lost {
    keys: HashSet<String>,
    oldest_first: VecDeque<String>,
}

impl SimulatedCard {
    /// The answer to a request.
    pub fn answer(idempotency_key: &str, request: &CardRequest) -> CardAnswer {
        let authorises = matches!(request.operation, CardOperation::Authorise | CardOperation::Charge);
        let known = [TOKEN_APPROVE, TOKEN_DECLINE, TOKEN_SLOW, TOKEN_LOST].contains(&request.token.as_str());
        if authorises && !known {
            return CardAnswer::Declined { reason: "unknown_card".into() };
        }
        if authorises && request.token == TOKEN_DECLINE {
            return CardAnswer::Declined { reason: "declined_by_issuer".into() };
        }
        let reference = request.reference.clone();
        CardAnswer::Approved {
            reference: reference.unwrap_or_else(|| format!("sim-{}", short_digest(&[idempotency_key.as_bytes()]))),
        }
    }

    /// Whether this answer gets lost: the first one of a key.
    fn loses(&self, idempotency_key: &str) -> bool {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if !lost.keys.insert(idempotency_key.to_owned()) {
            return false;
        }
        lost.oldest_first.push_back(idempotency_key.to_owned());
        if lost.oldest_first.len() > LOST_MAX
            && let Some(oldest) = lost.oldest_first.pop_front()
        {
            lost.keys.remove(&oldest);
        }
        true
    }
}

#[async_trait]
impl Provider for SimulatedCard {
    fn name(&self) -> &'static str {
        SIMULATED_CARD
    }

    async fn call(&self, idempotency_key: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let request: CardRequest = serde_json::from_slice(request)
            .map_err(|error| ProviderError::Unavailable { provider: SIMULATED_CARD, cause: error.to_string() })?;
        if request.token == TOKEN_SLOW {
            tokio::time::sleep(Duration::from_millis(SLOW_MS)).await;
        }
        if request.token == TOKEN_LOST && self.loses(idempotency_key) {
            let cause = "the answer was lost, as this card's token asks for".to_owned();
            return Err(ProviderError::OutcomeUnknown { provider: SIMULATED_CARD, cause });
        }
        let answer = Self::answer(idempotency_key, &request);
        Ok(serde_json::to_vec(&answer).expect("a card's answer has string keys and serialises"))
    }
}
