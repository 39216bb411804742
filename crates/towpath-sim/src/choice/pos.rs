//! Partial order sampling: every order of events that race is met about as often as any other.
//!
//! Yuan, Yang, Gu: "Partial order aware concurrency sampling", CAV 2018. Each event, that is, what a process would do
//! next, gets a random priority; the highest runs. Then those that raced with it draw again, since only between events on
//! one object does the order matter, and a new draw makes the next order between them independent of the last.
//!
//! An event without a known object races with everything. The passing of time races with nothing here: it keeps its
//! priority until it wins, and each event that is done brings a new draw against it.
//!
//! What differs here: everybody draws again once in a while. A process that spins draws again at each look, and would have
//! to draw something lower than the one it waits for; the mean of that time is infinite.

use super::rng::Rng;
use super::{CLOCK, Candidate, Kind, Op, Strategy};

/// Choices after which everybody draws again: more than a kernel has, so that an event can be put off to its end.
const ROUND: u64 = 512;

/// No priority was drawn.
const NONE: u64 = 0;

#[derive(Clone, Copy, Debug)]
struct Event {
    priority: u64,
    object: u32,
    op: Op,
}

#[derive(Debug)]
pub(crate) struct Pos {
    rng: Rng,
    /// What each process would do next, by its number.
    events: Vec<Event>,
    clock: u64,
    step: u64,
}

impl Pos {
    pub(crate) fn new() -> Self {
        Self { rng: Rng::default(), events: Vec::new(), clock: NONE, step: 0 }
    }

    #[inline]
    fn priority(&mut self, candidate: &Candidate) -> u64 {
        if candidate.task == CLOCK {
            if self.clock == NONE {
                self.clock = self.rng.next() | 1;
            }
            return self.clock;
        }
        let index = candidate.task as usize;
        let (object, op) = (candidate.object, candidate.op);
        if index >= self.events.len() {
            self.events.resize(index + 1, Event { priority: NONE, object: 0, op: Op::Other });
        }
        let event = &mut self.events[index];
        // It may have gone on where nobody had a choice, and then this is another event.
        if event.priority == NONE || event.object != object || event.op != op {
            *event = Event { priority: self.rng.next() | 1, object, op };
        }
        event.priority
    }

    fn forget(&mut self) {
        self.events.clear();
        self.clock = NONE;
    }
}

impl Strategy for Pos {
    fn begin(&mut self, seed: u64) -> bool {
        self.rng = Rng::new(seed);
        self.step = 0;
        self.forget();
        true
    }

    #[inline]
    fn task(&mut self, candidates: &[Candidate]) -> usize {
        self.step += 1;
        if self.step.is_multiple_of(ROUND) {
            self.forget();
        }
        let mut best = (0, NONE);
        for (index, candidate) in candidates.iter().enumerate() {
            let priority = self.priority(candidate);
            if priority > best.1 {
                best = (index, priority);
            }
        }
        let chosen = candidates[best.0];
        if chosen.task == CLOCK {
            self.clock = NONE;
            return best.0;
        }
        for other in candidates {
            let races = other.object == chosen.object || other.object == 0 || chosen.object == 0;
            if other.task != CLOCK && (races || other.task == chosen.task) {
                self.events[other.task as usize].priority = NONE;
            }
        }
        best.0
    }

    #[inline]
    fn pick(&mut self, _: Kind, below: u64) -> u64 {
        self.rng.below(below)
    }
}
