//! Why somebody does something: nothing is changed without it, and all of it is written to the log.

use std::fmt::Display;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::problem::{Code, Problem};

/// The longest reason, in characters.
pub const REASON_MAX: usize = 200;

/// Why something is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// At most 200 characters on one line; it is kept in the audit log.
    #[serde(default)]
    #[schema(required)]
    pub(crate) reason: String,
}

/// Writes to the audit log what is about to be done, and by whom.
///
/// # Errors
/// When there is no reason, or one that is too long or holds control characters.
pub(crate) fn audit(operator: &str, reason: &str, act: &str, on: impl Display) -> Result<(), Problem> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Problem::new(Code::MissingField, "say why: it is kept in the log").field("reason"));
    }
    if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        let detail = format!("a reason has at most {REASON_MAX} characters on one line");
        return Err(Problem::new(Code::InvalidValue, detail).field("reason"));
    }
    note(operator, act, on, reason);
    Ok(())
}

/// Writes to the audit log what is done where the act says itself what it is for.
pub(crate) fn note(operator: &str, act: &str, on: impl Display, reason: &str) {
    tracing::info!(target: "nakku::audit", operator, act, on = %on, reason, "an operator acts");
}
