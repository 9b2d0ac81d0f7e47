//! `/serviceability` for who wants to know before filling a cart, and where riders are. The stores' places are
//! beside it, in `places`.

#[path = "places.rs"]
pub mod places;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use nakku_actors::delivery::roster::{self, Roster};
use nakku_actors::location::directory::command::{Listed, NEAREST_MAX, Near, WITHIN_M_MAX};
use nakku_actors::location::directory::{self, Command, Directory, Reply, Serviceability};
use nakku_actors::location::rider::command::PingOutcome;
use nakku_actors::location::rider::{self, Rider};
use nakku_actors::position::Position;
use nakku_cluster::{Key, Ref, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Page, id, id_in};
use crate::auth::{Caller, RiderOnly, StaffOnly};
use crate::edge::Edge;
use crate::extract::{Json, Path, Query};
use crate::live::protocol;
use crate::problem::{Code, Problem, ProblemBody};
use crate::shared;
use crate::trace::RequestContext;

/// How many riders are found unless asked otherwise.
const NEAREST_DEFAULT: u32 = 10;
/// How far riders are looked for unless asked otherwise, in metres.
const WITHIN_M_DEFAULT: u32 = 5_000;

/// Its route below `/serviceability`.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new().route("/", get(serviceability))
}

/// Its routes below `/stores`.
pub fn store_routes() -> Router<Arc<Edge>> {
    places::routes().route("/{store}/riders", get(nearest))
}

/// Its route below `/rider`.
pub fn rider_routes() -> Router<Arc<Edge>> {
    Router::new().route("/position", post(ping))
}

/// Who brings goods to a place, for what fee and how soon; or why nobody does.
#[utoipa::path(get, path = "/api/v1/serviceability", tag = "locations", params(ServiceabilityQuery),
    responses((status = 200, body = ServiceabilityBody), (status = "default", body = ProblemBody)))]
pub async fn serviceability(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Query(query): Query<ServiceabilityQuery>,
) -> Answer<ServiceabilityBody> {
    let position = position_of(query.lat, query.lng)?;
    let store = query.store.as_deref().map(|store| id_in("store", store)).transpose()?;
    let outcome = served(&edge, &context, position, store).await?;
    Ok(JsonBody(outcome.into()))
}

/// The free riders of a store who are nearest to it, or to another place. For staff of the store.
#[utoipa::path(get, path = "/api/v1/stores/{store}/riders", tag = "locations", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store"), NearestQuery),
    responses((status = 200, body = Page<NearBody>), (status = "default", body = ProblemBody)))]
pub async fn nearest(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path(store): Path<String>,
    Query(query): Query<NearestQuery>,
) -> Answer<Page<NearBody>> {
    let store = id(&store, Code::StoreUnknown)?;
    staff.of_store(&store)?;
    let within_m = bounded("within_m", query.within_m.unwrap_or(WITHIN_M_DEFAULT), 0, WITHIN_M_MAX)?;
    let limit = bounded("limit", query.limit.unwrap_or(NEAREST_DEFAULT), 1, NEAREST_MAX)?;
    let given = optional_position(query.lat, query.lng)?;
    let roster = Ref::<Roster>::new(store.clone());
    let roster = edge.cluster.ask(&roster, &roster::Command::Get, context.ask());
    let (known, roster) = futures::join!(listed(&edge, &context, vec![store.clone()]), roster);
    let position = match (given, known?.pop()) {
        (Some(position), _) => position,
        (None, Some(store)) => store.position,
        (None, None) => return Err(Problem::new(Code::StoreUnknown, "nobody has said where the store is")),
    };
    let riders = match roster?.reply {
        roster::Reply::Roster { riders, .. } => riders,
        other => return Err(Problem::unexpected(&other)),
    };
    let busy_too = query.busy.unwrap_or(false);
    let among: Vec<Key> =
        riders.into_iter().filter(|(_, kept)| busy_too || kept.is_none()).map(|(rider, _)| rider).collect();
    let command = Command::Nearest { position, within_m, limit, among: Some(among.clone()) };
    match edge.cluster.ask(&directory::reference(), &command, context.ask()).await?.reply {
        Reply::Riders { mut riders } => {
            overlay(&edge, &store, &Wanted { position, within_m, limit, among }, &mut riders).await;
            Ok(JsonBody(Page { items: riders.into_iter().map(NearBody::from).collect(), next: None }))
        }
        other => Err(Problem::unexpected(&other)),
    }
}

/// Where the rider is. What says hardly anything new is answered and dropped, and so is what comes late.
#[utoipa::path(post, path = "/api/v1/rider/position", tag = "rider", security(("bearer" = [])), request_body = Ping,
    responses((status = 200, body = PingBody), (status = "default", body = ProblemBody)))]
