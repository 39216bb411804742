//! What a search looks at, counted; and that what is known of tiles is true.

use super::*;

/// What a fruitless search may cost, in tiles and strangers: the box of 5 km has 6 by 6 tiles, and its rings share some.
const FRUITLESS_MAX: usize = 200;

/// How many tiles, and places of other cells, are looked at before it is known that nobody is within 5 km.
fn fruitless(grid: &Grid, center: &Point) -> usize {
    grid.search(center, 5000.0, grid.cell_m(), |candidate| {
        assert!(distance_of(candidate.chord2) > 5000.0, "somebody is there");
        f64::INFINITY
    })
}

fn rings(center: &Point, from_m: f64, count: u32) -> Grid {
    let mut grid = Grid::new(250.0);
    for number in 0..count {
        let (away, angle) = (from_m + f64::from(number % 100) * 20.0, f64::from(number));
        grid.place(number, &center.moved(away * angle.sin(), away * angle.cos()));
    }
    grid
}

#[test]
fn that_nobody_is_near_is_known_after_few_looks() {
    // Not at the date line: the last columns and the first share lists, and what is there is walked through.
    for (lat, lon) in [(52.52, 13.405), (0.0, 0.0), (-17.0, 179.0), (40.75, -73.98)] {
        let center = Point::new(lat, lon).unwrap();
        for away in [5100.0, 9000.0, 40_000.0] {
            let looks = fruitless(&rings(&center, away, 20_000), &center);
            assert!(looks <= FRUITLESS_MAX, "{looks} at {center:?} with all {away} away");
        }
    }
}

/// Where lists are shared with a city 64 km away, its places are not walked through.
#[test]
fn a_city_that_shares_the_lists_is_not_looked_at() {
    let center = Point::new(40.75, -73.98).unwrap();
    let (mut grid, mut away) = (Grid::new(250.0), 0.0);
    // To the east until it is the same list in another cell.
    while away == 0.0 || grid.cell(&center).list() != grid.cell(&center.moved(0.0, away)).list() {
        away += if away == 0.0 { 20_000.0 } else { 50.0 };
    }
    for number in 0..20_000_u32 {
        let (row, column) = (f64::from(number / 200), f64::from(number % 200));
        let at = center.moved((row - 50.0) * 100.0, away + (column - 100.0) * 50.0);
        grid.place(number, &at);
    }
    let looks = fruitless(&grid, &center);
    assert!(looks <= FRUITLESS_MAX, "{looks}");
    // And one who is here is found among them, and forgotten.
    grid.place(20_000, &center);
    let found = grid.nearest(&center, 5000.0, |_| true);
    assert_eq!(found.map(|it| it.number), Some(20_000));
    grid.remove(20_000);
    let looks = fruitless(&grid, &center);
    assert!(looks <= FRUITLESS_MAX, "{looks}");
}

#[test]
fn a_search_ends_when_it_has_seen_all() {
    let center = Point::new(52.52, 13.405).unwrap();
    let mut grid = Grid::new(250.0);
    grid.place(1, &center.moved(100.0, 100.0));
    grid.place(9999, &center.moved(-100.0, 0.0));
    let mut shown = 0;
    let looks = grid.search(&center, 1e9, grid.cell_m(), |_| {
        shown += 1;
        f64::INFINITY
    });
    assert_eq!(shown, 2);
    assert!(looks <= 4, "{looks}");
}

#[test]
fn what_is_known_of_tiles_is_true() {
    let center = Point::new(40.75, -73.98).unwrap();
    let mut grid = Grid::new(250.0);
    let mut seed = 7_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..20_000 {
        let number = next(300) as u32;
        if next(3) == 0 {
            grid.remove(number);
        } else {
            // Few cells, each with others that share its list.
            let east = next(20) as f64 * 250.0 + next(6) as f64 * 64_000.0;
            grid.place(number, &center.moved(next(20) as f64 * 250.0, east));
        }
    }
    let mut strangers = 0;
    for (index, tile) in grid.tiles.iter().enumerate() {
        let here = grid.places.iter().map(|it| it.cell);
        let here: Vec<Cell> = here.filter(|it| it.band != NONE && it.tile() == index).collect();
        let cells = here.iter().fold(0, |cells, it| cells | 1 << it.bit());
        assert_eq!(tile.cells, cells);
        let others = here.iter().filter(|it| it.owner() != tile.owner).count();
        assert_eq!(tile.strangers as usize, others);
        strangers += others;
    }
    assert!(strangers > 0, "none share a list: this shows nothing");
}
