//! `/orders/{id}/delivery` for who waits, `/rider` for who brings.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use nakku_actors::delivery::command::{Stage, View};
use nakku_actors::delivery::rider::command::{Job, JobStage, Presence, View as RiderView};
use nakku_actors::delivery::rider::{self, Rider};
use nakku_actors::delivery::{Command, Delivery, Reply};
use nakku_cluster::{Answered, Ask, Key, Ref};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::orders::own_order;
use super::{Answer, id, id_in};
use crate::auth::{Caller, RiderOnly};
use crate::edge::Edge;
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes below `/orders`.
pub fn order_routes() -> Router<Arc<Edge>> {
    Router::new().route("/{id}/delivery", get(read))
}

/// Its routes below `/rider`.
pub fn rider_routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/online", post(go_online))
        .route("/offline", post(go_offline))
        .route("/deliveries", get(list))
        .route("/deliveries/{id}/accept", post(accept))
        .route("/deliveries/{id}/decline", post(decline))
        .route("/deliveries/{id}/pick-up", post(pick_up))
        .route("/deliveries/{id}/deliver", post(deliver))
        .route("/deliveries/{id}/fail", post(fail))
}

/// How the delivery of an order goes; there is one once the order is confirmed.
#[utoipa::path(get, path = "/api/v1/orders/{id}/delivery", tag = "deliveries", security(("bearer" = [])),
    params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = DeliveryBody), (status = "default", body = ProblemBody)))]
pub async fn read(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Path(order): Path<String>,
) -> Answer<DeliveryBody> {
    let order = own_order(&caller, &order)?;
    tell(&edge, &context, order, Command::Get).await
}

/// Comes to work at a store.
#[utoipa::path(post, path = "/api/v1/rider/online", tag = "rider", security(("bearer" = [])), request_body = Online,
    responses((status = 200, body = RiderBody), (status = "default", body = ProblemBody)))]
pub async fn go_online(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    rider: RiderOnly,
    Json(body): Json<Online>,
) -> Answer<RiderBody> {
    let store = id_in("store", &body.store)?;
    // Whose place of work is fixed works there only.
    if rider.0.claims.store.as_ref().is_some_and(|own| *own != store) {
        return Err(Problem::new(Code::Forbidden, "the rider works at another store").field("store"));
    }
    ask_rider(&edge, &context, &rider, rider::Command::GoOnline { store }).await
}

/// Stops work.
#[utoipa::path(post, path = "/api/v1/rider/offline", tag = "rider", security(("bearer" = [])),
    responses((status = 200, body = RiderBody), (status = "default", body = ProblemBody)))]
pub async fn go_offline(State(edge): State<Arc<Edge>>, context: RequestContext, rider: RiderOnly) -> Answer<RiderBody> {
    ask_rider(&edge, &context, &rider, rider::Command::GoOffline).await
}

/// What is offered or in hand.
#[utoipa::path(get, path = "/api/v1/rider/deliveries", tag = "rider", security(("bearer" = [])),
    responses((status = 200, body = RiderBody), (status = "default", body = ProblemBody)))]
pub async fn list(State(edge): State<Arc<Edge>>, context: RequestContext, rider: RiderOnly) -> Answer<RiderBody> {
    ask_rider(&edge, &context, &rider, rider::Command::Get).await
}

/// Takes an offer.
#[utoipa::path(post, path = "/api/v1/rider/deliveries/{id}/accept", tag = "rider", security(("bearer" = [])),
    params(DeliveryPath),
    responses((status = 200, body = DeliveryBody), (status = "default", body = ProblemBody)))]
pub async fn accept(errand: Errand) -> Answer<DeliveryBody> {
    errand.tell(|rider| Command::Accept { rider }).await
}

/// Leaves an offer to another.
#[utoipa::path(post, path = "/api/v1/rider/deliveries/{id}/decline", tag = "rider", security(("bearer" = [])),
    params(DeliveryPath),
    responses((status = 200, body = DeliveryBody), (status = "default", body = ProblemBody)))]
pub async fn decline(errand: Errand) -> Answer<DeliveryBody> {
    errand.tell(|rider| Command::Decline { rider }).await
}

/// Has it and is on the way.
#[utoipa::path(post, path = "/api/v1/rider/deliveries/{id}/pick-up", tag = "rider", security(("bearer" = [])),
    params(DeliveryPath),
    responses((status = 200, body = DeliveryBody), (status = "default", body = ProblemBody)))]
pub async fn pick_up(errand: Errand) -> Answer<DeliveryBody> {
    errand.tell(|rider| Command::PickUp { rider }).await
}

/// Handed it over.
#[utoipa::path(post, path = "/api/v1/rider/deliveries/{id}/deliver", tag = "rider", security(("bearer" = [])),
    params(DeliveryPath), request_body = HandOver,
    responses((status = 200, body = DeliveryBody), (status = "default", body = ProblemBody)))]
pub async fn deliver(errand: Errand, Json(body): Json<HandOver>) -> Answer<DeliveryBody> {
    errand.tell(|rider| Command::Deliver { rider, cash_collected_minor: body.cash_collected_minor }).await
}

/// It can't be brought.
#[utoipa::path(post, path = "/api/v1/rider/deliveries/{id}/fail", tag = "rider", security(("bearer" = [])),
    params(DeliveryPath), request_body = Failed,
    responses((status = 200, body = DeliveryBody), (status = "default", body = ProblemBody)))]
pub async fn fail(errand: Errand, Json(body): Json<Failed>) -> Answer<DeliveryBody> {
    errand.tell(|rider| Command::Fail { rider, reason: body.reason }).await
}

