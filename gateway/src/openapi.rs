//! The OpenAPI 3.1 document, generated from the routes and bodies, with every problem code.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::problem::Code;
use crate::{health, live, routes};

/// The document.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Routes::openapi()).expect("the document has string keys and serialises");
    document["x-problem-codes"] = Code::ALL.iter().map(|code| json!(code.entry())).collect();
    document
}

/// The OpenAPI document.
pub async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], document().to_string()).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nakku",
        description = "Groceries to the door in minutes. Amounts are integers in minor units of one currency, \
            times are milliseconds since the Unix epoch. Every answer carries X-Request-Id and traceparent. \
            Errors are RFC 9457 problem details with one of the codes below."
    ),
    paths(
        routes::auth::register,
        routes::auth::login,
        routes::auth::refresh,
        routes::auth::logout,
        routes::users::me,
        routes::users::erase,
        routes::users::add_address,
        routes::users::remove_address,
        routes::products::list,
        routes::products::read,
        routes::products::create,
        routes::products::change,
        routes::products::archive,
        routes::stores::list,
        routes::stores::products,
        routes::stores::stock,
        routes::stores::supply,
        routes::stores::change_stock,
        routes::location::places::read,
        routes::location::places::describe,
        routes::location::places::set_zone,
        routes::location::places::remove_zone,
        routes::location::places::pause,
        routes::location::places::resume,
        routes::location::serviceability,
        routes::location::nearest,
        routes::cart::read,
        routes::cart::set,
        routes::cart::remove,
        routes::cart::empty,
        routes::orders::checkout::place,
        routes::orders::list,
        routes::orders::read,
        routes::orders::cancel,
        routes::payments::read,
        routes::notifications::list,
        routes::notifications::mark_read,
        routes::notifications::preferences,
        routes::notifications::set_preferences,
        routes::delivery::read,
        routes::delivery::go_online,
        routes::delivery::go_offline,
        routes::delivery::list,
        routes::delivery::accept,
        routes::delivery::decline,
        routes::delivery::pick_up,
        routes::delivery::deliver,
        routes::delivery::fail,
        routes::analytics::summary,
        routes::analytics::series,
        routes::analytics::top_products,
        routes::analytics::funnel,
        routes::analytics::promise,
        routes::analytics::export::export,
        routes::location::ping,
        live::upgrade::open,
        live::stream::events,
        health::health,
        health::ready,
        health::metrics,
    ),
    modifiers(&Bearer)
)]
struct Routes;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_openapi_3_1_and_lists_every_code() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
        assert_eq!(document["x-problem-codes"].as_array().unwrap().len(), Code::ALL.len());
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
