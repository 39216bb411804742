//! Every schedule within bounds, one after the other, depth first.
//!
//! What always holds:
//! - No two schedules are the same, and when nothing is left each schedule within the bounds was visited.
//! - The bounds are on the choices of a task other than the default one, and on the depth: choices further down are
//!   left at their default.
//!
//! Why a bound on choices other than the default: schedules grow exponentially with their length, but only polynomially
//! with the number of departures from a fixed scheduler, and most bugs need few (Emmi, Qadeer, Rakamarić,
//! "Delay-bounded scheduling", POPL 2011).

use super::{Candidate, Kind, Strategy};

/// Numbers of more than this many answers are tried at 0, 1, the middle and the last.
const WIDE: u64 = 8;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Choices of a task other than the default one, at most.
    pub(crate) departures: u32,
    /// Choices that are varied; those after them are not.
    pub(crate) depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { departures: 3, depth: 1000 }
    }
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    below: u64,
    /// Which of its answers is being tried.
    turn: u64,
    /// Departures before it.
    departures: u32,
}

impl Node {
    fn turns(&self) -> u64 {
        if self.below > WIDE { 4 } else { self.below }
    }

    fn value(&self) -> u64 {
        match self.turn {
            turn if self.below <= WIDE => turn,
            2 => self.below / 2,
            3 => self.below - 1,
            turn => turn,
        }
    }

    fn departures_after(&self) -> u32 {
        self.departures + u32::from(self.kind == Kind::Task && self.turn != 0)
    }
}

#[derive(Debug)]
pub(crate) struct Exhaustive {
    bounds: Bounds,
    path: Vec<Node>,
    /// How much of the path this schedule has gone.
    at: usize,
    started: bool,
    cut: bool,
}

impl Exhaustive {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, path: Vec::new(), at: 0, started: false, cut: false }
    }

    /// Whether nothing was left out because of a bound so far.
    pub(crate) fn is_complete(&self) -> bool {
        !self.cut
    }

    fn choose(&mut self, kind: Kind, below: u64) -> u64 {
        if self.at == self.path.len() {
            if self.at >= self.bounds.depth {
                self.cut = true;
                return 0;
            }
            self.cut |= below > WIDE;
            let departures = self.path.last().map_or(0, Node::departures_after);
            self.path.push(Node { kind, below, turn: 0, departures });
        }
        let node = &self.path[self.at];
        self.at += 1;
        // A program that is not deterministic may ask something else than it did before.
        node.value().min(below - 1)
    }

    /// Goes on to the next path. False: that was the last.
    fn advance(&mut self) -> bool {
        while let Some(node) = self.path.last_mut() {
            let departs = node.kind == Kind::Task && node.turn == 0;
            let within = !departs || node.departures < self.bounds.departures;
            self.cut |= !within;
            if within && node.turn + 1 < node.turns() {
                node.turn += 1;
                return true;
            }
            self.path.pop();
        }
        false
    }
}

impl Strategy for Exhaustive {
    fn begin(&mut self, _: u64) -> bool {
        if self.started {
            self.path.truncate(self.at);
            if !self.advance() {
                // The path is empty now, so it stays that way.
                return false;
            }
        }
        self.started = true;
        self.at = 0;
        true
    }

    fn task(&mut self, candidates: &[Candidate]) -> usize {
        self.choose(Kind::Task, candidates.len() as u64) as usize
    }

    fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        self.choose(kind, below)
    }
}
