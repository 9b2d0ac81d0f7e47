//! A mail server that takes nothing until it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use nakku_actors::notification::mailer::{MAILER, MailAnswer, MailRequest};
use nakku_cluster::{Provider, ProviderError};

/// Every attempt, by address.
static ATTEMPTS: Mutex<BTreeMap<String, Vec<Instant>>> = Mutex::new(BTreeMap::new());
/// Addresses whose e-mails are taken.
static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// See the module.
#[derive(Debug)]
pub struct Mail;

#[async_trait]
impl Provider for Mail {
    fn name(&self) -> &'static str {
        MAILER
    }

    async fn call(&self, _: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let request: MailRequest = serde_json::from_slice(request).expect("a request");
        let mut attempts = ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.entry(request.email.clone()).or_default().push(Instant::now());
        if TAKEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&request.email) {
            return Ok(serde_json::to_vec(&MailAnswer::Sent).expect("an answer serialises"));
        }
        Err(ProviderError::Unavailable { provider: MAILER, cause: "it is away".into() })
    }
}

/// From now on e-mails to this address are taken.
pub fn take(email: &str) {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(email.to_owned());
}

/// When e-mails to this address were tried.
pub fn attempts(email: &str) -> Vec<Instant> {
    ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner).get(email).cloned().unwrap_or_default()
}
