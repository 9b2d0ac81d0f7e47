//! `/stores/{store}` and what belongs to its place: hours, pauses and the zones in which it brings goods.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json as JsonBody, Router};
use nakku_actors::location::area::Area;
use nakku_actors::location::command::{Description, Pause, Terms, View, Zone};
use nakku_actors::location::hours::{DAY_MINUTES, Opening, Week};
use nakku_actors::location::{Command, Reply, Store};
use nakku_actors::position::Position;
use nakku_cluster::{Answered, Key, Ref, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{Answer, id};
use super::position_of;
use crate::auth::StaffOnly;
use crate::edge::Edge;
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/{store}", get(read).put(describe))
        .route("/{store}/zones/{zone}", put(set_zone).delete(remove_zone))
        .route("/{store}/pause", post(pause))
        .route("/{store}/resume", post(resume))
}

/// Where a store is, when it is open, and where it brings goods on what terms.
#[utoipa::path(get, path = "/api/v1/stores/{store}", tag = "stores",
    params(("store" = String, Path, description = "The store")),
    responses((status = 200, body = PlaceBody), (status = "default", body = ProblemBody)))]
pub async fn read(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Path(store): Path<String>,
) -> Answer<PlaceBody> {
    ask(&edge, &context, id(&store, Code::StoreUnknown)?, Command::Get).await
}

/// Says what a store is called, where it is and when it is open. For staff of the store.
#[utoipa::path(put, path = "/api/v1/stores/{store}", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store")), request_body = NewPlace,
    responses((status = 200, body = PlaceBody), (status = "default", body = ProblemBody)))]
pub async fn describe(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path(store): Path<String>,
    Json(body): Json<NewPlace>,
) -> Answer<PlaceBody> {
    let store = own_store(&staff, &store)?;
    let NewPlace { name, lat, lng, hours, base } = body;
    let description = Description { name, position: position_of(lat, lng)?, hours: hours.week()?, base: base.into() };
    ask(&edge, &context, store, Command::Describe { description }).await
}

/// Adds a zone in which the store brings goods, or replaces the one with this id. For staff of the store.
#[utoipa::path(put, path = "/api/v1/stores/{store}/zones/{zone}", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store"),
        ("zone" = String, Path, description = "1 to 40 letters, digits, `-` or `_`")),
    request_body = ZoneBody,
    responses((status = 200, body = PlaceBody), (status = "default", body = ProblemBody)))]
pub async fn set_zone(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path((store, zone)): Path<(String, String)>,
    Json(body): Json<ZoneBody>,
) -> Answer<PlaceBody> {
    let store = own_store(&staff, &store)?;
    let ZoneBody { priority, fee_minor, minimum_minor, promised_minutes, area } = body;
    let terms = Terms { fee_minor, minimum_minor, promised_minutes };
    let command = Command::SetZone { id: zone, zone: Zone { priority, terms, area: area.area()? } };
    ask(&edge, &context, store, command).await
}

/// Removes a zone, if it is there. For staff of the store.
#[utoipa::path(delete, path = "/api/v1/stores/{store}/zones/{zone}", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store"), ("zone" = String, Path, description = "The zone")),
    responses((status = 200, body = PlaceBody), (status = "default", body = ProblemBody)))]
pub async fn remove_zone(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path((store, zone)): Path<(String, String)>,
) -> Answer<PlaceBody> {
    let store = own_store(&staff, &store)?;
    ask(&edge, &context, store, Command::RemoveZone { id: zone }).await
}

/// Takes no orders for a while, whatever the hours say. For staff of the store.
#[utoipa::path(post, path = "/api/v1/stores/{store}/pause", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store")), request_body = PauseBody,
    responses((status = 200, body = PlaceBody), (status = "default", body = ProblemBody)))]
pub async fn pause(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path(store): Path<String>,
    Json(body): Json<PauseBody>,
) -> Answer<PlaceBody> {
    let store = own_store(&staff, &store)?;
    let pause = Pause { reason: body.reason, until: body.until_ms.map(Timestamp) };
    ask(&edge, &context, store, Command::Pause { pause }).await
}

