//! The grid gives what looking at every place gives, everywhere on the earth.

use proptest::prelude::*;
use towpath_patterns::dispatch::{Found, Grid, Point};

/// A place near one of those where grids go wrong: a city, the equator, the date line, near a pole, at a pole; or anywhere. On a lattice, so
/// that some are the same.
fn places() -> impl Strategy<Value = Point> {
    let centers = [(40.7, -74.0), (0.0, 0.0), (-17.0, 180.0), (89.9, 10.0), (-90.0, 0.0)];
    let near =
        (0..centers.len(), -20_i32..=20, -20_i32..=20).prop_map(move |(center, north, east)| {
            let (lat, lon) = centers[center];
            Point::new(lat, lon).unwrap().moved(f64::from(north) * 500.0, f64::from(east) * 500.0)
        });
    // So far away that cells of 250 m share their lists with those of the center, or some tiles away from it.
    let far = (0..centers.len(), -2_i32..=2, -40_i32..=40, -3_i32..=3).prop_map(
        move |(center, turns, north, east)| {
            let (lat, lon) = centers[center];
            let (north, east) = (f64::from(north) * 1600.0, f64::from(east) * 1600.0);
            Point::new(lat, lon).unwrap().moved(north, east + f64::from(turns) * 64_000.0)
        },
    );
    let anywhere = (-90_i32..=90, -180_i32..=180)
        .prop_map(|(lat, lon)| Point::new(f64::from(lat), f64::from(lon)).unwrap());
    prop_oneof![4 => near, 2 => far, 1 => anywhere]
}

#[derive(Clone, Debug)]
enum Step {
    Place(u32, Point),
    Remove(u32),
    Search { center: Point, radius_m: f64, count: usize, odd: bool },
}

fn steps() -> impl Strategy<Value = Step> {
    steps_of(80)
}

fn steps_of(numbers: u32) -> impl Strategy<Value = Step> {
    let radius =
        prop_oneof![Just(0.0), 10.0..20_000.0, Just(5000.0), Just(70_000.0), Just(1e6), Just(1e9)];
    prop_oneof![
        6 => (0..numbers, places()).prop_map(|(number, at)| Step::Place(number, at)),
        1 => (0..numbers).prop_map(Step::Remove),
        3 => (places(), radius, 0_usize..6, any::<bool>())
            .prop_map(|(center, radius_m, count, odd)| Step::Search { center, radius_m, count, odd }),
    ]
}

/// Every place that is accepted and in reach, nearest first, by the haversine formula.
fn brute(all: &[Option<Point>], center: &Point, radius_m: f64, odd: bool) -> Vec<Found> {
    let mut found: Vec<Found> = (0..)
        .zip(all)
        .filter_map(|(number, at)| Some(Found { number, distance_m: (*at)?.distance_m(center) }))
        .filter(|it| it.distance_m <= radius_m && (!odd || it.number % 2 == 1))
        .collect();
    found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m).then(a.number.cmp(&b.number)));
    found
}

/// What two ways of computing a distance may differ by: a tenth of a millimetre, and half around the earth, where an arcsine is at its
/// worst, a metre.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < if one < 1.9e7 { 1e-4 } else { 1.0 }
}

/// What was found is the first of all in reach. Where distances are equal but for rounding, as of places around a pole, either may be
/// first; of those in the very same place, the one with the smaller number.
fn compare(
    found: &[Found],
    all: &[Option<Point>],
    center: &Point,
    in_reach: &[Found],
    count: usize,
) {
    assert_eq!(found.len(), in_reach.len().min(count), "{found:?} of {in_reach:?}");
    for (index, (one, other)) in found.iter().zip(in_reach).enumerate() {
        let its = all[one.number as usize].expect("it was removed").distance_m(center);
        assert!(is_same(its, one.distance_m), "{one:?} is {its} away");
        assert!(is_same(one.distance_m, other.distance_m), "{index}: {one:?} for {other:?}");
        let beside = in_reach
            .iter()
            .map(|it| it.number)
            .filter(|&it| it < one.number && all[it as usize] == all[one.number as usize]);
        for smaller in beside {
            let is_before = found[..index].iter().any(|it| it.number == smaller);
            assert!(is_before, "{one:?} is found and {smaller}, which is there too, is not");
        }
    }
}

