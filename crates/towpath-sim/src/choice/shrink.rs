//! Makes a failing schedule small: as few forced choices as can be found, then low values, then early ones.
//!
//! What always holds:
//! - The answer fails, provided that what was given fails; it is never larger than that.
//! - The same program and the same number of runs give the same answer.
//!
//! First delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). A schedule is
//! a harder input than a text, because leaving out one choice moves the meaning of all that come after it. So leaving out
//! is also tried with the later choices moved by a place or two. And because bugs mostly need few pre-emptions, small
//! lists that have nothing to do with the given one are tried as well: all with one forced choice if there is time for
//! them, then some with two and three.

use std::collections::HashSet;

use super::rng::Rng;
use super::{Forced, fold};

/// How much a search may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Runs of the program, at most.
    pub(crate) runs: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shrunk {
    pub(crate) forced: Vec<Forced>,
    /// So many runs it took.
    pub(crate) runs: u64,
}

/// Looks for a smaller list of forced choices for which `fails` still answers true.
pub(crate) fn shrink(
    failing: &[Forced],
    budget: Budget,
    fails: &mut dyn FnMut(&[Forced]) -> bool,
) -> Shrunk {
    let mut search = Search {
        best: failing.to_vec(),
        runs: 0,
        runs_max: budget.runs,
        tried: HashSet::new(),
        fails,
    };
    if !search.best.is_empty() && !search.attempt(Vec::new()) {
        search.divide();
        search.polish();
        search.guess(failing);
    }
    Shrunk { forced: search.best, runs: search.runs }
}

/// Later choices are moved by so much when one before them is left out.
const SHIFTS: [i64; 5] = [0, -1, 1, -2, 2];

/// Lists longer than this are only divided; one by one would take longer than anybody waits.
const POLISHED_MAX: usize = 64;

/// Guesses of several choices have this many as their aim: a story with three pre-emptions can be told.
const GUESSED_MAX: usize = 3;

struct Search<'a> {
    best: Vec<Forced>,
    runs: u64,
    runs_max: u64,
    /// Hashes of the lists that were run. Two lists with one hash would cost an attempt, no more.
    tried: HashSet<u64>,
    fails: &'a mut dyn FnMut(&[Forced]) -> bool,
}

impl Search<'_> {
    /// Runs a list if it is smaller than the best and has not been run; keeps it if it fails.
    fn attempt(&mut self, list: Vec<Forced>) -> bool {
        let is_list = list.is_sorted_by(|one, next| one.at < next.at)
            && list.iter().all(|forced| forced.value != 0);
        if !is_list || size(&list) >= size(&self.best) || self.runs == self.runs_max {
            return false;
        }
        let hash = list.iter().fold(1, |hash, forced| fold(fold(hash, forced.at), forced.value));
        if !self.tried.insert(hash) {
            return false;
        }
        self.runs += 1;
        let failed = (self.fails)(&list);
        if failed {
            self.best = list;
        }
        failed
    }

    /// Leaves out ever smaller parts.
    fn divide(&mut self) {
        let mut part = self.best.len().div_ceil(2);
        while self.runs < self.runs_max {
            let mut from = 0;
            let mut smaller = false;
            while from < self.best.len() {
                let to = (from + part).min(self.best.len());
                let mut list = self.best.clone();
                list.drain(from..to);
                if self.attempt(list) {
                    smaller = true;
                } else {
                    from = to;
                }
            }
            if part == 1 && !smaller {
                break;
            }
            // A success may make parts removable that were not; but large ones rarely, so it only goes on getting smaller.
            part = part.div_ceil(2);
        }
    }

    /// Leaves out and lowers one by one, until nothing helps.
    fn polish(&mut self) {
        if self.best.len() > POLISHED_MAX {
            return;
        }
        loop {
            let before = size(&self.best);
            self.leave_out();
            self.lower();
            self.move_up();
            if size(&self.best) == before || self.runs == self.runs_max {
                break;
            }
        }
    }

    fn leave_out(&mut self) {
        let mut index = 0;
        while index < self.best.len() {
            let shorter = SHIFTS.iter().any(|shift| {
                let (head, tail) = self.best.split_at(index);
                let mut list = head.to_vec();
                let moved = tail[1..].iter().map(|forced| moved(*forced, *shift));
                list.extend(moved);
                self.attempt(list)
            });
            if !shorter {
                index += 1;
            }
        }
    }

    fn lower(&mut self) {
        for index in 0..self.best.len() {
            // Lower than `floor` did not fail; so the search between them ends after some 64 runs.
            let mut floor = 0;
            while let Some(Forced { value, .. }) = self.best.get(index).copied()
                && floor + 1 < value
            {
                // The least first: a small number, if it will do, is found at once.
                let lower = if floor == 0 { 1 } else { floor + (value - floor) / 2 };
                let mut list = self.best.clone();
                list[index].value = lower;
                if !self.attempt(list) {
                    floor = lower;
                }
            }
        }
    }

    /// Brings choices nearer to the beginning: the later part of the story is then the default one.
    fn move_up(&mut self) {
        for index in 0..self.best.len() {
            while let Some(forced) = self.best.get(index).copied() {
                let earlier = [-1, -2].into_iter().any(|shift| {
                    let mut list = self.best.clone();
                    list[index] = moved(forced, shift);
                    self.attempt(list)
                });
                if !earlier {
                    break;
                }
            }
        }
    }

    /// Small lists at random places.
    fn guess(&mut self, failing: &[Forced]) {
        let Some(last) = failing.last() else { return };
        let places = last.at.saturating_add(1);
        // Values for random numbers can be huge; who runs next rarely is.
        let values = failing.iter().map(|forced| forced.value).max().unwrap_or(1).min(4);
        let mut rng = Rng::new(places);
        for count in 1..=GUESSED_MAX {
            let left = self.runs_max - self.runs;
            if self.best.len() <= count || left == 0 {
                break;
            }
            if count == 1 && places.saturating_mul(values) <= left / 2 {
                let all =
                    (0..places).flat_map(|at| (1..=values).map(move |value| Forced { at, value }));
                if all.into_iter().any(|forced| self.attempt(vec![forced])) {
                    break;
                }
                continue;
            }
            for _ in 0..left / 3 {
                let mut list: Vec<_> = (0..count)
                    .map(|_| Forced { at: rng.below(places), value: 1 + rng.below(values) })
                    .collect();
                list.sort_unstable();
                if self.attempt(list) {
                    break;
                }
            }
        }
        self.polish();
    }
}

/// What is smaller: fewer choices, then lower values, then earlier ones.
fn size(list: &[Forced]) -> (usize, u128, u128) {
    let sum = |part: fn(&Forced) -> u64| list.iter().map(part).map(u128::from).sum();
    (list.len(), sum(|forced| forced.value), sum(|forced| forced.at))
}

/// The same choice some places further on. Before the beginning there is nothing, and then it is no list.
fn moved(forced: Forced, by: i64) -> Forced {
    Forced { at: forced.at.checked_add_signed(by).unwrap_or(u64::MAX), ..forced }
}
