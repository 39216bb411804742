//! Virtual time and its timers.
//!
//! What always holds: the clock never goes back, and it passes no timer that somebody awaits without ringing it.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
    time::{Duration, Instant},
};

use towpath::rt::{self, sim::Ring};

/// Time since the schedule began, and what rings when.
pub(super) struct Clock {
    /// What `Instant` counts from; no program can tell one from another.
    origin: Instant,
    now: Duration,
    timers: BinaryHeap<Reverse<Timer>>,
    set: u64,
}

/// Whom a timer wakes.
pub(super) enum Rings {
    Somebody(Arc<dyn Ring>),
    /// A thread in its park of this number.
    Sleeper {
        task: u32,
        park: u64,
    },
}

struct Timer {
    at: Duration,
    /// Equal times ring in the order in which they were set.
    count: u64,
    rings: Rings,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.count).cmp(&(other.at, other.count))
    }
}

impl Clock {
    pub(super) fn new() -> Self {
        // Asked outside of any simulation: the machine's own time, as a fixed point.
        Self { origin: rt::now(), now: Duration::ZERO, timers: BinaryHeap::new(), set: 0 }
    }

    pub(super) fn reset(&mut self) {
        self.now = Duration::ZERO;
        self.timers.clear();
        self.set = 0;
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now
    }

    pub(super) fn now(&self) -> Instant {
        self.origin + self.now
    }

    pub(super) fn has_passed(&self, deadline: Instant) -> bool {
        self.now() >= deadline
    }

    pub(super) fn set(&mut self, deadline: Instant, rings: Rings) {
        let at = deadline.saturating_duration_since(self.origin);
        let count = self.set;
        self.set += 1;
        self.timers.push(Reverse(Timer { at, count, rings }));
    }

    /// Whether there are timers, awaited or not.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        !self.timers.is_empty()
    }

    /// How long until the next timer that `awaited` says somebody awaits.
    pub(super) fn until_next(&mut self, awaited: impl Fn(&Rings) -> bool) -> Option<Duration> {
        while let Some(Reverse(first)) = self.timers.peek() {
            if awaited(&first.rings) {
                return Some(first.at.saturating_sub(self.now));
            }
            self.timers.pop();
        }
        None
    }

    /// Goes on to the next timer and takes it, with all that ring at the same time.
    pub(super) fn jump(&mut self) -> Vec<Rings> {
        match self.timers.peek() {
            Some(Reverse(first)) => self.pass(first.at.saturating_sub(self.now)),
            None => Vec::new(),
        }
    }

    /// Goes on by so much, and takes the timers that ring until then.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Rings> {
        self.now += time;
        let mut due = Vec::new();
        while self.timers.peek().is_some_and(|Reverse(next)| next.at <= self.now) {
            due.extend(self.timers.pop().map(|Reverse(timer)| timer.rings));
        }
        due
    }
}
