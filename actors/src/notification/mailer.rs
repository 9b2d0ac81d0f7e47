//! Who carries e-mails: what is asked, what is answered, and one that only writes them to the log.
//!
//! An e-mail may be handed over twice when the answer to the first attempt was lost. Both then have the same
//! `Message-ID`, which follows from the idempotency key, and mail servers keep one of them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nakku_cluster::{Provider, ProviderError};
use serde::{Deserialize, Serialize};

use super::template::{Language, Template, Text};

/// The name under which the mailer is registered at a node.
pub const MAILER: &str = "mailer";

/// What a mailer is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRequest {
    /// Where to.
    pub email: String,
    /// To whom.
    pub name: String,
    /// In which language.
    pub language: Language,
    /// What is said.
    pub template: Template,
    /// What the template's names stand for.
    pub values: BTreeMap<String, String>,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum MailAnswer {
    /// The mail server has it.
    Sent,
    /// The mail server never will.
    Refused {
        /// Why.
        reason: String,
    },
}

impl MailRequest {
    /// What the e-mail says.
    pub fn text(&self) -> Text {
        let mut values = self.values.clone();
        values.insert("name".into(), self.name.clone());
        self.template.text(self.language, &values)
    }
}

/// Refuses all e-mails: the operator has set no mail server.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMailer;

#[async_trait]
impl Provider for NoMailer {
    fn name(&self) -> &'static str {
        MAILER
    }

    async fn call(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let refused = MailAnswer::Refused { reason: "no mail server is set".into() };
        Ok(serde_json::to_vec(&refused).expect("an answer serialises"))
    }
}

/// Writes e-mails to the log instead of sending them, for demonstrations. The address is not written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogMailer;

#[async_trait]
impl Provider for LogMailer {
    fn name(&self) -> &'static str {
        MAILER
    }

    async fn call(&self, idempotency_key: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let request: MailRequest = serde_json::from_slice(request)
            .map_err(|error| ProviderError::Unavailable { provider: MAILER, cause: error.to_string() })?;
        let Text { subject, body } = request.text();
        tracing::info!(message_id = idempotency_key, subject, body, "an e-mail would be sent");
        Ok(serde_json::to_vec(&MailAnswer::Sent).expect("an answer serialises"))
    }
}
