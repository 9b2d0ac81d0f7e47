//! `/docs`: the OpenAPI document as a page to read, from this program alone.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::edge::Edge;

/// Nothing from elsewhere, and no script in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/docs", get(|| async { file("text/html; charset=utf-8", include_str!("docs/page.html")) }))
        .route("/docs/page.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("docs/page.js")) }))
        .route("/docs/page.css", get(|| async { file("text/css; charset=utf-8", include_str!("docs/page.css")) }))
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, content).into_response()
}
