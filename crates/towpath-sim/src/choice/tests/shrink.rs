//! Shrinking, against oracles that know the smallest answer.

use super::super::{Budget, Choices, Forced, Mix, Portfolio, seed_of, shrink};
use super::toy::Toy;

const PLENTY: Budget = Budget { runs: 20_000 };

fn forced(list: &[(u64, u64)]) -> Vec<Forced> {
    list.iter().map(|(at, value)| Forced { at: *at, value: *value }).collect()
}

/// Shrinks, and checks what always holds.
fn smallest(
    failing: &[Forced],
    budget: Budget,
    mut fails: impl FnMut(&[Forced]) -> bool,
) -> Vec<Forced> {
    assert!(fails(failing), "the oracle accepts what is given");
    let mut runs = 0;
    let mut counted = |list: &[Forced]| {
        runs += 1;
        fails(list)
    };
    let shrunk = shrink(failing, budget, &mut counted);
    assert_eq!(shrunk.runs, runs);
    assert!(runs <= budget.runs);
    assert!(fails(&shrunk.forced), "what comes out fails");
    assert!(shrunk.forced.len() <= failing.len());
    let again = shrink(failing, budget, &mut fails);
    assert_eq!(again, shrunk, "the same each time");
    shrunk.forced
}

/// A long list with these in it.
fn noisy(length: u64, needed: &[(u64, u64)]) -> Vec<Forced> {
    let value = |at| needed.iter().find(|(place, _)| *place == at).map_or(1 + at % 3, |n| n.1);
    (0..length)
        .filter(|at| at % 2 == 0 || needed.iter().any(|n| n.0 == *at))
        .map(|at| Forced { at, value: value(at) })
        .collect()
}

fn has(list: &[Forced], at: u64, value: u64) -> bool {
    list.binary_search(&Forced { at, value }).is_ok()
}

#[test]
fn what_fails_without_any_choice_ends_with_none() {
    assert_eq!(smallest(&noisy(500, &[]), PLENTY, |_| true), []);
    assert_eq!(smallest(&[], PLENTY, |_| true), []);
}

#[test]
fn it_finds_the_needle() {
    for at in [0, 1, 57, 499] {
        let found = smallest(&noisy(500, &[(at, 2)]), PLENTY, |list| has(list, at, 2));
        assert_eq!(found, forced(&[(at, 2)]));
    }
}

#[test]
fn it_finds_three_that_are_needed_together() {
    let needed = [(11, 1), (200, 3), (371, 2)];
    let all = |list: &[Forced]| needed.iter().all(|(at, value)| has(list, *at, *value));
    assert_eq!(smallest(&noisy(400, &needed), PLENTY, all), forced(&needed));
}

#[test]
fn values_and_places_become_small() {
    // Any value of 5 or more will do, at any place from 4 on.
    let oracle = |list: &[Forced]| list.iter().any(|f| f.at >= 4 && f.value >= 5);
    assert_eq!(smallest(&forced(&[(90, 1000)]), PLENTY, oracle), forced(&[(4, 5)]));
    let huge = |list: &[Forced]| list.iter().any(|f| f.value > u64::MAX / 3);
    let found = smallest(&forced(&[(0, u64::MAX)]), PLENTY, huge);
    assert_eq!(found, forced(&[(0, u64::MAX / 3 + 1)]));
}

/// A program in which each forced choice makes the run longer: the later positions mean something else without it.
///
/// A forced choice of 1 at a place that asks "noise?" puts one more question in front of everything after it. The failure
/// needs a 1 at the second and at the fourth real question.
fn shifting(list: &[Forced]) -> bool {
    let mut at = 0;
    let mut answer = || {
        let value = list.iter().find(|f| f.at == at).map_or(0, |f| f.value);
        at += 1;
        value
    };
    let mut real = Vec::new();
    for _ in 0..6 {
        for _ in 0..3 {
            if answer() == 1 {
                answer(); // noise brings a question of its own
            }
        }
        real.push(answer());
    }
    real[1] == 1 && real[3] == 1
}

#[test]
fn later_positions_move_when_one_before_them_is_left_out() {
    // Real questions stand at 3, 7, 11, 15; with noise at 0 and 6 those after them stand one and two further on.
    let failing = forced(&[(0, 1), (6, 1), (9, 1), (12, 1), (18, 1)]);
    assert!(shifting(&failing));
    assert_eq!(smallest(&failing, PLENTY, shifting), forced(&[(7, 1), (15, 1)]));
}

#[test]
fn it_stops_when_its_runs_are_spent() {
    let needed = [(11, 1), (371, 2)];
    let all = |list: &[Forced]| needed.iter().all(|(at, value)| has(list, *at, *value));
    let failing = noisy(400, &needed);
    for runs in [0, 1, 2, 10, 50] {
        let found = smallest(&failing, Budget { runs }, all);
        assert!(needed.iter().all(|(at, value)| has(&found, *at, *value)));
    }
}

/// The median number of forced choices after shrinking schedules that chance has found.
fn median(toy: &Toy, bug: impl Fn(&super::toy::End) -> bool) -> usize {
    let mut lengths = Vec::new();
    for seed in 0..50 {
        let mut choices = Choices::new(Portfolio::new(Mix::Random));
        let failing = (0..20_000).find_map(|number| {
            assert!(choices.begin(seed_of(seed, number)));
            bug(&toy.run(&mut choices)).then(|| choices.forced())
        });
        let Some(failing) = failing else { continue };
        let found = smallest(&failing, Budget { runs: 2000 }, |list| {
            choices.replay(list);
            bug(&toy.run(&mut choices))
        });
        lengths.push(found.len());
    }
    assert!(lengths.len() > 40, "found {} times", lengths.len());
    lengths.sort_unstable();
    lengths[lengths.len() / 2]
}

#[test]
fn schedules_of_programs_shrink_to_their_pre_emptions() {
    // One pre-emption each: away from the first between its two steps; the second then runs to its end.
    assert_eq!(median(&Toy::lost_update(10), |end| end.numbers[0] != 2), 1);
    assert_eq!(median(&Toy::crossed_locks(), |end| !end.stuck.is_empty()), 1);
    // Turns begin with the process that is not the default, so three turns are three departures, the last by default.
    assert!(median(&Toy::turns(3, 2), |end| end.numbers[0] == 3) <= 3);
}
