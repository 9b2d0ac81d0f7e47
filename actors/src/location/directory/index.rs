//! Zones and riders by where they are, derived from the parts and rebuilt when the directory is loaded.

use geo::Polygon;
use geo::coordinate_position::{CoordPos, CoordinatePosition};
use nakku_cluster::Key;
use rstar::{AABB, RTree, RTreeObject};

use crate::location::command::View;
use crate::position::Position;

/// Metres of one millionth of a degree of latitude, less than it has anywhere.
const METRES_OF_UNIT: f64 = 0.11;
/// So many units make a degree.
const UNITS_OF_DEGREE: f64 = 1e6;
/// How short degrees of longitude are taken to be at most, against those of the equator.
const SHRINK_MIN: f64 = 1e-3;

/// The zones of all stores.
#[derive(Clone, Debug, Default)]
pub struct Zones(RTree<ZoneEntry>);

/// The last positions of all riders.
#[derive(Clone, Debug, Default)]
pub struct Riders(RTree<RiderEntry>);

/// A zone in the tree; wide integers, for the tree multiplies them.
#[derive(Clone, Debug)]
struct ZoneEntry {
    store: Key,
    zone: String,
    corners: ([i64; 2], [i64; 2]),
    polygon: Polygon<i64>,
}

/// A rider in the tree.
#[derive(Clone, Debug, PartialEq)]
struct RiderEntry {
    rider: Key,
    position: Position,
}

impl Zones {
    /// Of all stores at once, which is faster than one after the other and makes a better tree.
    pub fn of<'a>(stores: impl Iterator<Item = (&'a Key, &'a View)>) -> Self {
        Self(RTree::bulk_load(stores.flat_map(|(store, view)| entries(store, view)).collect()))
    }

    /// Adds a store's zones.
    pub fn add(&mut self, store: &Key, view: &View) {
        entries(store, view).for_each(|entry| self.0.insert(entry));
    }

    /// Removes them.
    pub fn remove(&mut self, store: &Key, view: &View) {
        for entry in entries(store, view) {
            self.0.remove(&entry);
        }
    }

    /// Store and zone of every zone that a place lies in, in no order. Edges belong to zones, so that between two
    /// that touch nobody is left out.
    pub fn around(&self, position: Position) -> impl Iterator<Item = (&Key, &str)> {
        let here = position.coordinate();
        let near = self.0.locate_in_envelope_intersecting(&AABB::from_point([here.x, here.y]));
        near.filter(move |entry| entry.polygon.coordinate_position(&here) != CoordPos::Outside)
            .map(|entry| (&entry.store, entry.zone.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Riders {
    /// Of all riders at once.
    pub fn of<'a>(riders: impl Iterator<Item = (&'a Key, Position)>) -> Self {
        Self(RTree::bulk_load(riders.map(|(rider, position)| RiderEntry { rider: rider.clone(), position }).collect()))
    }

    /// Adds a rider.
    pub fn add(&mut self, rider: &Key, position: Position) {
        self.0.insert(RiderEntry { rider: rider.clone(), position });
    }

    /// Removes one.
    pub fn remove(&mut self, rider: &Key, position: Position) {
        self.0.remove(&RiderEntry { rider: rider.clone(), position });
    }

    /// Everybody in a rectangle that holds all who are within so many metres, in no order. It ends at the 180th
    /// meridian, where nobody is served.
    pub fn around(&self, position: Position, within_m: u32) -> impl Iterator<Item = &Key> {
        let here = position.coordinate();
        let high = f64::from(within_m) / METRES_OF_UNIT;
        // Farther from the equator a degree of longitude is shorter; at the poles all of them meet.
        let farthest = (position.degrees().0.abs() + high / UNITS_OF_DEGREE).min(90.0);
        let shrink = farthest.to_radians().cos().max(SHRINK_MIN);
        let (wide, high) = ((high / shrink).ceil() as i64, high.ceil() as i64);
        let rectangle = AABB::from_corners([here.x - wide, here.y - high], [here.x + wide, here.y + high]);
        self.0.locate_in_envelope(&rectangle).map(|entry| &entry.rider)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn entries<'a>(store: &'a Key, view: &'a View) -> impl Iterator<Item = ZoneEntry> + 'a {
    view.zones.iter().map(move |(id, zone)| ZoneEntry {
        store: store.clone(),
        zone: id.clone(),
        corners: zone.area.corners(),
        polygon: zone.area.polygon(),
    })
}

/// Two entries are the same zone when they have its name; that is how one is found again to be removed.
impl PartialEq for ZoneEntry {
    fn eq(&self, other: &Self) -> bool {
        self.store == other.store && self.zone == other.zone
    }
}

impl RTreeObject for ZoneEntry {
    type Envelope = AABB<[i64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners(self.corners.0, self.corners.1)
    }
}

impl RTreeObject for RiderEntry {
    type Envelope = AABB<[i64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        let here = self.position.coordinate();
        AABB::from_point([here.x, here.y])
    }
}