pub async fn ping(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    rider: RiderOnly,
    Json(body): Json<Ping>,
) -> Answer<PingBody> {
    let position = position_of(body.lat, body.lng)?;
    let at = body.at_ms.map_or_else(Timestamp::now, Timestamp);
    let command = rider::Command::Ping { position, accuracy_m: body.accuracy_m, at };
    let target = Ref::<Rider>::new(rider.0.user().clone());
    match edge.cluster.ask(&target, &command, context.ask()).await?.reply {
        rider::Reply::Ping { outcome, .. } => {
            // Who waits for the rider is also shown what is not worth keeping.
            if matches!(outcome, PingOutcome::Kept | PingOutcome::Thinned) {
                spread(&edge, &rider.0, position, at.min(Timestamp::now())).await;
            }
            Ok(JsonBody(PingBody { outcome }))
        }
        other => Err(Problem::unexpected(&other)),
    }
}

/// Tells whoever watches the rider, and the other gateways. What is missed is missed: the next one comes soon, and
/// the directory has what is kept.
async fn spread(edge: &Edge, rider: &Caller, position: Position, at: Timestamp) {
    let (lat, lng) = position.degrees();
    edge.cluster.signal(protocol::Position { lat, lng, at_ms: at.0 }.signal(rider.user()));
    if let (Some(store), Some(fresh)) = (&rider.claims.store, shared::Position::new(lat, lng, at))
        && let Err(away) = edge.shared.positions.put(store, rider.user(), fresh).await
    {
        tracing::debug!(%away, "a rider's position is not shared");
    }
}

/// Where gateways know riders to be later than the directory does, which hears of the worthwhile only.
async fn overlay(edge: &Edge, store: &Key, wanted: &Wanted, riders: &mut Vec<Near>) {
    let (lat, lng) = wanted.position.degrees();
    // Nobody knows how many of them are busy, so as many are asked for as there may be.
    let within_m = f64::from(wanted.within_m);
    let found = edge.shared.positions.near(store, lat, lng, within_m, NEAREST_MAX as usize).await;
    for nearby in found.unwrap_or_default() {
        let shared::Position { latitude, longitude, at } = nearby.position;
        let Some(position) = Position::from_degrees(latitude, longitude) else { continue };
        let known = riders.iter().position(|near| near.rider == nearby.rider);
        let later = known.is_none_or(|index| riders[index].at < at);
        if !later || !wanted.among.contains(&nearby.rider) {
            continue;
        }
        let near = Near { rider: nearby.rider, position, at, distance_m: position.distance_m(wanted.position) };
        match known {
            Some(index) => riders[index] = near,
            None => riders.push(near),
        }
    }
    riders.sort_unstable_by_key(|near| near.distance_m);
    riders.truncate(wanted.limit as usize);
}

/// What is looked for.
struct Wanted {
    position: Position,
    within_m: u32,
    limit: u32,
    among: Vec<Key>,
}

/// Which place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ServiceabilityQuery {
    /// Latitude in degrees.
    #[param(example = 12.9719)]
    pub lat: f64,
    /// Longitude in degrees.
    #[param(example = 77.6412)]
    pub lng: f64,
    /// Only this store.
    pub store: Option<String>,
}

/// Which riders.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NearestQuery {
    /// Latitude in degrees; the store's when there is neither.
    pub lat: Option<f64>,
    /// Longitude in degrees.
    pub lng: Option<f64>,
    /// No farther than this, in metres, up to 50,000. Default 5,000.
    pub within_m: Option<u32>,
    /// At most so many, 1 to 100. Default 10.
    pub limit: Option<u32>,
    /// Whether riders count who have a delivery. Default false.
    pub busy: Option<bool>,
}

/// Where a rider is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// How far off that may be, in metres.
    #[serde(default)]
    pub accuracy_m: u32,
    /// When, in milliseconds since the Unix epoch; now when absent.
    #[serde(default)]
    pub at_ms: Option<i64>,
}

/// What became of a position.
#[derive(Debug, Serialize, ToSchema)]
pub struct PingBody {
    /// `kept`; or dropped, being `thinned` (hardly anything new), `stale` (late) or `inaccurate`.
    #[schema(value_type = String)]
    pub outcome: PingOutcome,
}

/// Who brings goods to a place, or why nobody does.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ServiceabilityBody {
    /// Whether somebody does, now.
    pub served: bool,
    /// `served`, `closed`, `paused`, `outside` (every zone, or those of the store that was asked for) or
    /// `undescribed` (nobody has said where that store is).
    #[schema(example = "served")]
    pub outcome: &'static str,
    /// The store that does, or would.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Key>,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By which of its zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What the delivery costs, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_minor: Option<i64>,
    /// The least that the goods have to cost, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_minor: Option<i64>,
    /// How long it takes from the order to the door; 0 promises nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_minutes: Option<u32>,
    /// When the store closes; absent when it does not within a week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at_ms: Option<i64>,
    /// When the store takes orders again; absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at_ms: Option<i64>,
    /// Why it takes no orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Another store that brings goods there, now.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_store: Option<Key>,
}

