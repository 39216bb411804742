//! A grid over the earth that finds the nearest of many moving places: those of drivers, or of riders who wait.
//!
//! What always holds:
//! - What is found is the nearest of all that are accepted within the radius, of equals the one with the smaller number: the same as
//!   looking at every place (`tests/it/dispatch/grid.rs` compares).
//! - Placing, moving and removing cost the same however many there are, and a search costs what is near. Neither allocates, once there was
//!   room for the largest number.
//! - A search never costs much more than looking at every place once.
//!
//! How it is built: the sphere is cut into bands of equal height and each band into cells about as wide as they are high. A cell hashes to one
//! of 65,536 lists by the low bits of its band and column, so that a city's cells have lists of their own and far cells that share one are
//! told apart by a comparison. Lists are links between places, in one vector. A search looks at the box around a circle that grows by half
//! until something is found, and then once more to where that is; each cell once.
//!
//! Distances are compared as straight lines through a unit sphere: three multiplications and no trigonometry, right at the poles
//! and over the date line.

use std::fmt;

use super::geo::{EARTH_RADIUS_M, Point, chord2, chord2_of, distance_of};

/// Rows and columns of lists: with cells of 250 m, 64 km until two cells share one.
const SIDE: u32 = 256;

/// No place, no cell.
const NONE: u32 = u32::MAX;

/// The least height of a cell: below that, the earth has more columns than are counted here.
const CELL_M_MIN: f64 = 1.0;

/// Empty cells that a search looks at, besides one for each place, before it looks at the places instead.
const LOOKS_MIN: usize = 256;

/// Boxes are larger than their circles by this, a tenth of a millimetre: far more than what is lost in rounding.
const SLACK_DEG: f64 = 1e-9;

/// Added to the distance of what was found, so that a circle of that size surely has it.
const SLACK_M: f64 = 0.001;

/// Added to a longitude, so that half around the earth to the west of everywhere is still positive.
const TURNS_DEG: f64 = 900.0;

/// A grid index of places, each with a number that the user gives it. Numbers should be small: they are places in a vector.
///
/// ```
/// use towpath_patterns::dispatch::{Grid, Point};
///
/// let mut drivers = Grid::new(250.0);
/// drivers.place(0, &Point::new(40.7580, -73.9855)?); // Times Square
/// drivers.place(1, &Point::new(40.7484, -73.9857)?); // Empire State Building
///
/// let rider = Point::new(40.7505, -73.9934)?; // Penn Station
/// let nearest = drivers.nearest(&rider, 2000.0, |_| true).unwrap();
/// assert_eq!(nearest.number, 1);
/// assert_eq!(nearest.distance_m.round(), 689.0);
/// assert!(drivers.nearest(&rider, 500.0, |_| true).is_none());
/// # Ok::<(), towpath_patterns::dispatch::NoPlace>(())
/// ```
pub struct Grid {
    cell_deg: f64,
    /// Columns of the bands in each degree of latitude, from the south pole.
    columns: Box<[u32; 180]>,
    heads: Box<[u32]>,
    places: Vec<Place>,
    len: usize,
}

#[derive(Clone, Copy)]
struct Place {
    unit: [f64; 3],
    cell: Cell,
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell {
    band: u32,
    column: u32,
}

/// What a search has found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Found {
    /// Whose place it is.
    pub number: u32,
    /// How far away, in metres on the sphere.
    pub distance_m: f64,
}

/// Something that is found, by the measure in which it is compared.
#[derive(Clone, Copy, PartialEq)]
struct Candidate {
    chord2: f64,
    number: u32,
}

impl Candidate {
    fn is_before(&self, other: &Self) -> bool {
        (self.chord2, self.number) < (other.chord2, other.number)
    }

    fn found(self) -> Found {
        Found { number: self.number, distance_m: distance_of(self.chord2) }
    }
}

impl Cell {
    fn list(self) -> usize {
        ((self.band % SIDE) * SIDE + self.column % SIDE) as usize
    }
}

/// The box around a circle, in bands and degrees of longitude.
#[derive(Clone, Copy)]
struct Window {
    south: u32,
    north: u32,
    /// Half of its width; 180 is all around.
    half_lon: f64,
}

