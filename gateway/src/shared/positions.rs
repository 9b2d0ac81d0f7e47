//! Where riders are. Positions are kept by area (a store, a city), and only for as long as riders go on
//! telling them.

use async_trait::async_trait;
use nakku_cluster::{Key, Timestamp};

use super::Away;

/// The most northern and, negated, the most southern latitude: where the Mercator projection ends.
pub const LATITUDE_MAX: f64 = 85.05112878;
/// The most eastern and, negated, the most western longitude.
pub const LONGITUDE_MAX: f64 = 180.0;
/// The mean radius of the earth, in metres; as Redis has it, so that distances are the same with and without.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

/// A place and when somebody was there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// When.
    pub at: Timestamp,
}

/// A rider within the distance that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearby {
    /// Who.
    pub rider: Key,
    /// Where and when; on Redis rounded to within a metre.
    pub position: Position,
    /// How far away, in metres.
    pub distance_m: f64,
}

impl Position {
    /// A position, or nothing where the coordinates name no place within the projection.
    pub fn new(latitude: f64, longitude: f64, at: Timestamp) -> Option<Self> {
        let named = latitude.abs() <= LATITUDE_MAX && longitude.abs() <= LONGITUDE_MAX;
        named.then_some(Self { latitude, longitude, at })
    }

    /// How far it is to a place, in metres, by the haversine formula.
    pub fn distance_m(&self, latitude: f64, longitude: f64) -> f64 {
        let (from, to) = (self.latitude.to_radians(), latitude.to_radians());
        let across = ((longitude - self.longitude).to_radians() / 2.0).sin();
        let along = ((to - from) / 2.0).sin();
        let haversine = along * along + from.cos() * to.cos() * across * across;
        2.0 * EARTH_RADIUS_M * haversine.sqrt().min(1.0).asin()
    }
}

/// Keeps positions. A failure means that whoever keeps the riders is to be asked instead.
#[async_trait]
pub trait Positions: std::fmt::Debug + Send + Sync {
    /// Notes where a rider is. An older position than the one that is known changes nothing.
    async fn put(&self, area: &Key, rider: &Key, position: Position) -> Result<(), Away>;

    /// The riders of an area within a distance, the nearest first, at most so many.
    async fn near(
        &self,
        area: &Key,
        latitude: f64,
        longitude: f64,
        radius_m: f64,
        limit: usize,
    ) -> Result<Vec<Nearby>, Away>;

    /// Where a rider was last, if that is not too long ago.
    async fn of(&self, rider: &Key) -> Result<Option<Position>, Away>;

    /// Forgets a rider, who has gone off duty.
    async fn remove(&self, area: &Key, rider: &Key) -> Result<(), Away>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_earth() {
        let delhi = Position::new(28.6139, 77.2090, Timestamp(0)).unwrap();
        let mumbai = delhi.distance_m(19.0760, 72.8777);
        assert!((1_140_000.0..1_160_000.0).contains(&mumbai), "{mumbai}");
        assert_eq!(delhi.distance_m(28.6139, 77.2090), 0.0);
        let antipode = delhi.distance_m(-28.6139, -102.7910);
        assert!((20_000_000.0..20_030_000.0).contains(&antipode), "{antipode}");
    }

    #[test]
    fn places_outside_the_projection_are_none() {
        for (latitude, longitude) in [(86.0, 0.0), (0.0, 180.5), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Position::new(latitude, longitude, Timestamp(0)), None);
        }
    }
}