/// A rider who is near.
#[derive(Debug, Serialize, ToSchema)]
pub struct NearBody {
    /// Who.
    #[schema(value_type = String)]
    pub rider: Key,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// When they were there, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How far it is in a straight line.
    pub distance_m: u32,
}

impl From<Serviceability> for ServiceabilityBody {
    fn from(outcome: Serviceability) -> Self {
        let none = Self::default;
        match outcome {
            Serviceability::Served { store, name, zone, terms, closes_at } => Self {
                served: true,
                outcome: "served",
                store: Some(store),
                name: Some(name),
                zone,
                fee_minor: Some(terms.fee_minor),
                minimum_minor: Some(terms.minimum_minor),
                promised_minutes: Some(terms.promised_minutes),
                closes_at_ms: closes_at.map(|at| at.0),
                ..none()
            },
            Serviceability::Closed { store, name, opens_at } => Self {
                outcome: "closed",
                store: Some(store),
                name: Some(name),
                opens_at_ms: opens_at.map(|at| at.0),
                ..none()
            },
            Serviceability::Paused { store, name, reason, until } => Self {
                outcome: "paused",
                store: Some(store),
                name: Some(name),
                opens_at_ms: until.map(|at| at.0),
                reason: Some(reason),
                ..none()
            },
            Serviceability::Outside { other } => Self { outcome: "outside", other_store: other, ..none() },
            Serviceability::Undescribed => Self { outcome: "undescribed", ..none() },
        }
    }
}

impl From<Near> for NearBody {
    fn from(near: Near) -> Self {
        let (lat, lng) = near.position.degrees();
        Self { rider: near.rider, lat, lng, at_ms: near.at.0, distance_m: near.distance_m }
    }
}

/// Who serves a place.
pub(super) async fn served(
    edge: &Edge,
    context: &RequestContext,
    position: Position,
    store: Option<Key>,
) -> Result<Serviceability, Problem> {
    ask(edge, context, &Command::Serviceability { position, store }).await
}

/// Whether a store takes orders for an address of which no position is known.
pub(super) async fn standing(edge: &Edge, context: &RequestContext, store: Key) -> Result<Serviceability, Problem> {
    ask(edge, context, &Command::Standing { store }).await
}

async fn ask(edge: &Edge, context: &RequestContext, command: &Command) -> Result<Serviceability, Problem> {
    match edge.cluster.ask::<Directory>(&directory::reference(), command, context.ask()).await?.reply {
        Reply::Serviceability(outcome) => Ok(outcome),
        other => Err(Problem::unexpected(&other)),
    }
}

/// What is known of some stores, in their order; those of which nothing is known are left out.
pub(super) async fn listed(edge: &Edge, context: &RequestContext, stores: Vec<Key>) -> Result<Vec<Listed>, Problem> {
    match edge.cluster.ask(&directory::reference(), &Command::Stores { stores }, context.ask()).await?.reply {
        Reply::Stores { stores } => Ok(stores),
        other => Err(Problem::unexpected(&other)),
    }
}

/// A position from degrees.
pub(super) fn position_of(lat: f64, lng: f64) -> Result<Position, Problem> {
    Position::from_degrees(lat, lng).ok_or_else(|| {
        let (field, detail) = match (-90.0..=90.0).contains(&lat) {
            true => ("lng", "a longitude is -180 to 180 degrees"),
            false => ("lat", "a latitude is -90 to 90 degrees"),
        };
        Problem::new(Code::InvalidValue, detail).field(field)
    })
}

/// A position from degrees, or none: both are given, or neither.
pub(super) fn optional_position(lat: Option<f64>, lng: Option<f64>) -> Result<Option<Position>, Problem> {
    match (lat, lng) {
        (None, None) => Ok(None),
        (Some(lat), Some(lng)) => position_of(lat, lng).map(Some),
        (Some(_), None) => Err(Problem::new(Code::MissingField, "a latitude needs a longitude").field("lng")),
        (None, Some(_)) => Err(Problem::new(Code::MissingField, "a longitude needs a latitude").field("lat")),
    }
}

fn bounded(field: &str, value: u32, least: u32, most: u32) -> Result<u32, Problem> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Problem::new(Code::InvalidValue, format!("{field} is {least} to {most}")).field(field).member("maximum", most))
}
