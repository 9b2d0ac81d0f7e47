//! `/orders`: the list, one order, and its cancellation. Checking out is beside it, in `checkout`.

#[path = "checkout.rs"]
pub mod checkout;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use nakku_actors::order::state::{CUSTOMER, Head};
use nakku_actors::order::{Command, Details, Line, Order, PaymentMethod, Reply, Status, Summary};
use nakku_actors::user::command::Role;
use nakku_cluster::{Answered, Ask, Key, Listed, Query as Rows, Ref};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Page, PageQuery, next_page};
use crate::auth::{Caller, CustomerOnly};
use crate::edge::Edge;
use crate::extract::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/", get(list).post(checkout::place))
        .route("/{id}", get(read))
        .route("/{id}/cancel", post(cancel))
}

/// The caller's orders.
#[utoipa::path(get, path = "/api/v1/orders", tag = "orders", security(("bearer" = [])), params(PageQuery),
    responses((status = 200, body = Page<OrderEntry>), (status = "default", body = ProblemBody)))]
pub async fn list(
    State(edge): State<Arc<Edge>>,
    caller: CustomerOnly,
    Query(query): Query<PageQuery>,
) -> Answer<Page<OrderEntry>> {
    let limit = query.limit()?;
    let user = caller.0.user();
    let rows = Rows::new().own(user).text(CUSTOMER, user.as_str()).after(query.after()?).limit(limit);
    let listed = edge.cluster.list::<Order>(&rows).await?;
    let next = next_page(listed.len(), limit, listed.last().map(|row| &row.key));
    let items = listed.into_iter().filter_map(OrderEntry::new).collect();
    Ok(JsonBody(Page { items, next }))
}

/// One order.
#[utoipa::path(get, path = "/api/v1/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = OrderBody), (status = "default", body = ProblemBody)))]
pub async fn read(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Path(order): Path<String>,
) -> Answer<OrderBody> {
    let order = own_order(&caller, &order)?;
    Ok(JsonBody(details(&edge, context.ask(), &order).await?))
}

/// Calls an order off, as long as it has not left the store. With a rider on it the answer may still say
/// `cancelling`: whether it could be called off shows when the order is read again.
#[utoipa::path(post, path = "/api/v1/orders/{id}/cancel", tag = "orders", security(("bearer" = [])),
    params(("id" = String, Path, description = "The order")), request_body = Cancellation,
    responses((status = 200, body = OrderBody), (status = "default", body = ProblemBody)))]
pub async fn cancel(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Path(order): Path<String>,
    Json(body): Json<Cancellation>,
) -> Answer<OrderBody> {
    let order = own_order(&caller, &order)?;
    let command = Command::Cancel { reason: body.reason };
    edge.cluster.ask(&Ref::<Order>::new(order.clone()), &command, context.ask()).await?;
    Ok(JsonBody(details(&edge, context.ask(), &order).await?))
}

/// An order in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderEntry {
    /// The order.
    #[schema(value_type = String)]
    pub id: Key,
    /// As in the order.
    #[schema(value_type = String)]
    pub status: Status,
    /// From which store.
    #[schema(value_type = String)]
    pub store: Key,
    /// What it costs, in minor units.
    pub total_minor: i64,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// Milliseconds since the Unix epoch.
    pub placed_at_ms: i64,
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderBody {
    /// The order.
    #[schema(value_type = String)]
    pub id: Key,
    /// `placing`, `confirmed`, `packed`, `out_for_delivery`, `delivered` or `cancelled`.
    #[schema(value_type = String)]
    pub status: Status,
    /// Whether its cancellation has been asked for and is not decided yet.
    pub cancelling: bool,
    /// Why it won't come, with the code that a check-out would have been refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<CancelledBody>,
    /// From which store.
    #[schema(value_type = String)]
    pub store: Key,
    /// What.
    pub lines: Vec<OrderLine>,
    /// Beside the lines, in minor units.
    pub delivery_fee_minor: i64,
    /// Lines and fee, in minor units.
    pub total_minor: i64,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// `cash` or `card`.
    #[schema(example = "card")]
    pub payment_method: &'static str,
    /// What the card was charged with.
    pub captured_minor: i64,
    /// What was given back.
    pub refunded_minor: i64,
    /// Where to.
    pub address: String,
    /// How long from its placing to the door, as was promised, if anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_minutes: Option<u32>,
    /// Milliseconds since the Unix epoch.
    pub placed_at_ms: i64,
    /// Milliseconds since the Unix epoch; absent while it is not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at_ms: Option<i64>,
    /// When it was delivered or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<i64>,
    /// The version of the order that this rests on.
    pub entity_version: u64,
}