/// Takes orders again. For staff of the store.
#[utoipa::path(post, path = "/api/v1/stores/{store}/resume", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store")),
    responses((status = 200, body = PlaceBody), (status = "default", body = ProblemBody)))]
pub async fn resume(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path(store): Path<String>,
) -> Answer<PlaceBody> {
    ask(&edge, &context, own_store(&staff, &store)?, Command::Resume).await
}

/// A store's place.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaceBody {
    /// Such as `s-bandra`.
    #[schema(value_type = String)]
    pub id: Key,
    /// What it is called.
    pub name: String,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// Whether it takes orders now.
    pub open: bool,
    /// Until when that stays so, in milliseconds since the Unix epoch, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Why it takes no orders, whatever the hours say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseBody>,
    /// When it is open.
    pub hours: HoursBody,
    /// For an address of which no position is known.
    pub base: TermsBody,
    /// Where it brings goods, in the order of the ids.
    pub zones: Vec<ZoneEntry>,
    /// The version of the place that this rests on.
    pub entity_version: u64,
}

/// What a store is called, where it is and when it is open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlace {
    /// 1 to 100 characters.
    #[schema(example = "Bandra West")]
    pub name: String,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// When it is open.
    pub hours: HoursBody,
    /// For an address of which no position is known; nothing is charged, asked or promised when it is absent.
    #[serde(default)]
    pub base: TermsBody,
}

/// On what terms goods are brought.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TermsBody {
    /// What the delivery costs, in minor units.
    #[serde(default)]
    pub fee_minor: i64,
    /// The least that the goods have to cost, in minor units.
    #[serde(default)]
    pub minimum_minor: i64,
    /// How long it takes from the order to the door; 0 promises nothing.
    #[serde(default)]
    pub promised_minutes: u32,
}

/// When a store is open, by the clock on its wall. A day without openings is closed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoursBody {
    /// Its name in the IANA database.
    #[schema(example = "Asia/Kolkata")]
    pub time_zone: String,
    /// Up to six openings, as on the other days.
    #[serde(default)]
    pub monday: Vec<OpeningBody>,
    /// As on Monday.
    #[serde(default)]
    pub tuesday: Vec<OpeningBody>,
    /// As on Monday.
    #[serde(default)]
    pub wednesday: Vec<OpeningBody>,
    /// As on Monday.
    #[serde(default)]
    pub thursday: Vec<OpeningBody>,
    /// As on Monday.
    #[serde(default)]
    pub friday: Vec<OpeningBody>,
    /// As on Monday.
    #[serde(default)]
    pub saturday: Vec<OpeningBody>,
    /// As on Monday.
    #[serde(default)]
    pub sunday: Vec<OpeningBody>,
}

/// From when to when a store is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpeningBody {
    /// `00:00` to `23:59`.
    #[schema(example = "07:00")]
    pub opens: String,
    /// `00:00` to `24:00`; on the next day unless it is later than `opens`.
    #[schema(example = "23:30")]
    pub closes: String,
}

/// Why and how long a store takes no orders.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// Up to 200 characters; may be empty.
    #[serde(default)]
    pub reason: String,
    /// In milliseconds since the Unix epoch; until it is resumed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

/// A zone with its id.
#[derive(Debug, Serialize, ToSchema)]
pub struct ZoneEntry {
    /// Its id.
    pub id: String,
    /// The zone.
    #[serde(flatten)]
    pub zone: ZoneBody,
}

/// Where a store brings goods, and on what terms.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneBody {
    /// Of zones that overlap, of one store or several, the highest counts; -1,000 to 1,000, 0 when absent.
    #[serde(default)]
    pub priority: i32,
    /// What the delivery costs, in minor units.
    pub fee_minor: i64,
    /// The least that the goods have to cost, in minor units.
    #[serde(default)]
    pub minimum_minor: i64,
    /// How long it takes from the order to the door; 0 promises nothing.
    #[serde(default)]
    pub promised_minutes: u32,
    /// Where.
    pub area: PolygonBody,
}

