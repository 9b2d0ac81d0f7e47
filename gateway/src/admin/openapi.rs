//! The OpenAPI 3.1 document of the admin API, generated from the routes and bodies, with every problem code.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::session::COOKIE_NAME;
use super::{analytics, dead_letters, inspect, session, users, webhooks};
use crate::problem::Code;

/// The document.
pub fn document() -> Value {
    let mut document = Routes::openapi();
    for routes in [
        inspect::Documented::openapi(),
        dead_letters::Documented::openapi(),
        analytics::Documented::openapi(),
        users::Documented::openapi(),
        webhooks::Documented::openapi(),
        session::Documented::openapi(),
    ] {
        document.merge(routes);
    }
    let mut document = serde_json::to_value(document).expect("the document has string keys and serialises");
    document["x-problem-codes"] = Code::ALL.iter().map(|code| json!(code.entry())).collect();
    document
}

/// This document.
#[utoipa::path(get, path = "/admin/v1/openapi.json", tag = "views",
    responses((status = 200, body = Value, description = "OpenAPI 3.1")))]
pub async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], document().to_string()).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nakku, admin API",
        description = "What an operator may see of a cluster, and do. Every node answers for the whole cluster. Times \
            whose names end in _at_ms are milliseconds since the Unix epoch, durations have their unit last. Whatever \
            changes something goes to the audit log with who did it, and acts want a reason. By a session, requests \
            that change something show its csrf in the header X-Nakku-Csrf. Errors are RFC 9457 problem details with \
            one of the codes below."
    ),
    paths(super::status, serve),
    security(("token" = []), ("session" = [])),
    modifiers(&Schemes)
)]
struct Routes;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The admin token")).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let cookie = ApiKeyValue::with_description(COOKIE_NAME, "Of a session");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}
