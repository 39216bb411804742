//! Every schedule within bounds, the simplest first: the default one, then all with one forced choice, then two.
//!
//! What always holds:
//! - No schedule is visited twice, and none before all that have fewer forced choices.
//! - When nothing is left, each schedule within the bounds was visited.
//!
//! Why in this order: schedules grow exponentially with their length, but only polynomially with the number of departures
//! from a fixed scheduler, and most bugs need few (Emmi, Qadeer, Rakamarić, "Delay-bounded scheduling", POPL 2011). Depth
//! first, a campaign that cannot finish would spend itself on the last few choices; this way it has tried all small
//! departures, and what it finds has as few forced choices as there can be.
//!
//! A schedule is a node: its parent's forced choices and one more, later than those. While it runs, each choice after its
//! last forced one becomes a child for every other answer. So a node is all that a schedule costs in memory, and each
//! schedule has one parent, which is why it comes only once.

use super::rng::Rng;
use super::{Candidate, Kind, Strategy};

/// Numbers of more than this many answers are tried at 0, 1, the middle and the last.
const WIDE: u64 = 8;

/// Schedules that are remembered; 12 bytes each. Nobody waits for the last of so many.
const NODES_MAX: usize = 1 << 22;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Forced choices, at most.
    pub(crate) departures: u32,
    /// Choices that are varied; those after them are not.
    pub(crate) depth: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { departures: u32::MAX, depth: 1000 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    at: u32,
    /// Which of the answers that are tried there; 0 for the root, which forces nothing.
    turn: u32,
}

#[derive(Debug)]
pub(crate) struct Exhaustive {
    bounds: Bounds,
    nodes: Vec<Node>,
    /// The nodes before it were visited.
    next: usize,
    /// Up to here they have as many forced choices as this one.
    level_end: usize,
    level: u32,
    /// What this schedule forces, the last one first.
    forced: Vec<Node>,
    /// Choices so far in this schedule.
    at: u32,
    cut: bool,
}

impl Exhaustive {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            nodes: Vec::new(),
            next: 0,
            level_end: 0,
            level: 0,
            forced: Vec::new(),
            at: 0,
            cut: false,
        }
    }

    /// Whether nothing was left out because of a bound so far, and nothing is left to visit.
    pub(crate) fn is_complete(&self) -> bool {
        !self.cut && self.is_done()
    }

    /// Whether nothing is left to visit within the bounds.
    pub(crate) fn is_done(&self) -> bool {
        self.next == self.nodes.len() && self.next != 0
    }

    fn choose(&mut self, below: u64) -> u64 {
        let at = self.at;
        self.at += 1;
        match self.forced.last() {
            Some(node) if node.at == at => {
                let turn = node.turn;
                self.forced.pop();
                // A program that is not deterministic may ask something else than it did before.
                value(turn, below).min(below - 1)
            }
            Some(_) => 0,
            None => {
                self.branch(at, below);
                0
            }
        }
    }

    /// The other answers at a choice after all that are forced.
    fn branch(&mut self, at: u32, below: u64) {
        let others = turns(below) - 1;
        let full = self.nodes.len() + others as usize > NODES_MAX;
        if full || self.level >= self.bounds.departures || at >= self.bounds.depth {
            self.cut = true;
            return;
        }
        self.cut |= below > WIDE;
        let parent = (self.next - 1) as u32;
        self.nodes.extend((1..=others).map(|turn| Node { parent, at, turn }));
    }
}

/// How many answers are tried.
fn turns(below: u64) -> u32 {
    if below > WIDE { 4 } else { below as u32 }
}

/// The answer that is tried at a turn.
fn value(turn: u32, below: u64) -> u64 {
    match turn {
        _ if below <= WIDE => u64::from(turn),
        2 => below / 2,
        3 => below - 1,
        _ => u64::from(turn),
    }
}

impl Strategy for Exhaustive {
    fn begin(&mut self, seed: u64) -> bool {
        if self.is_done() {
            return false;
        }
        if self.nodes.is_empty() {
            self.nodes.push(Node { parent: 0, at: 0, turn: 0 });
            self.level_end = 1;
        }
        if self.next == self.level_end {
            self.level_end = self.nodes.len();
            self.level += 1;
        }
        // Any of this level, so that one that is not finished has looked everywhere. Nobody has a parent among those
        // that are exchanged: they have not run.
        let count = (self.level_end - self.next) as u64;
        let other = self.next + Rng::new(seed).below(count) as usize;
        self.nodes.swap(self.next, other);
        let mut node = self.nodes[self.next];
        self.next += 1;
        self.at = 0;
        self.forced.clear();
        while node.turn != 0 {
            self.forced.push(node);
            node = self.nodes[node.parent as usize];
        }
        true
    }

    fn task(&mut self, candidates: &[Candidate]) -> usize {
        self.choose(candidates.len() as u64) as usize
    }

    fn pick(&mut self, _: Kind, below: u64) -> u64 {
        self.choose(below)
    }
}
