//! `/orders/{id}/payment`: an order's money.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use nakku_actors::payment::{Command, Details, Payment, Reply, Status};
use nakku_cluster::{Answered, Key, Ref};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::orders::own_order;
use crate::auth::Caller;
use crate::edge::Edge;
use crate::extract::Path;
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes, below `/orders`.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new().route("/{id}/payment", get(read))
}

/// How the payment of an order stands; an order paid at the door has one once the cash is taken.
#[utoipa::path(get, path = "/api/v1/orders/{id}/payment", tag = "payments", security(("bearer" = [])),
    params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = PaymentBody), (status = "default", body = ProblemBody)))]
pub async fn read(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Path(order): Path<String>,
) -> Answer<PaymentBody> {
    let order = own_order(&caller, &order)?;
    let target = Ref::<Payment>::new(order.clone());
    let Answered { reply, entity_version } = edge.cluster.ask(&target, &Command::Get, context.ask()).await?;
    let details = match reply {
        Reply::Payment(details) if details.status == Status::None => {
            return Err(Problem::new(Code::NotFound, "there is no payment for this order yet").order(&order));
        }
        Reply::Payment(details) => details,
        other => return Err(Problem::unexpected(&other)),
    };
    let Details { status, amount_minor, captured_minor, refunded_minor, reference, reason, .. } = details;
    let currency = nakku_actors::money::CURRENCY;
    let body = PaymentBody {
        order,
        status,
        amount_minor,
        captured_minor,
        refunded_minor,
        currency,
        reference,
        reason,
        entity_version,
    };
    Ok(JsonBody(body))
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentBody {
    /// Of which order.
    #[schema(value_type = String)]
    pub order: Key,
    /// `opened`, `authorising`, `authorised`, `capturing`, `captured`, `declined`, `voiding` or `voided`.
    #[schema(value_type = String)]
    pub status: Status,
    /// How much it is about, in minor units.
    pub amount_minor: i64,
    /// Taken so far.
    pub captured_minor: i64,
    /// Given back so far.
    pub refunded_minor: i64,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The card network's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version of the payment that this rests on.
    pub entity_version: u64,
}
