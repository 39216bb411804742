//! The exhaustive strategy visits what there is, once each.

use std::collections::BTreeSet;

use super::super::{Bounds, Choices, Kind, Mix, Portfolio};
use super::toy::{Step, Toy};

const NO_BOUNDS: Bounds = Bounds { departures: u32::MAX, depth: u32::MAX };

/// All orders in which the steps were made, each as often as it was visited, and whether nothing was left out.
fn orders(toy: &Toy, bounds: Bounds) -> (Vec<Vec<u32>>, bool) {
    let mut choices = Choices::new(Portfolio::with_bounds(Mix::Exhaustive, bounds));
    let mut orders = Vec::new();
    while choices.begin(orders.len() as u64) {
        orders.push(toy.run(&mut choices).order);
        assert!(orders.len() < 1_000_000, "it does not end");
    }
    assert!(!choices.begin(0), "it stays done");
    (orders, choices.is_complete())
}

fn touching(steps: &[usize]) -> Toy {
    Toy::new(steps.iter().map(|count| vec![Step::Touch(0); *count]).collect())
}

#[test]
fn it_visits_each_interleaving_once() {
    // Multinomial coefficients: (sum of steps)! / product of steps!.
    for (steps, expected) in [
        (&[1, 1][..], 2),
        (&[2, 2], 6),
        (&[3, 5], 56),
        (&[4, 4], 70),
        (&[1, 1, 1, 1], 24),
        (&[2, 2, 2], 90),
        (&[3, 3, 3], 1680),
        (&[7], 1),
    ] {
        let (orders, complete) = orders(&touching(steps), NO_BOUNDS);
        let distinct: BTreeSet<_> = orders.iter().collect();
        assert_eq!((orders.len(), distinct.len()), (expected, expected), "{steps:?}");
        assert!(complete);
    }
}

#[test]
fn a_bound_on_departures_leaves_out_the_rest_and_says_so() {
    // One of two processes with n steps each runs; a departure is a change of process before its end. With at most
    // `c` departures, counted by hand for n = 3: none 1; one 3 (after 0, 1 or 2 steps) more; two 6 more.
    let toy = touching(&[3, 3]);
    for (departures, expected) in [(0, 1), (1, 1 + 3), (2, 1 + 3 + 6)] {
        let bounds = Bounds { departures, ..NO_BOUNDS };
        let (orders, complete) = orders(&toy, bounds);
        assert_eq!(orders.len(), expected, "{departures}");
        assert!(!complete);
    }
    let enough = Bounds { departures: 6, ..NO_BOUNDS };
    let (orders, complete) = orders(&toy, enough);
    assert_eq!((orders.len(), complete), (20, true));
}

#[test]
fn a_bound_on_depth_leaves_the_rest_at_its_default() {
    let (orders, complete) = orders(&touching(&[4, 4]), Bounds { depth: 3, ..NO_BOUNDS });
    assert_eq!(orders.len(), 8, "two answers to each of three questions");
    assert!(!complete);
}

#[test]
fn numbers_are_tried_too_and_wide_ones_at_their_edges() {
    let visit = |below| {
        let mut choices = Choices::new(Portfolio::with_bounds(Mix::Exhaustive, NO_BOUNDS));
        let mut values = Vec::new();
        while choices.begin(0) {
            values.push(choices.pick(Kind::Random, below));
            choices.end();
        }
        values.sort_unstable();
        (values, choices.is_complete())
    };
    assert_eq!(visit(3), (vec![0, 1, 2], true));
    assert_eq!(visit(8), ((0..8).collect(), true));
    assert_eq!(visit(100), (vec![0, 1, 50, 99], false));
    assert_eq!(visit(u64::MAX), (vec![0, 1, u64::MAX / 2, u64::MAX - 1], false));
}

#[test]
fn schedules_with_fewer_forced_choices_come_first() {
    let toy = touching(&[3, 3, 2]);
    let mut choices = Choices::new(Portfolio::with_bounds(Mix::Exhaustive, NO_BOUNDS));
    let mut forced = Vec::new();
    while choices.begin(forced.len() as u64) {
        toy.run(&mut choices);
        forced.push(choices.forced().len());
    }
    assert!(forced.is_sorted(), "{forced:?}");
    assert_eq!((forced[0], forced.len()), (0, 560));
}

#[test]
fn a_share_of_the_portfolio_that_has_seen_all_says_so() {
    let run = |mix, toy: Toy| {
        let mut choices = Choices::new(Portfolio::new(mix));
        let mut count = 0;
        while count < 5000 && !choices.is_complete() && choices.begin(count) {
            toy.run(&mut choices);
            count += 1;
        }
        (count, choices.is_complete())
    };
    // Twenty schedules; after the first, one in twelve.
    let (count, complete) = run(Mix::Portfolio, touching(&[3, 3]));
    assert!((18 * 12..20 * 12).contains(&count) && complete, "{count}");
    // Something was left out there, so it goes on.
    let wide = Toy::new(vec![vec![Step::Draw(0, 1000)]]);
    assert_eq!(run(Mix::Exhaustive, wide.clone()), (4, false));
    assert_eq!(run(Mix::Portfolio, wide), (5000, false));
    assert_eq!(run(Mix::Random, touching(&[3, 3])), (5000, false));
}

#[test]
fn it_finds_the_one_bad_interleaving() {
    let toy = Toy::crossed_locks();
    let mut choices = Choices::new(Portfolio::with_bounds(Mix::Exhaustive, NO_BOUNDS));
    let mut stuck = 0;
    let mut all = 0;
    while choices.begin(0) {
        all += 1;
        stuck += u32::from(!toy.run(&mut choices).stuck.is_empty());
    }
    // Both have their first lock, taken in either order.
    assert_eq!(stuck, 2);
    assert!(all > stuck);
}

#[test]
fn a_program_that_asks_something_else_than_before_does_no_harm() {
    let mut choices = Choices::new(Portfolio::with_bounds(Mix::Exhaustive, NO_BOUNDS));
    let mut run = 0_u64;
    while choices.begin(0) && run < 50 {
        // Fewer answers each time, and fewer questions.
        for question in 0..6_u64.saturating_sub(run) {
            let below = 2 + question % 3;
            assert!(choices.pick(Kind::Arm, below) < below);
        }
        choices.end();
        run += 1;
    }
    assert!(run > 1);
}
