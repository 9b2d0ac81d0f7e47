//! Takes requests apart: bodies, paths and queries, each way of being wrong with its own problem code.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path as FieldPath, Track};
use tokio::time::Instant;

use crate::problem::{Code, Problem};
use crate::trace::RequestContext;

/// How long a body may take where requests have no deadline.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A body of JSON.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// The parts of a path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The parameters behind `?`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !declares_json(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType, "the body must be application/json"));
        }
        // Nothing has happened yet, which a body that comes too slowly is told, rather than that it took too long.
        let deadline = request.extensions().get::<RequestContext>().map(|context| context.deadline);
        let deadline = deadline.unwrap_or_else(|| Instant::now() + BODY_PATIENCE);
        let bytes = tokio::time::timeout_at(deadline, Bytes::from_request(request, state)).await;
        let late = |_| Problem::new(Code::RequestTimeout, "the body took longer than the request may");
        let bytes = bytes.map_err(late)?.map_err(unread)?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(Code::InvalidValue, rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::new(code_of_message(text), text.to_owned()))
            }
        }
    }
}

/// Reads one JSON document.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let read = T::deserialize(tracked).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| malformed(&error, &track.path()))
}

fn malformed(error: &serde_json::Error, path: &FieldPath) -> Problem {
    let text = error.to_string();
    if !error.is_data() {
        return Problem::new(Code::BrokenJson, text);
    }
    let problem = Problem::new(code_of_message(&text), text);
    if path.iter().next().is_none() { problem } else { problem.field(path.to_string()) }
}

/// serde has no codes, only messages; their beginnings are part of its interface (`serde::de::Error`).
fn code_of_message(text: &str) -> Code {
    // A query's message begins with the parameter: `limit: invalid digit found in string`.
    let has = |phrase: &str| text.starts_with(phrase) || text.contains(&format!(": {phrase}"));
    if has("unknown field") {
        Code::UnknownField
    } else if has("missing field") {
        Code::MissingField
    } else if has("invalid type") {
        Code::WrongType
    } else {
        Code::InvalidValue
    }
}

fn unread(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(Code::BodyTooLarge, "the body is larger than it may be")
    } else {
        Problem::new(Code::RequestTimeout, "the body ended before its time")
    }
}

/// `application/json` or a type that ends in `+json`, with or without parameters.
fn declares_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
