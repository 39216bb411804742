//! The index alone: nanoseconds for a search and for a move.

use std::{hint::black_box, time::Instant};

use rstar::{PointDistance, RTree};
use towpath_patterns::dispatch::{Grid, Point};

use super::{
    HALF_CITY_M, NEAR_M, WIDE_M,
    peers::{Leaf, flat},
    place,
};
use crate::histogram::middle;

/// Searches of one sample.
const SEARCHES: u64 = 20_000;

/// Those that look through everything.
const SEARCHES_SLOW: u64 = 200;

pub(super) fn run(drivers: u32, repeats: usize) {
    let places: Vec<Point> = (0..drivers).map(|it| place(u64::from(it))).collect();
    let far = |number: u64| place(number).moved(0.0, 4.0 * HALF_CITY_M);
    let near = |number: u64| place(3_000_000 + number);

    let mut grid = Grid::new(NEAR_M / 4.0);
    let mut tree = RTree::new();
    for (driver, at) in (0..).zip(&places) {
        grid.place(driver, at);
        tree.insert(Leaf { driver, at: flat(at) });
    }
    let in_grid = |at: Point, radius_m| grid.nearest(&at, radius_m, |_| true).map(|it| it.number);
    let in_tree = |at: Point, radius_m: f64| {
        let at = flat(&at);
        let leaf = tree.nearest_neighbor(at)?;
        (leaf.distance_2(&at) <= radius_m * radius_m).then_some(leaf.driver)
    };
    let in_list = |at: Point, radius_m| {
        let distances = places.iter().zip(0..).map(|(it, driver)| (it.distance_m(&at), driver));
        let (distance_m, driver) = distances.min_by(|one, other| one.0.total_cmp(&other.0))?;
        (distance_m <= radius_m).then_some(driver)
    };

    println!("| index of {drivers} | nearest within 1 km | nobody within 5 km | a move |");
    println!("|---|---:|---:|---:|");
    let ns = |count: u64, work: &mut dyn FnMut(u64)| {
        let samples = (0..repeats).map(|_| {
            let begun = Instant::now();
            (0..count).for_each(&mut *work);
            begun.elapsed().as_nanos() as f64 / count as f64
        });
        middle(samples)
    };
    type Search<'a> = &'a dyn Fn(Point, f64) -> Option<u32>;
    let kinds: [(&str, u64, Search<'_>); 3] = [
        ("Grid", SEARCHES, &in_grid),
        ("rstar", SEARCHES, &in_tree),
        ("all of them", SEARCHES_SLOW, &in_list),
    ];
    let searched = kinds.map(|(name, count, search)| {
        let found = ns(count, &mut |number| {
            black_box(search(near(number), NEAR_M));
        });
        let nobody = ns(count, &mut |number| {
            black_box(search(far(number), WIDE_M));
        });
        (name, found, nobody)
    });
    // Drivers move by some metres, as from one report to the next.
    let moved = |number: u64| {
        places[(number % u64::from(drivers)) as usize].moved(number as f64 % 97.0, 30.0)
    };
    let mut now = places.clone();
    let in_grid = ns(SEARCHES, &mut |number| {
        grid.place((number % u64::from(drivers)) as u32, &moved(number));
    });
    let in_tree = ns(SEARCHES, &mut |number| {
        let driver = (number % u64::from(drivers)) as u32;
        let before = std::mem::replace(&mut now[driver as usize], moved(number));
        tree.remove(&Leaf { driver, at: flat(&before) });
        tree.insert(Leaf { driver, at: flat(&now[driver as usize]) });
    });
    for ((name, found, nobody), moves) in searched.into_iter().zip([in_grid, in_tree, 0.0]) {
        println!("| {name} | {found:.0} ns | {nobody:.0} ns | {moves:.0} ns |");
    }
}