/// A GeoJSON polygon (RFC 7946): an outline and up to eight holes, 500 vertices in all, a degree wide and high at
/// most. Its edges belong to it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolygonBody {
    /// Always `Polygon`.
    #[serde(rename = "type")]
    pub kind: PolygonType,
    /// The outline, then the holes; each ends with the point with which it begins. A point is longitude and
    /// latitude in degrees; a height behind them is ignored.
    #[schema(example = json!([[[77.63, 12.97], [77.65, 12.97], [77.65, 12.99], [77.63, 12.99], [77.63, 12.97]]]))]
    pub coordinates: Vec<Vec<Vec<f64>>>,
}

/// The type of a polygon.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub enum PolygonType {
    /// The only one.
    Polygon,
}

impl HoursBody {
    fn week(self) -> Result<Week, Problem> {
        let Self { time_zone, monday, tuesday, wednesday, thursday, friday, saturday, sunday } = self;
        let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let mut week = Week { time_zone, ..Week::default() };
        let days = [monday, tuesday, wednesday, thursday, friday, saturday, sunday];
        for (place, (name, openings)) in week.days.iter_mut().zip(names.into_iter().zip(days)) {
            let wrong = || {
                let detail = "an opening is from 00:00 at the earliest to 24:00 at the latest, such as 07:00 to 23:30";
                Problem::new(Code::InvalidValue, detail).field(format!("hours.{name}"))
            };
            *place = openings.iter().map(|opening| opening.read().ok_or_else(wrong)).collect::<Result<_, _>>()?;
        }
        Ok(week)
    }
}

impl OpeningBody {
    fn read(&self) -> Option<Opening> {
        let (opens_minute, mut closes_minute) = (minute(&self.opens)?, minute(&self.closes)?);
        if closes_minute <= opens_minute {
            closes_minute += DAY_MINUTES;
        }
        (opens_minute < DAY_MINUTES).then_some(Opening { opens_minute, closes_minute })
    }
}

impl From<&Opening> for OpeningBody {
    fn from(opening: &Opening) -> Self {
        let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let closes = opening.closes_minute;
        let closes = if closes > DAY_MINUTES { closes - DAY_MINUTES } else { closes };
        Self { opens: text(opening.opens_minute), closes: text(closes) }
    }
}

impl From<Week> for HoursBody {
    fn from(week: Week) -> Self {
        let [monday, tuesday, wednesday, thursday, friday, saturday, sunday] =
            week.days.map(|openings| openings.iter().map(OpeningBody::from).collect());
        Self { time_zone: week.time_zone, monday, tuesday, wednesday, thursday, friday, saturday, sunday }
    }
}

impl PolygonBody {
    fn area(self) -> Result<Area, Problem> {
        let point = |numbers: Vec<f64>| {
            let position = match numbers[..] {
                [lng, lat] | [lng, lat, _] => position_of(lat, lng),
                _ => Err(Problem::new(Code::InvalidValue, "a point is longitude and latitude")),
            };
            let position = position.map_err(|problem| problem.field("area.coordinates"))?;
            Ok([position.lng_e6, position.lat_e6])
        };
        let ring = |points: Vec<Vec<f64>>| points.into_iter().map(point).collect::<Result<_, Problem>>();
        Ok(Area { rings: self.coordinates.into_iter().map(ring).collect::<Result<_, _>>()? })
    }
}

impl From<Area> for PolygonBody {
    fn from(area: Area) -> Self {
        let point = |[lng_e6, lat_e6]: [i32; 2]| {
            let (lat, lng) = Position { lat_e6, lng_e6 }.degrees();
            vec![lng, lat]
        };
        let ring = |points: Vec<[i32; 2]>| points.into_iter().map(point).collect();
        Self { kind: PolygonType::Polygon, coordinates: area.rings.into_iter().map(ring).collect() }
    }
}

impl From<TermsBody> for Terms {
    fn from(body: TermsBody) -> Self {
        let TermsBody { fee_minor, minimum_minor, promised_minutes } = body;
        Self { fee_minor, minimum_minor, promised_minutes }
    }
}

impl From<Terms> for TermsBody {
    fn from(terms: Terms) -> Self {
        let Terms { fee_minor, minimum_minor, promised_minutes } = terms;
        Self { fee_minor, minimum_minor, promised_minutes }
    }
}