/// What every request of a rider about one delivery comes with.
pub struct Errand {
    edge: Arc<Edge>,
    context: RequestContext,
    rider: Key,
    delivery: Key,
}

/// Which delivery.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DeliveryPath {
    /// The delivery, which has its order's id.
    pub id: String,
}

/// Where a rider works.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Online {
    /// The store.
    pub store: String,
}

/// What was collected at the door.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// What was due, in minor units; 0 when the order was paid for.
    #[serde(default)]
    pub cash_collected_minor: i64,
}

/// Why it can't be brought.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// In a few words.
    pub reason: String,
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryBody {
    /// Its order.
    #[schema(value_type = String)]
    pub order: Key,
    /// `searching`, `offered`, `assigned`, `picked_up`, `delivered`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub stage: Stage,
    /// The store that hands it out.
    #[schema(value_type = String)]
    pub store: Key,
    /// Where to.
    pub address: String,
    /// What the order costs, in minor units.
    pub total_minor: i64,
    /// What the rider has to collect, in minor units.
    pub cash_due_minor: i64,
    /// Who has it.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rider: Option<Key>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub scheduled_at_ms: i64,
    /// When it reached the stage.
    pub stage_at_ms: i64,
    /// The version of the delivery that this rests on.
    pub entity_version: u64,
}

/// A rider.
#[derive(Debug, Serialize, ToSchema)]
pub struct RiderBody {
    /// `offline`, `coming`, `online` or `leaving`.
    #[schema(value_type = String)]
    pub presence: Presence,
    /// Where.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Key>,
    /// What is offered or in hand: one at most.
    pub deliveries: Vec<JobBody>,
    /// How many have ended.
    pub jobs_ended: u64,
    /// The version of the rider that this rests on.
    pub entity_version: u64,
}

/// A delivery on a rider's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobBody {
    /// The delivery, which has its order's id.
    #[schema(value_type = String)]
    pub id: Key,
    /// `offered`, `assigned` or `picked_up`.
    #[schema(value_type = String)]
    pub stage: JobStage,
    /// The store that hands it out.
    #[schema(value_type = String)]
    pub store: Key,
    /// Where to.
    pub address: String,
    /// What the order costs, in minor units.
    pub total_minor: i64,
    /// What is to be collected, in minor units.
    pub cash_due_minor: i64,
    /// When an offer runs out, in milliseconds since the Unix epoch.
    pub offer_until_ms: i64,
}

impl DeliveryBody {
    fn new(order: Key, view: View, entity_version: u64) -> Self {
        let View { store, address, total_minor, cash_due_minor, stage, rider, reason, scheduled_at, stage_at } = view;
        Self {
            order,
            stage,
            store,
            address,
            total_minor,
            cash_due_minor,
            rider,
            reason,
            scheduled_at_ms: scheduled_at.0,
            stage_at_ms: stage_at.0,
            entity_version,
        }
    }
}

impl RiderBody {
    pub(crate) fn new(view: RiderView, entity_version: u64) -> Self {
        let RiderView { presence, store, job, jobs_ended } = view;
        Self { presence, store, deliveries: job.into_iter().map(JobBody::from).collect(), jobs_ended, entity_version }
    }
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        let Job { delivery, store, address, total_minor, cash_due_minor, stage, offer_until, .. } = job;
        Self { id: delivery, stage, store, address, total_minor, cash_due_minor, offer_until_ms: offer_until.0 }
    }
}

impl FromRequestParts<Arc<Edge>> for Errand {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        let context = RequestContext::from_request_parts(parts, edge).await?;
        let RiderOnly(rider) = RiderOnly::from_request_parts(parts, edge).await?;
        let Path(DeliveryPath { id: delivery }) = Path::from_request_parts(parts, edge).await?;
        let delivery = id(&delivery, Code::NotFound)?;
        Ok(Self { edge: edge.clone(), context, rider: rider.user().clone(), delivery })
    }
}

impl Errand {
    /// Gives the delivery a command in the rider's name.
    async fn tell(self, command: impl FnOnce(Key) -> Command) -> Answer<DeliveryBody> {
        tell(&self.edge, &self.context, self.delivery, command(self.rider)).await
    }
}

/// Every command of a delivery is idempotent: repeated, it is answered with how the delivery stands.
async fn tell(edge: &Edge, context: &RequestContext, delivery: Key, command: Command) -> Answer<DeliveryBody> {
    Ok(JsonBody(ask_delivery(edge, context.ask(), delivery, command).await?))
}

/// The delivery of an order as it is now.
pub(crate) async fn of_order(edge: &Edge, ask_with: Ask, order: &Key) -> Result<DeliveryBody, Problem> {
    ask_delivery(edge, ask_with, order.clone(), Command::Get).await
}

async fn ask_delivery(edge: &Edge, ask_with: Ask, delivery: Key, command: Command) -> Result<DeliveryBody, Problem> {
    let target = Ref::<Delivery>::new(delivery.clone());
    let Answered { reply, entity_version } = edge.cluster.ask(&target, &command, ask_with).await?;
    match reply {
        Reply::Delivery(view) => Ok(DeliveryBody::new(delivery, view, entity_version)),
        other => Err(Problem::unexpected(&other)),
    }
}

async fn ask_rider(
    edge: &Edge,
    context: &RequestContext,
    rider: &RiderOnly,
    command: rider::Command,
) -> Answer<RiderBody> {
    let target = Ref::<Rider>::new(rider.0.user().clone());
    let Answered { reply, entity_version } = edge.cluster.ask(&target, &command, context.ask()).await?;
    match reply {
        rider::Reply::Rider(view) => Ok(JsonBody(RiderBody::new(view, entity_version))),
        other => Err(Problem::unexpected(&other)),
    }
}
