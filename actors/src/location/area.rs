//! The shape of a service zone: a polygon with holes, as GeoJSON (RFC 7946) has it.

use geo::{Area as _, CoordNum, LineString, Polygon, Validation};
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// The most vertices of one zone, those of its holes included.
pub const AREA_VERTICES_MAX: usize = 500;
/// The most rings of one zone: its outline and its holes.
pub const RINGS_MAX: usize = 9;
/// The farthest that a zone reaches from west to east or from south to north, in millionths of a degree. Nothing
/// is brought within minutes over a hundred kilometres, and a zone so small never lies around a pole.
pub const EXTENT_E6_MAX: i32 = 1_000_000;
/// The fewest points of a ring: three, and the first one again.
const RING_POINTS_MIN: usize = 4;

/// A polygon with holes. Its edges belong to it, those of the holes too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Area {
    /// The outline, then the holes. A ring ends with the point with which it begins; a point is longitude and
    /// latitude in millionths of a degree. Which way round a ring goes does not matter.
    pub rings: Vec<Vec<[i32; 2]>>,
}

impl Area {
    /// Says what is wrong with it, if anything is.
    ///
    /// # Errors
    /// In words, to go behind the name of the field.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=RINGS_MAX).contains(&self.rings.len()) {
            return Err(format!("has an outline and at most {} holes", RINGS_MAX - 1));
        }
        if self.vertices() > AREA_VERTICES_MAX {
            return Err(format!("has at most {AREA_VERTICES_MAX} vertices, holes included"));
        }
        for ring in &self.rings {
            if ring.len() < RING_POINTS_MIN || ring.first() != ring.last() {
                return Err("has rings of four points or more that end where they begin".into());
            }
            if !ring.iter().all(|[lng_e6, lat_e6]| Position { lat_e6: *lat_e6, lng_e6: *lng_e6 }.is_on_earth()) {
                return Err("has points of longitude and latitude, in this order and in degrees".into());
            }
        }
        let (low, high) = self.corners();
        if (0..2).any(|axis| high[axis] - low[axis] > i64::from(EXTENT_E6_MAX)) {
            return Err("reaches at most one degree from west to east and from south to north".into());
        }
        // Whole numbers of this size are exact as floating-point numbers, which the check asks for.
        let sound = self.polygon::<f64>().check_validation();
        sound.map_err(|invalid| format!("is no simple polygon: {invalid}"))?;
        // A ring that goes there and back again crosses nothing, and is none.
        let flat = |ring: &Vec<[i32; 2]>| Self { rings: vec![ring.clone()] }.polygon::<f64>().unsigned_area() <= 0.0;
        if self.rings.iter().any(flat) {
            return Err("has rings with something inside".into());
        }
        Ok(())
    }

    /// How many vertices it has, holes included.
    pub fn vertices(&self) -> usize {
        self.rings.iter().map(|ring| ring.len().saturating_sub(1)).sum()
    }

    /// The south-western and the north-eastern corner of the rectangle around it, each longitude and latitude.
    pub fn corners(&self) -> ([i64; 2], [i64; 2]) {
        let (mut low, mut high) = ([i64::MAX; 2], [i64::MIN; 2]);
        for point in self.rings.iter().flatten() {
            for axis in 0..2 {
                low[axis] = low[axis].min(point[axis].into());
                high[axis] = high[axis].max(point[axis].into());
            }
        }
        (low, high)
    }

    /// For the library, in numbers of its choice.
    pub fn polygon<T: CoordNum + From<i32>>(&self) -> Polygon<T> {
        let ring = |points: &Vec<[i32; 2]>| -> LineString<T> {
            let number = |value: &i32| -> T { (*value).into() };
            points.iter().map(|[lng_e6, lat_e6]| (number(lng_e6), number(lat_e6))).collect()
        };
        let mut rings = self.rings.iter().map(ring);
        let outline = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
        Polygon::new(outline, rings.collect())
    }
}

#[cfg(test)]
mod tests {
    use geo::coordinate_position::{CoordPos, CoordinatePosition};

    use super::*;

    /// A square with its south-western corner there.
    fn square(lng_e6: i32, lat_e6: i32, side: i32) -> Vec<[i32; 2]> {
        [[0, 0], [side, 0], [side, side], [0, side], [0, 0]].map(|[x, y]| [lng_e6 + x, lat_e6 + y]).to_vec()
    }

    #[track_caller]
    fn refused(rings: Vec<Vec<[i32; 2]>>) -> String {
        Area { rings }.check().expect_err("it must be refused")
    }

    #[test]
    fn sound_areas_are_accepted_and_edges_belong_to_them() {
        let area = Area { rings: vec![square(0, 0, 1_000), square(400, 400, 200)] };
        assert_eq!(area.check(), Ok(()));
        assert_eq!((area.vertices(), area.corners()), (8, ([0, 0], [1_000, 1_000])));
        let polygon = area.polygon::<i64>();
        for (lng_e6, lat_e6, position) in [
            (1, 1, CoordPos::Inside),
            (0, 500, CoordPos::OnBoundary),
            (1_000, 1_000, CoordPos::OnBoundary),
            (1_001, 500, CoordPos::Outside),
            (500, 500, CoordPos::Outside),
            (400, 500, CoordPos::OnBoundary),
            (399, 500, CoordPos::Inside),
        ] {
            let here = Position { lat_e6, lng_e6 };
            assert_eq!(polygon.coordinate_position(&here.coordinate()), position, "{here}");
        }
        // Anywhere on earth products of differences stay within 64 bits, and clockwise is as good.
        let mut turned = square(179_000_000, -90_000_000, 1_000_000);
        turned.reverse();
        let far = Area { rings: vec![turned] };
        assert_eq!(far.check(), Ok(()));
        let opposite = Position { lat_e6: 90_000_000, lng_e6: -180_000_000 };
        assert_eq!(far.polygon::<i64>().coordinate_position(&opposite.coordinate()), CoordPos::Outside);
    }

    #[test]
    fn broken_areas_are_refused() {
        assert!(refused(vec![]).contains("outline"));
        assert!(refused(vec![square(0, 0, 9); RINGS_MAX + 1]).contains("holes"));
        assert!(refused(vec![vec![[0, 0], [9, 0], [0, 0]]]).contains("four points"));
        assert!(refused(vec![vec![[0, 0], [9, 0], [9, 9], [0, 9]]]).contains("end where they begin"));
        assert!(refused(vec![square(180_000_000, 0, 9)]).contains("longitude"));
        assert!(refused(vec![square(0, 0, EXTENT_E6_MAX + 1)]).contains("one degree"));
        // Not the even one: it has no area, and is refused for that.
        let bow = vec![[0, 0], [9, 9], [9, 0], [0, 7], [0, 0]];
        assert!(refused(vec![bow]).contains("self-intersection"));
        assert!(refused(vec![square(0, 0, 9), square(5, 5, 9)]).contains("not contained"));
        assert!(refused(vec![square(0, 0, 90), square(10, 10, 20), square(20, 20, 20)]).contains("intersect"));
        assert!(refused(vec![vec![[0, 0], [9, 0], [4, 0], [0, 0]]]).contains("inside"));
        let flat_hole = vec![[2, 2], [5, 2], [3, 2], [2, 2]];
        assert!(!refused(vec![square(0, 0, 9), flat_hole]).is_empty());
        let many = (0..=AREA_VERTICES_MAX as i32).map(|at| [at, at * at]).chain([[0, 0]]).collect();
        assert!(refused(vec![many]).contains("vertices"));
    }
}