impl From<(String, Zone)> for ZoneEntry {
    fn from((id, zone): (String, Zone)) -> Self {
        let Terms { fee_minor, minimum_minor, promised_minutes } = zone.terms;
        let area = zone.area.into();
        Self { id, zone: ZoneBody { priority: zone.priority, fee_minor, minimum_minor, promised_minutes, area } }
    }
}

impl PlaceBody {
    fn new(id: Key, view: View, entity_version: u64) -> Self {
        let now = Timestamp::now();
        let (open, until) = view.takes_orders(now);
        let Description { name, position, hours, base } = view.description;
        let (lat, lng) = position.degrees();
        let pause = view.pause.filter(|pause| pause.lasts(now));
        Self {
            id,
            name,
            lat,
            lng,
            open,
            until_ms: until.map(|at| at.0),
            pause: pause.map(|pause| PauseBody { reason: pause.reason, until_ms: pause.until.map(|at| at.0) }),
            hours: hours.into(),
            base: base.into(),
            zones: view.zones.into_iter().map(ZoneEntry::from).collect(),
            entity_version,
        }
    }
}

/// Minutes from midnight, of `07:30` and the like up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes): (u16, u16) =
        (digits(hours).then(|| hours.parse().ok())??, digits(minutes).then(|| minutes.parse().ok())??);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

fn own_store(staff: &StaffOnly, store: &str) -> Result<Key, Problem> {
    let store = id(store, Code::StoreUnknown)?;
    staff.of_store(&store)?;
    Ok(store)
}

/// Every command here may be repeated and is answered with the place.
async fn ask(edge: &Edge, context: &RequestContext, store: Key, command: Command) -> Answer<PlaceBody> {
    let target = Ref::<Store>::new(store.clone());
    let Answered { reply, entity_version } = edge.cluster.ask(&target, &command, context.ask()).await?;
    match reply {
        Reply::Store(view) => Ok(JsonBody(PlaceBody::new(store, *view, entity_version))),
        other @ Reply::Noted => Err(Problem::unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_read_and_written_alike() {
        for (opens, closes, expected) in [
            ("07:00", "23:30", Some((420, 1410))),
            ("20:00", "02:00", Some((1200, 1560))),
            ("00:00", "24:00", Some((0, 1440))),
            ("09:00", "09:00", Some((540, 1980))),
            ("24:00", "24:00", None),
            ("7:00", "23:00", None),
            ("07:60", "23:00", None),
            ("07:00", "24:01", None),
            ("+7:00", "23:00", None),
            ("0700", "2300", None),
        ] {
            let body = OpeningBody { opens: opens.into(), closes: closes.into() };
            let read = body.read();
            assert_eq!(read.map(|it| (it.opens_minute, it.closes_minute)), expected, "{opens} to {closes}");
            if let Some(opening) = read {
                assert_eq!(OpeningBody::from(&opening), body);
            }
        }
    }

    #[test]
    fn a_polygon_comes_back_as_it_was_given() {
        let text = r#"{"type":"Polygon","coordinates":[[[77.63,12.97],[77.65,12.97],[77.65,12.99],[77.63,12.97]]]}"#;
        let read = |text: &str| crate::extract::parse::<PolygonBody>(text.as_bytes());
        let area = read(text).unwrap().area().unwrap();
        assert_eq!(area.rings[0][1], [77_650_000, 12_970_000]);
        assert_eq!(serde_json::to_string(&PolygonBody::from(area)).unwrap(), text);
        let high = read(&text.replace("77.65,12.99", "77.65,12.99,920")).unwrap().area().unwrap();
        assert_eq!(high.rings[0][2], [77_650_000, 12_990_000]);
        for wrong in ["77.65", "77.65,92.99", "77.65,12.99,1,2"] {
            let refused = read(&text.replace("77.65,12.99", wrong)).unwrap().area().unwrap_err();
            assert_eq!(refused.code, Code::InvalidValue, "{wrong}");
        }
        assert_eq!(read(&text.replace("Polygon", "Point")).unwrap_err().code, Code::InvalidValue);
    }
}
