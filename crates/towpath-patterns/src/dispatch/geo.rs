//! Places on the earth, how far apart they are, and an area with a border.
//!
//! What always holds:
//! - A [`Point`] is on the earth: both numbers are finite and in range.
//! - Distances are those on a sphere of the earth's mean radius (haversine). Against the WGS 84 ellipsoid, a short distance is wrong by
//!   0.56 % at most, which is north-south at the equator (the radius of curvature there is 6,335 km), and by 0.45 % at the poles:
//!   28 m in 5 km. The way by road is longer by a third than either.
//!
//! Why not the cheaper flat-earth formula: it is off where a city is far north, breaks at the date line, and is no cheaper than what the
//! [grid](super::Grid) does, which compares straight lines through the earth.

use std::{error, fmt, sync::Arc};

/// Of the sphere, in metres: the mean radius of the ellipsoid (IUGG).
pub(super) const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A place on the earth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    lat: f64,
    lon: f64,
}

/// Numbers that are no place on the earth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NoPlace {
    /// What was given as the latitude.
    pub lat: f64,
    /// What was given as the longitude.
    pub lon: f64,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lat, lon } = self;
        write!(
            f,
            "latitude {lat} and longitude {lon} are no place on the earth; give degrees, -90 to 90 and -180 to 180, latitude first"
        )
    }
}

impl error::Error for NoPlace {}

impl Point {
    /// A place by degrees, north and east positive.
    ///
    /// # Errors
    /// [`NoPlace`] when a number is out of range or is none.
    pub fn new(lat: f64, lon: f64) -> Result<Self, NoPlace> {
        // A NaN is in no range.
        if (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon) {
            Ok(Self { lat, lon })
        } else {
            Err(NoPlace { lat, lon })
        }
    }

    /// Degrees north.
    pub fn lat(&self) -> f64 {
        self.lat
    }

    /// Degrees east.
    pub fn lon(&self) -> f64 {
        self.lon
    }

    /// Metres to another place, by the haversine formula; the [module](crate::dispatch) says how exact that is.
    pub fn distance_m(&self, other: &Self) -> f64 {
        let (lat, other_lat) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((other_lat - lat) / 2.0).sin();
        let half_lon = ((other.lon - self.lon).to_radians() / 2.0).sin();
        let haversine = half_lat * half_lat + lat.cos() * other_lat.cos() * half_lon * half_lon;
        2.0 * EARTH_RADIUS_M * haversine.sqrt().min(1.0).asin()
    }

    /// The place so many metres to the north and to the east, roughly: for making up positions. It stays on the earth.
    #[must_use = "the place is given back"]
    pub fn moved(&self, north_m: f64, east_m: f64) -> Self {
        let lat = (self.lat + (north_m / EARTH_RADIUS_M).to_degrees()).clamp(-90.0, 90.0);
        let narrow = self.lat.to_radians().cos().max(1e-6);
        let lon = self.lon + (east_m / EARTH_RADIUS_M / narrow).to_degrees();
        Self { lat, lon: (lon + 540.0).rem_euclid(360.0) - 180.0 }
    }

