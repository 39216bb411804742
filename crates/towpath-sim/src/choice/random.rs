//! Random walks: the even one, and those that lean to one side.
//!
//! A walk that is even at each step is far from even over whole schedules: with many steps it nearly always alternates
//! quickly, so a bug that needs one process to be far ahead or far behind is out of its reach. Each leaning walk reaches
//! what the even one does not.

use super::rng::Rng;
use super::{CLOCK, Candidate, Kind, Strategy};

/// Where a walk leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lean {
    /// Nowhere: each candidate alike.
    Even,
    /// To the default: a pre-emption once in 4 to 64 choices, as the seed has it. Most bugs need one or two
    /// pre-emptions and long stretches without one (Musuvathi and Qadeer, PLDI 2007).
    Default,
    /// Away from one process, which runs once in 256 choices if others can: everything is ready before it is.
    AwayFrom(u32),
    /// Timers are late: time passes once in 64 times that it could.
    Late,
    /// Timers are early: time passes every second time that it could, so a timeout beats what it guards.
    Early,
}

/// How rarely a starved process runs all the same, or a program that spins until it has run would not end.
const STARVED_RUNS_ONCE_IN: u64 = 256;

/// How rarely time passes for late timers.
const LATE_ONCE_IN: u64 = 64;

/// A walk that decides each step by itself.
#[derive(Debug)]
pub(crate) struct Random {
    rng: Rng,
    lean: Lean,
    /// With [`Lean::Default`]: a pre-emption once in so many choices.
    stay: u64,
}

impl Random {
    pub(crate) fn new(lean: Lean) -> Self {
        Self { rng: Rng::default(), lean, stay: 0 }
    }

    pub(crate) fn lean(&mut self, lean: Lean) {
        self.lean = lean;
    }
}

impl Strategy for Random {
    fn begin(&mut self, seed: u64) -> bool {
        self.rng = Rng::new(seed);
        if self.lean == Lean::Default {
            self.stay = 4 << self.rng.below(5);
        }
        true
    }

    #[inline]
    fn task(&mut self, candidates: &[Candidate]) -> usize {
        let count = candidates.len();
        let others = count - 1;
        let clock = candidates[others].task == CLOCK;
        match self.lean {
            Lean::Even => self.index(count),
            Lean::Default if self.rng.once_in(self.stay) => 1 + self.index(others),
            Lean::Default => 0,
            Lean::AwayFrom(victim) => {
                let chosen = self.index(count);
                if candidates[chosen].task != victim || self.rng.once_in(STARVED_RUNS_ONCE_IN) {
                    return chosen;
                }
                // One of the others, each alike: the victim's place is left out.
                let other = self.index(others);
                other + usize::from(other >= chosen)
            }
            Lean::Late if clock => {
                if self.rng.once_in(LATE_ONCE_IN) {
                    others
                } else {
                    self.index(others)
                }
            }
            Lean::Early if clock && self.rng.once_in(2) => others,
            Lean::Early if clock => self.index(others),
            Lean::Late | Lean::Early => self.index(count),
        }
    }

    #[inline]
    fn pick(&mut self, _: Kind, below: u64) -> u64 {
        self.rng.below(below)
    }
}

impl Random {
    #[inline]
    fn index(&mut self, below: usize) -> usize {
        self.rng.below(below as u64) as usize
    }
}
