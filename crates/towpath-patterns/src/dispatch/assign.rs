//! Which of several riders gets which of several drivers.
//!
//! What always holds: as many riders as possible get a driver among their candidates; of all ways to do that it is one with the least
//! distance in total, for up to [`EXACT_MAX`] riders. More are matched by the nearest pair first, which takes no more than sorting.
//!
//! The exact way is the Hungarian method in the form of Jonker and Volgenant (Computing 38, 1987): riders are added one by one, each by the
//! shortest path of changes. Each rider has a place of his own that stands for "no driver" and is farther than everything else.

use std::collections::BTreeMap;

/// Riders that are matched exactly: with eight candidates each, about a millisecond.
const EXACT_MAX: usize = 48;

/// How far away no driver is, in metres: farther than all the detours that could avoid it, which are a few hundred times around the earth
/// at most.
const NOBODY_M: f64 = 1e10;

/// A rider could get a driver.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Edge {
    /// Below the number of riders.
    pub(super) rider: u32,
    pub(super) driver: u32,
    pub(super) distance_m: f64,
}

/// The edges that are used, each rider and each driver once, in the order of the riders.
pub(super) fn assign(riders: usize, edges: &[Edge]) -> Vec<Edge> {
    let mut used = if riders <= EXACT_MAX { exact(riders, edges) } else { greedy(riders, edges) };
    used.sort_by_key(|edge| edge.rider);
    used
}

/// The nearest pair first, then the nearest of those that are left.
fn greedy(riders: usize, edges: &[Edge]) -> Vec<Edge> {
    let mut sorted = edges.to_vec();
    sorted.sort_by(|one, other| {
        let pair = |edge: &Edge| (edge.rider, edge.driver);
        one.distance_m.total_cmp(&other.distance_m).then(pair(one).cmp(&pair(other)))
    });
    let mut has_one = vec![false; riders];
    let mut taken = std::collections::BTreeSet::new();
    sorted.retain(|edge| {
        let rider = edge.rider as usize;
        let is_used = !has_one[rider] && taken.insert(edge.driver);
        has_one[rider] |= is_used;
        is_used
    });
    sorted
}

/// The least distance in total.
fn exact(riders: usize, edges: &[Edge]) -> Vec<Edge> {
    // Columns: the drivers, then one "nobody" for each rider.
    let mut columns: BTreeMap<u32, usize> = edges.iter().map(|edge| (edge.driver, 0)).collect();
    for (index, column) in columns.values_mut().enumerate() {
        *column = index;
    }
    let width = columns.len() + riders;
    let mut costs = vec![f64::INFINITY; riders * width];
    for edge in edges {
        costs[edge.rider as usize * width + columns[&edge.driver]] = edge.distance_m;
    }
    for rider in 0..riders {
        costs[rider * width + columns.len() + rider] = NOBODY_M;
    }
    let rider_of = cheapest(riders, width, &costs);
    let used = |edge: &&Edge| rider_of[columns[&edge.driver]] == Some(edge.rider as usize);
    edges.iter().filter(used).copied().collect()
}

