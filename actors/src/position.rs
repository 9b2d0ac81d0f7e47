//! Positions on the earth, in integers: what is compared, kept and sent on is exact.

use std::fmt;

use geo::{Coord, Distance, Haversine, Point};
use serde::{Deserialize, Serialize};

/// So many units make a degree.
const UNITS: f64 = 1e6;
/// The northernmost latitude; the southernmost is its negative.
pub const LAT_E6_MAX: i32 = 90_000_000;
/// The easternmost longitude; the westernmost is its negative.
pub const LNG_E6_MAX: i32 = 180_000_000;

/// A position (WGS 84) in millionths of a degree, of which one is 11 cm at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Latitude, north is positive; at most [`LAT_E6_MAX`] either way.
    pub lat_e6: i32,
    /// Longitude, east is positive; at most [`LNG_E6_MAX`] either way.
    pub lng_e6: i32,
}

impl Position {
    /// From degrees, rounded; nothing when there is no such place on earth.
    pub fn from_degrees(lat: f64, lng: f64) -> Option<Self> {
        let in_range = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lng);
        // The range has been checked, so that neither conversion is cut off.
        in_range.then(|| Self { lat_e6: (lat * UNITS).round() as i32, lng_e6: (lng * UNITS).round() as i32 })
    }

    /// Latitude and longitude in degrees.
    pub fn degrees(self) -> (f64, f64) {
        (f64::from(self.lat_e6) / UNITS, f64::from(self.lng_e6) / UNITS)
    }

    /// Whether there is such a place on earth.
    pub fn is_on_earth(self) -> bool {
        self.lat_e6.unsigned_abs() <= LAT_E6_MAX.unsigned_abs()
            && self.lng_e6.unsigned_abs() <= LNG_E6_MAX.unsigned_abs()
    }

    /// How far it is to another along a great circle, in whole metres.
    pub fn distance_m(self, other: Self) -> u32 {
        let point = |position: Self| {
            let (lat, lng) = position.degrees();
            Point::new(lng, lat)
        };
        // Half the earth's circumference is the most that it can be.
        Haversine.distance(point(self), point(other)).round() as u32
    }

    /// As a point of the plane, east to the right and north up, wide enough for products.
    pub fn coordinate(self) -> Coord<i64> {
        Coord { x: self.lng_e6.into(), y: self.lat_e6.into() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lat, lng) = self.degrees();
        write!(f, "{lat:.6},{lng:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_come_back_as_they_were_given() {
        for (lat, lng) in [(12.978_4, 77.640_8), (-90.0, -180.0), (90.0, 180.0), (0.000_001, -0.000_001)] {
            let position = Position::from_degrees(lat, lng).unwrap();
            assert_eq!(position.degrees(), (lat, lng));
            assert!(position.is_on_earth());
        }
        for (lat, lng) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Position::from_degrees(lat, lng), None, "{lat} {lng}");
        }
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let at = |lat, lng| Position::from_degrees(lat, lng).unwrap();
        // A degree of latitude is 111,195 m on the sphere that is used; one of longitude half of it at 60 degrees.
        assert_eq!(at(0.0, 0.0).distance_m(at(1.0, 0.0)), 111_195);
        assert_eq!(at(60.0, 0.0).distance_m(at(60.0, 1.0)), 55_597);
        assert_eq!(at(0.0, 179.9).distance_m(at(0.0, -179.9)), 22_239);
        assert_eq!(at(0.0, 0.0).distance_m(at(0.0, 180.0)), 20_015_114);
    }
}
