//! Where the stores are, and where they bring goods: each has a zone around it in which the way is free, and a wider
//! one in which it costs something. They never close, so that the demo works at night.

use nakku_cluster::Key;

use super::{STORES, Store};
use crate::location::area::Area;
use crate::location::command::{Command, Description, Terms, Zone};
use crate::location::hours::Week;
use crate::position::Position;

/// Where all of them are.
const TIME_ZONE: &str = "Asia/Kolkata";
/// In the zone around a store, and for addresses of which no position is known.
const NEAR: Terms = Terms { fee_minor: 0, minimum_minor: 0, promised_minutes: 12 };
/// How far the zone around a store reaches, in metres.
const NEAR_M: i64 = 1_500;
/// In the wider zone.
const FAR: Terms = Terms { fee_minor: 2_500, minimum_minor: 14_900, promised_minutes: 22 };
/// How far the wider zone reaches, in metres.
const FAR_M: i64 = 3_500;
/// Ulsoor lake, in which nobody lives; its shore belongs to the wider zones.
pub(super) const LAKE: Position = Position { lat_e6: 12_983_000, lng_e6: 77_619_500 };
/// How far it reaches, in metres.
const LAKE_M: i64 = 350;

/// The corners of an octagon in thousandths of its reach, east and north, anticlockwise.
const OCTAGON: [[i64; 2]; 9] = [
    [1000, -414],
    [1000, 414],
    [414, 1000],
    [-414, 1000],
    [-1000, 414],
    [-1000, -414],
    [-414, -1000],
    [414, -1000],
    [1000, -414],
];
/// So many millionths of a degree of longitude are a kilometre there.
const KILOMETRE_EAST_E6: i64 = 9_225;
/// So many millionths of a degree of latitude are a kilometre there.
const KILOMETRE_NORTH_E6: i64 = 9_040;

/// Every store and the commands that describe it, in their order.
pub fn places() -> Vec<(Key, Vec<Command>)> {
    STORES.iter().map(|store| (store.key(), vec![describe(store), near(store), far(store)])).collect()
}

fn describe(store: &Store) -> Command {
    let hours = Week::always(TIME_ZONE);
    let description = Description { name: store.area.into(), position: store.position, hours, base: NEAR };
    Command::Describe { description }
}

fn near(store: &Store) -> Command {
    let area = Area { rings: vec![octagon(store.position, NEAR_M)] };
    Command::SetZone { id: "near".into(), zone: Zone { priority: 10, terms: NEAR, area } }
}

fn far(store: &Store) -> Command {
    let mut rings = vec![octagon(store.position, FAR_M)];
    if store.position.distance_m(LAKE) < u32::try_from(FAR_M - LAKE_M).unwrap_or_default() {
        rings.push(octagon(LAKE, LAKE_M));
    }
    Command::SetZone { id: "far".into(), zone: Zone { priority: 0, terms: FAR, area: Area { rings } } }
}

/// A ring of longitudes and latitudes around a place.
fn octagon(middle: Position, reach_m: i64) -> Vec<[i32; 2]> {
    let offset = |thousandths: i64, kilometre_e6: i64| {
        i32::try_from(thousandths * reach_m * kilometre_e6 / 1_000_000)
            .expect("the demo's zones are a few kilometres wide")
    };
    let corner = |[east, north]: [i64; 2]| {
        [middle.lng_e6 + offset(east, KILOMETRE_EAST_E6), middle.lat_e6 + offset(north, KILOMETRE_NORTH_E6)]
    };
    OCTAGON.map(corner).to_vec()
}