/// Which row each column is given to, so that every row has one and the costs are the least. Every row has a finite cost of its own.
fn cheapest(rows: usize, width: usize, costs: &[f64]) -> Vec<Option<usize>> {
    let mut row_of: Vec<Option<usize>> = vec![None; width];
    // What a row and a column have been lowered by; what is left of a cost is never negative.
    let mut by_row = vec![0.0; rows];
    let mut by_column = vec![0.0; width];
    let mut nearest = vec![f64::INFINITY; width];
    let mut before = vec![None; width];
    let mut is_done = vec![false; width];
    for new in 0..rows {
        nearest.fill(f64::INFINITY);
        is_done.fill(false);
        let (mut row, mut from) = (new, None);
        let free = loop {
            let mut next: Option<usize> = None;
            for column in (0..width).filter(|&column| !is_done[column]) {
                let left = costs[row * width + column] - by_row[row] - by_column[column];
                if left < nearest[column] {
                    nearest[column] = left;
                    before[column] = from;
                }
                if next.is_none_or(|next| nearest[column] < nearest[next]) {
                    next = Some(column);
                }
            }
            // There is one: the row's own "nobody" was not done before.
            let Some(next) = next else { break None };
            let step = nearest[next];
            by_row[new] += step;
            for column in 0..width {
                if is_done[column] {
                    by_column[column] -= step;
                    if let Some(row) = row_of[column] {
                        by_row[row] += step;
                    }
                } else {
                    nearest[column] -= step;
                }
            }
            is_done[next] = true;
            match row_of[next] {
                None => break Some(next),
                Some(taken) => (row, from) = (taken, Some(next)),
            }
        };
        // Everybody on the path moves on by one.
        let mut at = free;
        while let Some(column) = at {
            let previous: Option<usize> = before[column];
            row_of[column] = match previous {
                Some(previous) => row_of[previous],
                None => Some(new),
            };
            at = previous;
        }
    }
    row_of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edge(rider: u32, driver: u32, distance_m: f64) -> Edge {
        Edge { rider, driver, distance_m }
    }

    /// The most riders and the least distance, by trying everything.
    fn best(rider: u32, riders: u32, edges: &[Edge], taken: &mut Vec<u32>) -> (usize, f64) {
        if rider == riders {
            return (0, 0.0);
        }
        let mut best_way = best(rider + 1, riders, edges, taken);
        for edge in edges.iter().filter(|edge| edge.rider == rider) {
            if taken.contains(&edge.driver) {
                continue;
            }
            taken.push(edge.driver);
            let (count, distance) = best(rider + 1, riders, edges, taken);
            taken.pop();
            let (count, distance) = (count + 1, distance + edge.distance_m);
            if count > best_way.0 || count == best_way.0 && distance < best_way.1 {
                best_way = (count, distance);
            }
        }
        best_way
    }

    #[test]
    fn who_comes_first_does_not_take_the_only_driver_of_another() {
        let edges = [edge(0, 7, 10.0), edge(0, 8, 20.0), edge(1, 7, 11.0)];
        let used = assign(2, &edges);
        assert_eq!(used, [edges[1], edges[2]]);
        assert_eq!(assign(3, &[]), []);
    }

    proptest! {
        #[test]
        fn the_exact_way_is_the_best_of_all_ways(
            riders in 1_u32..6,
            pairs in prop::collection::btree_map((0_u32..6, 0_u32..6), 0_u32..50, 0..20),
        ) {
            let edges: Vec<Edge> = pairs
                .iter()
                .filter(|((rider, _), _)| *rider < riders)
                .map(|(&(rider, driver), &metres)| edge(rider, driver, f64::from(metres)))
                .collect();
            let used = assign(riders as usize, &edges);
            let (count, distance) = best(0, riders, &edges, &mut Vec::new());
            prop_assert_eq!(used.len(), count);
            let found: f64 = used.iter().map(|edge| edge.distance_m).sum();
            prop_assert!((found - distance).abs() < 1e-3, "{} for {}", found, distance);
        }

        #[test]
        fn nobody_is_used_twice(
            pairs in prop::collection::btree_map((0_u32..100, 0_u32..60), 0_u32..50, 0..400),
        ) {
            let edges: Vec<Edge> = pairs
                .iter()
                .map(|(&(rider, driver), &metres)| edge(rider, driver, f64::from(metres)))
                .collect();
            let used = assign(100, &edges);
            let riders: std::collections::BTreeSet<_> = used.iter().map(|it| it.rider).collect();
            let drivers: std::collections::BTreeSet<_> = used.iter().map(|it| it.driver).collect();
            prop_assert_eq!(riders.len(), used.len());
            prop_assert_eq!(drivers.len(), used.len());
            // Nothing that is left could be used.
            prop_assert!(edges.iter().all(|it| riders.contains(&it.rider) || drivers.contains(&it.driver)));
        }
    }
}
