//! What a client is told when something does not work: RFC 9457 problem details from one closed set of codes.
//!
//! - `code`: the set, each with status, title and what to do;
//! - `failure`: from the ways in which the cluster can fail;
//! - `rejection`: from the ways in which entities refuse, one function per service.

mod code;
mod failure;
mod rejection;

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use self::code::{Code, Entry};
use crate::metrics::METRICS;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One problem, to be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Which one.
    pub code: Code,
    /// What it is about in this case, for people.
    pub detail: String,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// Further members, such as the lines that lack; boxed because most have none.
    pub members: Option<Box<Map<String, Value>>>,
}

/// The body of every answer that is no success (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Where the code is explained, relative to this server.
    #[serde(rename = "type")]
    #[schema(example = "/docs#insufficient_stock")]
    pub kind: String,
    /// The same for every problem with this code.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What to decide on in a program.
    pub code: Code,
    /// What it is about in this case.
    pub detail: String,
    /// What to do about it.
    pub advice: &'static str,
    /// Further members that belong to the code.
    #[serde(flatten)]
    #[schema(ignore)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// A problem with its details.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, members: None }
    }

    /// Names the field that it is about.
    #[must_use]
    pub fn field(self, field: impl Into<String>) -> Self {
        self.member("field", field.into())
    }

    /// Adds a member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.get_or_insert_default().insert(name.to_owned(), value.into());
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// A reply that an entity can't give to the command that was sent.
    pub fn unexpected<Reply>(_reply: &Reply) -> Self {
        // Not the reply itself: it may hold what must not be logged.
        tracing::error!(reply = std::any::type_name::<Reply>(), "an entity answered another question");
        Self::new(Code::Internal, "an unexpected reply")
    }

    /// As it is written, and counted.
    pub fn body(self) -> ProblemBody {
        let entry = self.code.entry();
        METRICS.problems.with_label_values(&[entry.slug]).inc();
        ProblemBody {
            kind: format!("/docs#{}", entry.slug),
            title: entry.title,
            status: entry.status,
            code: self.code,
            detail: self.detail,
            advice: entry.advice,
            members: self.members.map(|members| *members).unwrap_or_default(),
        }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.entry().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry_after = self.retry_after;
        let body = serde_json::to_vec(&self.body()).expect("a problem has string keys and serialises");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(pause) = retry_after {
            // Whole seconds, and never 0: that would invite an immediate repetition.
            let seconds = pause.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                headers.insert(RETRY_AFTER, value);
            }
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