    /// The same place in space, on a sphere of radius 1.
    pub(super) fn unit(&self) -> [f64; 3] {
        let (sin_lat, cos_lat) = self.lat.to_radians().sin_cos();
        let (sin_lon, cos_lon) = self.lon.to_radians().sin_cos();
        [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
    }
}

/// The square of the straight line between two places on a sphere of radius 1. It orders pairs as their distance does, without
/// trigonometry.
pub(super) fn chord2(one: &[f64; 3], other: &[f64; 3]) -> f64 {
    let [x, y, z] = [one[0] - other[0], one[1] - other[1], one[2] - other[2]];
    x * x + y * y + z * z
}

/// The square of the straight line to places that are so far away along the surface.
pub(super) fn chord2_of(distance_m: f64) -> f64 {
    let half = (distance_m / EARTH_RADIUS_M / 2.0).min(std::f64::consts::FRAC_PI_2).sin();
    4.0 * half * half
}

/// The distance along the surface, in metres, of places with this straight line.
pub(super) fn distance_of(chord2: f64) -> f64 {
    2.0 * EARTH_RADIUS_M * (chord2.sqrt() / 2.0).min(1.0).asin()
}

/// An area: the inside of polygons. Where two of them overlap is outside, so a second one inside the first is a hole.
///
/// Borders are straight in degrees, as on the usual map. What is exactly on a border is inside on one side of the area and outside on the
/// other, so two areas that touch have no place in common and leave none out. Cloning copies a pointer.
#[derive(Clone, PartialEq, Debug)]
pub struct Geofence(Option<Arc<Fence>>);

#[derive(PartialEq, Debug)]
struct Fence {
    rings: Vec<Vec<Point>>,
    /// South, west, north, east: what is outside of these needs no look at the corners.
    bounds: [f64; 4],
}

/// Polygons that bound no area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BadGeofence {
    /// There is no polygon.
    Empty,
    /// This polygon, counted from 0, has fewer than three corners.
    TooFewCorners(usize),
    /// This polygon has a side of more than half around the earth.
    CrossesDateLine(usize),
}

impl fmt::Display for BadGeofence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "a geofence without a polygon lets nobody in; give one, or `Geofence::everywhere()`",
            ),
            Self::TooFewCorners(ring) => {
                write!(f, "polygon {ring} has fewer than three corners; give all of them, the first one once")
            }
            Self::CrossesDateLine(ring) => {
                write!(f, "polygon {ring} crosses the date line; cut it there into two polygons")
            }
        }
    }
}

impl error::Error for BadGeofence {}

impl Geofence {
    /// The whole earth.
    pub fn everywhere() -> Self {
        Self(None)
    }

    /// The inside of one polygon, given by its corners in either direction.
    ///
    /// # Errors
    /// [`BadGeofence`].
    pub fn polygon(corners: impl Into<Vec<Point>>) -> Result<Self, BadGeofence> {
        Self::polygons([corners.into()])
    }

    /// The inside of several polygons.
    ///
    /// # Errors
    /// [`BadGeofence`].
    pub fn polygons(rings: impl Into<Vec<Vec<Point>>>) -> Result<Self, BadGeofence> {
        let rings = rings.into();
        if rings.is_empty() {
            return Err(BadGeofence::Empty);
        }
        let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for (number, ring) in rings.iter().enumerate() {
            if ring.len() < 3 {
                return Err(BadGeofence::TooFewCorners(number));
            }
            for (one, next) in sides(ring) {
                if (one.lon - next.lon).abs() > 180.0 {
                    return Err(BadGeofence::CrossesDateLine(number));
                }
                bounds[0] = bounds[0].min(one.lat);
                bounds[1] = bounds[1].min(one.lon);
                bounds[2] = bounds[2].max(one.lat);
                bounds[3] = bounds[3].max(one.lon);
            }
        }
        Ok(Self(Some(Arc::new(Fence { rings, bounds }))))
    }

    /// Whether a place is inside.
    pub fn contains(&self, place: &Point) -> bool {
        let Some(fence) = &self.0 else { return true };
        let [south, west, north, east] = fence.bounds;
        if place.lat < south || place.lat > north || place.lon < west || place.lon > east {
            return false;
        }
        // From the place to the east, how often is a border crossed?
        let mut inside = false;
        for (one, next) in fence.rings.iter().flat_map(|ring| sides(ring)) {
            if (one.lat > place.lat) != (next.lat > place.lat) {
                let part = (place.lat - one.lat) / (next.lat - one.lat);
                inside ^= place.lon < one.lon + part * (next.lon - one.lon);
            }
        }
        inside
    }
}