/// Why an order won't come.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledBody {
    /// Such as `insufficient_stock`.
    pub code: Code,
    /// In words.
    pub detail: String,
}

/// One line of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderLine {
    /// The product.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Pieces.
    pub quantity: u32,
    /// The price of a piece, tax included, in minor units.
    pub price_minor: i64,
    /// The tax that the whole line contains.
    pub tax_minor: i64,
}

/// Why an order is called off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// Up to 200 bytes; may be empty.
    #[serde(default)]
    pub reason: String,
}

impl OrderEntry {
    /// Nothing for an order that was never placed.
    pub(crate) fn new(row: Listed<Head>) -> Option<Self> {
        let terms = row.head.terms?;
        Some(Self {
            id: row.key,
            status: row.head.status,
            store: terms.store,
            total_minor: terms.total_minor,
            currency: nakku_actors::money::CURRENCY,
            placed_at_ms: terms.placed_at.0,
        })
    }
}

impl OrderBody {
    fn new(details: Details, entity_version: u64) -> Self {
        let Summary { order, status, total_minor, cancelled, cancelling } = details.summary;
        let cancelled = cancelled.map(|reason| {
            let Problem { code, detail, .. } = reason.into();
            CancelledBody { code, detail }
        });
        Self {
            id: order,
            status,
            cancelling,
            cancelled,
            store: details.store,
            lines: details.lines.into_iter().map(OrderLine::from).collect(),
            delivery_fee_minor: details.delivery_fee_minor,
            total_minor,
            currency: nakku_actors::money::CURRENCY,
            payment_method: match details.payment {
                PaymentMethod::Cash => "cash",
                // The token stays inside.
                PaymentMethod::Card { .. } => "card",
            },
            captured_minor: details.captured_minor,
            refunded_minor: details.refunded_minor,
            address: details.address,
            promised_minutes: details.promised_minutes,
            placed_at_ms: details.placed_at.0,
            confirmed_at_ms: details.confirmed_at.map(|at| at.0),
            ended_at_ms: details.ended_at.map(|at| at.0),
            entity_version,
        }
    }
}

impl From<Line> for OrderLine {
    fn from(line: Line) -> Self {
        let Line { sku, name, quantity, price_minor, tax_minor } = line;
        Self { sku, name, quantity, price_minor, tax_minor }
    }
}

/// The key of an order that the caller may see: an order's key begins with its user's. Anybody else's looks
/// as if it were not there.
pub(crate) fn own_order(caller: &Caller, order: &str) -> Result<Key, Problem> {
    let missing = || Problem::new(Code::NotFound, "there is no such order");
    let order = Key::new(order).map_err(|_| missing())?;
    let owner = order.as_str().split_once(".o-").map(|(user, _)| user).ok_or_else(missing)?;
    if owner == caller.user().as_str() || caller.has(Role::Admin) { Ok(order) } else { Err(missing()) }
}

/// An order as it is now.
pub(crate) async fn details(edge: &Edge, ask_with: Ask, order: &Key) -> Result<OrderBody, Problem> {
    let (details, entity_version) = full(edge, ask_with, order).await?;
    Ok(OrderBody::new(*details, entity_version))
}

/// An order as its entity shows it, with the version that this rests on.
async fn full(edge: &Edge, ask_with: Ask, order: &Key) -> Result<(Box<Details>, u64), Problem> {
    let answered = edge.cluster.ask(&Ref::<Order>::new(order.clone()), &Command::Get, ask_with).await?;
    let Answered { reply, entity_version } = answered;
    match reply {
        Reply::Order(details) => Ok((details, entity_version)),
        other => Err(Problem::unexpected(&other)),
    }
}
