//! All routes, one file per service in the same shape: the router, the handlers, the bodies.
//!
//! A handler only translates: from HTTP to a command, from a reply to JSON. What is allowed is decided by
//! entities.

pub mod analytics;
pub mod auth;
mod cached;
pub mod cart;
pub mod delivery;
pub mod location;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod products;
pub mod stores;
pub mod users;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use nakku_cluster::Key;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::edge::Edge;
use crate::problem::{Code, Problem};
use crate::{admission, docs, health, live, openapi, rate_limit, trace};

/// What a handler answers with.
pub type Answer<T> = Result<Json<T>, Problem>;

/// Entries of a page unless asked otherwise.
const PAGE_DEFAULT: u32 = 50;
/// The most entries of a page.
pub const PAGE_MAX: u32 = 200;

/// One page of a list, in the order of the ids.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page goes on (`after`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Only what comes after this id: the `next` of the page before.
    pub after: Option<String>,
    /// At most so many, 1 to 200. Default 50.
    pub limit: Option<u32>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        page_limit(self.limit)
    }

    pub(crate) fn after(&self) -> Result<Option<Key>, Problem> {
        page_after(self.after.as_deref())
    }
}

/// Every route of the public listener.
pub fn all(edge: Arc<Edge>) -> Router {
    let api = Router::new()
        .nest("/auth", auth::routes())
        .nest("/users", users::routes())
        .nest("/products", products::routes())
        .nest("/stores", stores::routes().merge(location::store_routes()))
        .nest("/serviceability", location::routes())
        .nest("/cart", cart::routes())
        .nest("/orders", orders::routes().merge(payments::routes()).merge(delivery::order_routes()))
        .nest("/notifications", notifications::routes())
        .nest("/rider", delivery::rider_routes().merge(location::rider_routes()))
        .nest("/analytics", analytics::routes())
        // Asked in this order: room, then the rate, then the body's size.
        .layer(middleware::from_fn_with_state(edge.settings.body_bytes_max, limit_body))
        .layer(DefaultBodyLimit::max(edge.settings.body_bytes_max))
        .layer(middleware::from_fn_with_state(edge.clone(), rate_limit::limit))
        .layer(middleware::from_fn_with_state(edge.clone(), admission::admit))
        .nest("/live", live::routes());
    let open = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::serve))
        .merge(docs::routes());
    problems_for_the_rest(Router::new().nest("/api/v1", api).merge(open))
        .layer(middleware::from_fn_with_state(edge.clone(), trace::identify))
        .with_state(edge)
}

/// Answers unknown routes and methods with problems.
pub fn problems_for_the_rest<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .fallback(|request: Request| async move {
            Problem::new(Code::RouteNotFound, format!("there is no route {}", request.uri().path()))
        })
        .method_not_allowed_fallback(|request: Request| async move {
            Problem::new(Code::MethodNotAllowed, format!("{} is not for this route", request.method()))
        })
}

/// Refuses by its announced length what is too large, before a byte of it is read.
async fn limit_body(State(limit): State<usize>, request: Request, next: Next) -> Response {
    use axum::http::header::CONTENT_LENGTH;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match announced {
        Some(bytes) if bytes > limit => too_large(limit).into_response(),
        _ => next.run(request).await,
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body has more than {limit} bytes")).member("limit_bytes", limit)
}

/// An id from a path: what is no key names nothing.
fn id(text: &str, missing: Code) -> Result<Key, Problem> {
    Key::new(text).map_err(|_| Problem::new(missing, "this can't be an id"))
}

/// An id from a body or query.
fn id_in(field: &str, text: &str) -> Result<Key, Problem> {
    Key::new(text).map_err(|error| Problem::new(Code::InvalidValue, error.to_string()).field(field))
}

pub(crate) fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::new(Code::InvalidValue, format!("limit is 1 to {PAGE_MAX}"))
        .field("limit")
        .member("maximum", PAGE_MAX))
}

fn page_after(after: Option<&str>) -> Result<Option<Key>, Problem> {
    after.map(|text| id_in("after", text)).transpose()
}

/// The id at which the next page goes on, when this one is full.
pub(crate) fn next_page(returned: usize, limit: u32, last: Option<&Key>) -> Option<String> {
    (returned >= limit as usize).then(|| last.map(Key::to_string)).flatten()
}