impl Grid {
    /// An empty grid. A cell is `cell_m` metres high and about as wide: a quarter of the usual search radius is a good size, and no
    /// smaller than what holds one or two places. Only the speed depends on it.
    pub fn new(cell_m: f64) -> Self {
        let cell_m = if cell_m.is_finite() { cell_m.max(CELL_M_MIN) } else { EARTH_RADIUS_M };
        let cell_deg = (cell_m / EARTH_RADIUS_M).to_degrees().min(180.0);
        let columns = std::array::from_fn(|degree| {
            // By the side nearer to the equator, so that no cell is narrower than high there.
            let lat = if degree < 90 { degree as f64 - 89.0 } else { degree as f64 - 90.0 };
            (360.0 * lat.to_radians().cos() / cell_deg).max(1.0) as u32
        });
        let heads = vec![NONE; (SIDE * SIDE) as usize].into();
        Self { cell_deg, columns: Box::new(columns), heads, places: Vec::new(), len: 0 }
    }

    /// How many places are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this number has a place.
    pub fn contains(&self, number: u32) -> bool {
        self.places.get(number as usize).is_some_and(|place| place.cell.band != NONE)
    }

    /// Gives a number its place, or another one.
    pub fn place(&mut self, number: u32, at: &Point) {
        let (index, cell) = (number as usize, self.cell(at));
        if index >= self.places.len() {
            let nowhere = Cell { band: NONE, column: NONE };
            let place = Place { unit: [0.0; 3], cell: nowhere, before: NONE, after: NONE };
            self.places.resize(index + 1, place);
        }
        self.places[index].unit = at.unit();
        if self.places[index].cell == cell {
            return;
        }
        self.remove(number);
        let head = &mut self.heads[cell.list()];
        let after = std::mem::replace(head, number);
        if after != NONE {
            self.places[after as usize].before = number;
        }
        let place = &mut self.places[index];
        (place.cell, place.before, place.after) = (cell, NONE, after);
        self.len += 1;
    }

    /// Takes a number's place away; true if it had one.
    pub fn remove(&mut self, number: u32) -> bool {
        if !self.contains(number) {
            return false;
        }
        let Place { cell, before, after, .. } = self.places[number as usize];
        match before {
            NONE => self.heads[cell.list()] = after,
            before => self.places[before as usize].after = after,
        }
        if after != NONE {
            self.places[after as usize].before = before;
        }
        self.places[number as usize].cell.band = NONE;
        self.len -= 1;
        true
    }