/// Does all the steps, and looks at every place for each search.
fn follow(cell_m: f64, room: u32, steps: Vec<Step>) {
    let mut grid = Grid::new(cell_m);
    let mut all: Vec<Option<Point>> = vec![None; room as usize];
    let mut found = Vec::new();
    grid.place(room - 1, &Point::new(0.0, 0.0).unwrap());
    grid.remove(room - 1);
    for step in steps {
        match step {
            Step::Place(number, at) => {
                grid.place(number, &at);
                all[number as usize] = Some(at);
            }
            Step::Remove(number) => {
                assert_eq!(grid.remove(number), all[number as usize].take().is_some());
            }
            Step::Search { center, radius_m, count, odd } => {
                // A place exactly on the circle is in or out by the last bit.
                let radius_m = radius_m + 0.01;
                let accept = |number: u32| !odd || number % 2 == 1;
                let expected = brute(&all, &center, radius_m, odd);
                let nearest = grid.nearest(&center, radius_m, accept);
                compare(nearest.as_slice(), &all, &center, &expected, 1);
                grid.nearest_many(&center, radius_m, count, &mut found, accept);
                compare(&found, &all, &center, &expected, count);
            }
        }
        assert_eq!(grid.len(), all.iter().flatten().count());
    }
}

proptest! {
    #[test]
    fn what_is_found_is_the_nearest(
        cell_m in prop_oneof![Just(1.0), 30.0..2000.0, Just(1e7), Just(f64::INFINITY)],
        steps in prop::collection::vec(steps(), 1..120),
    ) {
        follow(cell_m, 80, steps);
    }

    /// Few who are far, with the cells that the dispatcher has: whole regions are empty.
    #[test]
    fn few_who_are_far_are_found(
        steps in prop::collection::vec(steps_of(4), 1..60),
        many_were_known in any::<bool>(),
    ) {
        // With room for many, a search does not soon look at every place instead.
        let room = if many_were_known { 2000 } else { 4 };
        follow(250.0, room, steps);
    }
}

/// Many places in one city, with the grid as the dispatcher has it.
#[test]
fn a_city_is_searched_right() {
    let center = Point::new(52.52, 13.405).unwrap();
    let mut grid = Grid::new(250.0);
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5) * 20_000.0
    };
    let mut all = Vec::new();
    for number in 0..2000 {
        let at = center.moved(next(), next());
        grid.place(number, &at);
        all.push(Some(at));
    }
    for round in 0..500 {
        let from = center.moved(next(), next());
        let expected = brute(&all, &from, 5000.0, round % 2 == 0);
        let found = grid.nearest(&from, 5000.0, |number| round % 2 == 1 || number % 2 == 1);
        compare(found.as_slice(), &all, &from, &expected, 1);
        // Drivers move.
        let number = round * 3;
        let at = center.moved(next(), next());
        grid.place(number, &at);
        all[number as usize] = Some(at);
    }
}

/// Few are asked whether they will do: those that are nearer than all before.
#[test]
fn few_are_asked() {
    let center = Point::new(40.0, 10.0).unwrap();
    let mut grid = Grid::new(250.0);
    for number in 0..10_000_u32 {
        let (row, column) = (f64::from(number / 100), f64::from(number % 100));
        grid.place(number, &center.moved((row - 50.0) * 100.0, (column - 50.0) * 100.0));
    }
    let mut asked = 0;
    let found = grid.nearest(&center.moved(30.0, 30.0), 5000.0, |_| {
        asked += 1;
        true
    });
    assert_eq!(found.map(|it| it.number), Some(5050));
    assert!(asked < 20, "{asked} of 10,000");
}
