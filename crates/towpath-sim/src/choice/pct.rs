//! Probabilistic concurrency testing: priorities that change at few, random moments.
//!
//! Burckhardt, Kothari, Musuvathi, Nagarakatte: "A randomized scheduler with probabilistic guarantees of finding bugs",
//! ASPLOS 2010. Each process gets a random priority and the highest always runs. At `depth - 1` random moments the one
//! that would run falls to the lowest. A bug that needs `depth` ordered steps, in a program of `n` processes and `k`
//! choices, is found by one schedule with a probability of at least `1 / (n * k^(depth - 1))`.
//!
//! What differs here:
//! - `k` counts choices between processes, not steps: a moment at which only one can run changes nothing. It is guessed
//!   from the schedules before, and part of the [plan](super::Plan), so that a schedule can be done again.
//! - The passing of time is a process with a priority of its own.
//! - Who has won very often in a row falls to the lowest; and long after the schedule should have been over, the walk
//!   becomes an even one. A program that spins until somebody else has done something would otherwise never end.

use super::rng::Rng;
use super::{CLOCK, Candidate, Kind, Strategy};

/// The priorities of processes that have none yet.
const UNBORN: u64 = 0;

/// Who has this or more was given it at birth; below are those that fell.
const BORN: u64 = 1 << 63;

/// Wins in a row after which a process falls. More than a process of a kernel has steps, and few enough that one which
/// spins costs little.
const PATIENCE: u32 = 512;

/// What a first schedule is taken to have.
const LENGTH_AT_FIRST: u64 = 16;

/// The guess grows no longer than this: beyond it a change point hits nothing in particular, and a program that only goes
/// on because it is starved must not make the next schedule longer still.
const LENGTH_MAX: u64 = 1 << 14;

#[derive(Debug)]
pub(crate) struct Pct {
    rng: Rng,
    depth: u32,
    length: u64,
    /// By task number.
    priorities: Vec<u64>,
    clock: u64,
    /// Moments of change that are still to come, the next one last.
    changes: Vec<u64>,
    /// The priority of the next one that falls; lower each time.
    fallen: u64,
    step: u64,
    /// After this the walk is even.
    end: u64,
    last: u32,
    in_a_row: u32,
    guess: u64,
    tasks: usize,
}

impl Pct {
    /// For bugs of up to this depth.
    pub(crate) fn new(depth: u32) -> Self {
        Self {
            rng: Rng::default(),
            depth,
            length: LENGTH_AT_FIRST,
            priorities: Vec::new(),
            clock: UNBORN,
            changes: Vec::new(),
            fallen: BORN,
            step: 0,
            end: 0,
            last: CLOCK,
            in_a_row: 0,
            guess: LENGTH_AT_FIRST,
            tasks: 1,
        }
    }

    /// What the next schedule is for, and over how many choices its changes are spread.
    pub(crate) fn plan(&mut self, depth: u32, length: u64) {
        self.depth = depth;
        self.length = length.clamp(1, LENGTH_MAX);
    }

    /// How many choices about tasks the next schedule probably has.
    pub(crate) fn guess(&self) -> u64 {
        self.guess
    }

    /// How many processes there were at most, as far as this walk has seen.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks
    }

    #[inline(always)]
    fn priority(&mut self, task: u32) -> u64 {
        match self.priorities.get(task as usize) {
            Some(priority) if *priority != UNBORN => *priority,
            _ => self.birth(task),
        }
    }

    /// The priority of one that has been met for the first time, or of time.
    #[cold]
    fn birth(&mut self, task: u32) -> u64 {
        if task == CLOCK {
            return self.clock;
        }
        let index = task as usize;
        if index >= self.priorities.len() {
            self.priorities.resize(index + 1, UNBORN);
        }
        self.priorities[index] = BORN | self.rng.next();
        self.priorities[index]
    }

    /// Below all others from now on.
    fn fall(&mut self, task: u32) {
        self.fallen -= 1;
        match task {
            CLOCK => self.clock = self.fallen,
            task => self.priorities[task as usize] = self.fallen,
        }
    }

    #[inline]
    fn highest(&mut self, candidates: &[Candidate]) -> usize {
        let mut best = (0, self.priority(candidates[0].task));
        for (index, candidate) in candidates.iter().enumerate().skip(1) {
            let priority = self.priority(candidate.task);
            if priority > best.1 {
                best = (index, priority);
            }
        }
        best.0
    }
}

impl Strategy for Pct {
    fn begin(&mut self, seed: u64) -> bool {
        self.rng = Rng::new(seed);
        self.tasks = self.tasks.max(self.priorities.len());
        self.priorities.clear();
        self.clock = BORN | self.rng.next();
        self.changes.clear();
        for _ in 1..self.depth {
            let moment = 1 + self.rng.below(self.length);
            self.changes.push(moment);
        }
        self.changes.sort_unstable_by(|one, other| other.cmp(one));
        self.fallen = BORN;
        self.step = 0;
        self.end = 2 * self.length + 4 * u64::from(PATIENCE);
        self.last = CLOCK;
        self.in_a_row = 0;
        true
    }

    #[inline]
    fn task(&mut self, candidates: &[Candidate]) -> usize {
        self.step += 1;
        if self.step > self.end {
            return self.rng.below(candidates.len() as u64) as usize;
        }
        let mut chosen = self.highest(candidates);
        while self.changes.last().is_some_and(|moment| *moment <= self.step) {
            self.changes.pop();
            self.fall(candidates[chosen].task);
            chosen = self.highest(candidates);
        }
        let task = candidates[chosen].task;
        if task == self.last {
            self.in_a_row += 1;
        } else {
            self.last = task;
            self.in_a_row = 0;
        }
        if self.in_a_row == PATIENCE {
            self.in_a_row = 0;
            self.fall(task);
        }
        chosen
    }

    #[inline]
    fn pick(&mut self, _: Kind, below: u64) -> u64 {
        self.rng.below(below)
    }

    fn end(&mut self, choices: u64) {
        // The longest so far, slowly forgotten: the guarantee wants an upper bound, and one strange schedule should not
        // spread the changes too thin for ever.
        self.guess = choices.max(self.guess - self.guess / 16).clamp(1, LENGTH_MAX);
    }
}