/// The sides of a polygon, the last one back to its first corner.
fn sides(ring: &[Point]) -> impl Iterator<Item = (&Point, &Point)> {
    ring.iter().zip(ring.iter().cycle().skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: f64, lon: f64) -> Point {
        Point::new(lat, lon).unwrap()
    }

    #[test]
    fn distances_are_those_of_the_books() {
        // Paris to London and New York to Los Angeles on the sphere; half around the earth; a metre.
        for (one, other, metres) in [
            (at(48.8566, 2.3522), at(51.5074, -0.1278), 343_557.0),
            (at(40.7128, -74.0060), at(34.0522, -118.2437), 3_935_751.0),
            (at(0.0, -90.0), at(0.0, 90.0), std::f64::consts::PI * EARTH_RADIUS_M),
            (at(0.0, 179.9), at(0.0, -179.9), 22_239.0),
        ] {
            let found = one.distance_m(&other);
            assert!((found - metres).abs() < metres * 1e-4, "{found} for {metres}");
            let chord = distance_of(chord2(&one.unit(), &other.unit()));
            assert!((found - chord).abs() < 1e-6 * found, "{found} is {chord} by the chord");
            assert!((distance_of(chord2_of(metres)) - metres).abs() < 1e-3);
        }
        let here = at(52.5, 13.4);
        assert!((here.distance_m(&here.moved(3.0, 4.0)) - 5.0).abs() < 0.01);
        assert!((at(10.0, 180.0).moved(0.0, 1000.0).lon() - -179.99).abs() < 0.01);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (lat, lon) in [(91.0, 0.0), (0.0, 181.0), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(Point::new(lat, lon).is_err(), "{lat} {lon}");
        }
    }

    #[test]
    fn a_fence_has_an_inside_and_holes() {
        let square =
            |half: f64| vec![at(-half, -half), at(-half, half), at(half, half), at(half, -half)];
        let ring = Geofence::polygons([square(10.0), square(5.0)]).unwrap();
        for (lat, lon, inside) in [
            (7.0, 0.0, true),
            (0.0, 0.0, false),
            (0.0, -7.0, true),
            (11.0, 0.0, false),
            (0.0, 11.0, false),
        ] {
            assert_eq!(ring.contains(&at(lat, lon)), inside, "{lat} {lon}");
        }
        // Not convex: the notch of an L is outside.
        let el = [(0.0, 0.0), (0.0, 4.0), (2.0, 4.0), (2.0, 2.0), (4.0, 2.0), (4.0, 0.0)];
        let el = Geofence::polygon(el.map(|(lat, lon)| at(lat, lon))).unwrap();
        assert!(
            el.contains(&at(1.0, 3.0)) && el.contains(&at(3.0, 1.0)) && !el.contains(&at(3.0, 3.0))
        );
        assert!(Geofence::everywhere().contains(&at(-90.0, 0.0)));
    }

    #[test]
    fn neighbours_share_their_border_without_a_gap() {
        let west =
            Geofence::polygon([at(0.0, 0.0), at(0.0, 1.0), at(1.0, 1.0), at(1.0, 0.0)]).unwrap();
        let east =
            Geofence::polygon([at(0.0, 1.0), at(0.0, 2.0), at(1.0, 2.0), at(1.0, 1.0)]).unwrap();
        for step in 1..10 {
            let border = at(f64::from(step) / 10.0, 1.0);
            assert_ne!(west.contains(&border), east.contains(&border));
        }
    }

    #[test]
    fn what_bounds_no_area_is_refused() {
        assert_eq!(Geofence::polygons([]), Err(BadGeofence::Empty));
        assert_eq!(
            Geofence::polygon([at(0.0, 0.0), at(1.0, 1.0)]),
            Err(BadGeofence::TooFewCorners(0))
        );
        let over = [at(0.0, 179.0), at(0.0, -179.0), at(1.0, 180.0)];
        assert_eq!(Geofence::polygon(over), Err(BadGeofence::CrossesDateLine(0)));
    }
}