    /// The nearest place within a radius in metres that is accepted. `accept` is asked about few: only what is nearer than all that was
    /// accepted before.
    pub fn nearest(
        &self,
        center: &Point,
        radius_m: f64,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<Found> {
        let farthest = Candidate { chord2: chord2_of(radius_m), number: NONE };
        let mut best = farthest;
        self.search(center, radius_m, |candidate| {
            if candidate.is_before(&best) && accept(candidate.number) {
                best = candidate;
            }
            if best.number == NONE { f64::INFINITY } else { best.chord2 }
        });
        (best.number != NONE).then(|| best.found())
    }

    /// The `count` nearest places within a radius that are accepted, nearest first, into `found`, which is cleared.
    pub fn nearest_many(
        &self,
        center: &Point,
        radius_m: f64,
        count: usize,
        found: &mut Vec<Found>,
        mut accept: impl FnMut(u32) -> bool,
    ) {
        found.clear();
        let farthest = chord2_of(radius_m);
        // While searching, `distance_m` is the chord's square.
        self.search(center, radius_m, |candidate| {
            let worst = match found.last() {
                Some(last) if found.len() >= count => {
                    Candidate { chord2: last.distance_m, number: last.number }
                }
                _ => Candidate { chord2: farthest, number: NONE },
            };
            let Candidate { chord2, number } = candidate;
            let place = found.partition_point(|it| (it.distance_m, it.number) < (chord2, number));
            let is_there = found.get(place).is_some_and(|it| it.number == number);
            if count > 0 && !is_there && candidate.is_before(&worst) && accept(number) {
                found.truncate(count - 1);
                found.insert(place, Found { number, distance_m: chord2 });
            }
            match found.last() {
                Some(last) if found.len() >= count => last.distance_m,
                _ => f64::INFINITY,
            }
        });
        for it in found {
            it.distance_m = distance_of(it.distance_m);
        }
    }

    /// Shows `look` the places around, in circles that grow, until they are beyond the chord that it has answered last. It may show
    /// one twice.
    fn search(&self, center: &Point, radius_m: f64, mut look: impl FnMut(Candidate) -> f64) {
        if self.len == 0 || radius_m.is_nan() || radius_m < 0.0 {
            return;
        }
        let unit = center.unit();
        let step_m = self.cell_deg.to_radians() * EARTH_RADIUS_M;
        let mut enough = f64::INFINITY;
        let mut looks_left = LOOKS_MIN + self.places.len();
        let mut seen: Option<Window> = None;
        let mut circle_m = 0.0;
        while seen.is_none() || (circle_m < radius_m && enough > chord2_of(circle_m)) {
            // As far as what was found, or else half as far again.
            let next_m = match enough {
                f64::INFINITY => circle_m * 1.5 + step_m,
                enough => distance_of(enough) + SLACK_M,
            };
            circle_m = radius_m.min(next_m);
            let window = self.window(center, circle_m);
            for band in window.south..=window.north {
                for (from, to) in self.unseen(center, band, &window, seen.as_ref()) {
                    let cells = (to - from) as usize;
                    if cells > looks_left {
                        // So few places in so many cells: look at every one.
                        for (number, place) in self.places.iter().enumerate() {
                            if place.cell.band != NONE {
                                let chord2 = chord2(&unit, &place.unit);
                                look(Candidate { chord2, number: number as u32 });
                            }
                        }
                        return;
                    }
                    looks_left -= cells;
                    let columns = self.columns(band);
                    let mut column = (from % u64::from(columns)) as u32;
                    for _ in 0..cells {
                        let cell = Cell { band, column };
                        let mut number = self.heads[cell.list()];
                        while number != NONE {
                            let place = &self.places[number as usize];
                            if place.cell == cell {
                                let chord2 = chord2(&unit, &place.unit);
                                enough = look(Candidate { chord2, number });
                            }
                            number = place.after;
                        }
                        column = if column + 1 == columns { 0 } else { column + 1 };
                    }
                }
            }
            seen = Some(window);
        }
    }

    /// The columns of a band that are in a window and were not in the one before it, as two ranges. Columns are counted on over the date
    /// line.
    fn unseen(
        &self,
        center: &Point,
        band: u32,
        window: &Window,
        seen: Option<&Window>,
    ) -> [(u64, u64); 2] {
        let columns = self.columns(band);
        let scale = f64::from(columns) / 360.0;
        let range = |half_lon: f64| {
            let west = ((center.lon() - half_lon + TURNS_DEG) * scale) as u64;
            (west, ((center.lon() + half_lon + TURNS_DEG) * scale) as u64 + 1)
        };
        let (from, to) = range(window.half_lon);
        let columns = u64::from(columns);
        let (seen_from, seen_to) = match seen {
            Some(seen) if (seen.south..=seen.north).contains(&band) => range(seen.half_lon),
            _ => (from, from),
        };
        if seen_to - seen_from >= columns {
            [(0, 0), (0, 0)]
        } else if to - from >= columns {
            // All around: what is left of the band, on the western side.
            [(seen_to - columns, seen_from), (0, 0)]
        } else {
            [(from, seen_from), (seen_to, to)]
        }
    }

    /// The box around a circle.
    fn window(&self, center: &Point, circle_m: f64) -> Window {
        let angle = circle_m / EARTH_RADIUS_M;
        let half_lat = angle.to_degrees() + SLACK_DEG;
        let reaches_pole = center.lat().abs() + half_lat >= 90.0;
        let half_lon = if reaches_pole {
            180.0
        } else {
            let widest = angle.sin() / center.lat().to_radians().cos();
            (widest.min(1.0).asin().to_degrees() + SLACK_DEG).min(180.0)
        };
        let south = self.band((center.lat() - half_lat).max(-90.0));
        let north = self.band((center.lat() + half_lat).min(90.0));
        Window { south, north, half_lon }
    }

    fn band(&self, lat: f64) -> u32 {
        ((lat + 90.0) / self.cell_deg) as u32
    }

    fn columns(&self, band: u32) -> u32 {
        self.columns[((f64::from(band) * self.cell_deg) as usize).min(self.columns.len() - 1)]
    }

    fn cell(&self, at: &Point) -> Cell {
        let band = self.band(at.lat());
        let columns = self.columns(band);
        let column = (at.lon() + TURNS_DEG) * (f64::from(columns) / 360.0);
        Cell { band, column: (column as u64 % u64::from(columns)) as u32 }
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grid").field("cell_deg", &self.cell_deg).field("len", &self.len).finish()
    }
}
