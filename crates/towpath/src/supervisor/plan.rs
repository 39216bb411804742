//! What a supervisor does next: a value that is told what happened and when, and answers with orders. It does no I/O.
//!
//! What always holds:
//! - While a child is being stopped nobody is started; so of those that restart together none meets an old sibling.
//! - Those that restart together start in the order of their declaration.
//! - Once there is an ending, nobody is started, and the last child to go finishes the plan.
//!
//! ```text
//!            start                 ends by itself, is to restart
//!   Down ────────────▶ Up ─────────────────────────────────────▶ Down
//!    ▲                 │ ends otherwise                            │ cannot restart any more
//!    │ has stopped     ├──────────────────▶ Gone ◀─────────────────┘
//!    └──── Stopping ◀──┘ a sibling takes it along
//! ```

use std::{collections::VecDeque, time::Instant};

use super::policy::{Backoff, Intensity, OnExit, Strategy};

/// An order to whoever runs the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Start(usize),
    /// Ask it to stop; that it has ended is told in any case.
    Stop(usize),
    /// It will not be started again: its ports can go.
    Forget(usize),
    /// Nobody is left.
    Finish,
}

/// Why a supervisor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A child ended with which all end, by agreement.
    Together,
    /// A child would have to be restarted once more than is allowed.
    GaveUp,
    /// It was asked to.
    Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be started at this time, or when nobody is being stopped any more.
    Down(Instant),
    Up {
        since: Instant,
    },
    /// Asked to stop. When it has, it is down until then, or gone.
    Stopping(Option<Instant>),
    Gone,
}

struct Child {
    on_exit: OnExit,
    state: State,
    /// Failures in a row.
    failures: u32,
}

pub(super) struct Plan {
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    children: Vec<Child>,
    /// When the last restarts were decided, as far back as the window reaches.
    restarts: VecDeque<Instant>,
    ending: Option<Ending>,
}

impl Plan {
    pub(super) fn new(strategy: Strategy, intensity: Intensity, backoff: Backoff) -> Self {
        Self {
            strategy,
            intensity,
            backoff,
            children: Vec::new(),
            restarts: VecDeque::new(),
            ending: None,
        }
    }

    /// Adds a child, to be started at `now`.
    pub(super) fn add(&mut self, on_exit: OnExit, now: Instant) {
        self.children.push(Child { on_exit, state: State::Down(now), failures: 0 });
    }

    /// A child has ended. `chance` is a random number.
    pub(super) fn ended(
        &mut self,
        index: usize,
        failed: bool,
        now: Instant,
        chance: u64,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        match self.children[index].state {
            State::Up { since } => {
                self.ended_by_itself(index, failed, since, now, chance, &mut orders)
            }
            State::Stopping(Some(until)) => self.children[index].state = State::Down(until),
            State::Stopping(None) => self.forget(index, &mut orders),
            State::Down(_) | State::Gone => {}
        }
        self.settle(now, &mut orders);
        orders
    }

    /// It is `now`, perhaps time to start somebody.
    pub(super) fn look(&mut self, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        self.settle(now, &mut orders);
        orders
    }

    /// Asked to end.
    pub(super) fn end(&mut self, now: Instant) -> Vec<Order> {
        self.ending.get_or_insert(Ending::Asked);
        self.look(now)
    }

    /// When to look again, unless somebody ends before.
    pub(super) fn look_at(&self) -> Option<Instant> {
        if self.is_stopping() {
            return None;
        }
        let due = |child: &Child| match child.state {
            State::Down(until) => Some(until),
            _ => None,
        };
        self.children.iter().filter_map(due).min()
    }

    fn ended_by_itself(
        &mut self,
        index: usize,
        failed: bool,
        since: Instant,
        now: Instant,
        chance: u64,
        orders: &mut Vec<Order>,
    ) {
        match (self.children[index].on_exit, failed) {
            (OnExit::Restart, _) | (OnExit::RestartOnFailure, true) => {}
            (OnExit::RestartOnFailure, false) | (OnExit::Leave, _) => {
                return self.forget(index, orders);
            }
            (OnExit::Stop, _) => {
                self.ending.get_or_insert(Ending::Together);
                return self.forget(index, orders);
            }
        }
        if !self.may_restart(now) {
            self.ending = Some(Ending::GaveUp);
            return self.forget(index, orders);
        }
        let child = &mut self.children[index];
        if now.saturating_duration_since(since) >= self.intensity.within {
            child.failures = 0;
        }
        let delay = self.backoff.delay(child.failures, chance);
        child.failures = child.failures.saturating_add(1);
        let until = crate::rt::later(now, delay);
        child.state = State::Down(until);
        let along = match self.strategy {
            Strategy::OneForOne => index..index,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => index + 1..self.children.len(),
        };
        for other in along {
            let child = &mut self.children[other];
            match &mut child.state {
                // Whoever stops for good when asked to does not come back.
                State::Up { .. } => {
                    let back = (child.on_exit != OnExit::Leave).then_some(until);
                    child.state = State::Stopping(back);
                    orders.push(Order::Stop(other));
                }
                State::Down(theirs) | State::Stopping(Some(theirs)) => *theirs = until.max(*theirs),
                State::Stopping(None) | State::Gone => {}
            }
        }
    }

    /// Whether another restart is within bounds; if so it is counted.
    fn may_restart(&mut self, now: Instant) -> bool {
        let Intensity { restarts, within } = self.intensity;
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= within;
        while self.restarts.front().is_some_and(is_old) {
            self.restarts.pop_front();
        }
        let allowed = self.restarts.len() < restarts as usize;
        if allowed {
            self.restarts.push_back(now);
        }
        allowed
    }

    fn forget(&mut self, index: usize, orders: &mut Vec<Order>) {
        self.children[index].state = State::Gone;
        orders.push(Order::Forget(index));
    }

    fn is_stopping(&self) -> bool {
        self.children.iter().any(|child| matches!(child.state, State::Stopping(_)))
    }

    /// Starts whoever is due; or, when it is to end, stops whoever is there.
    fn settle(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if self.ending.is_some() {
            for index in 0..self.children.len() {
                match self.children[index].state {
                    State::Up { .. } => {
                        self.children[index].state = State::Stopping(None);
                        orders.push(Order::Stop(index));
                    }
                    State::Stopping(_) => self.children[index].state = State::Stopping(None),
                    State::Down(_) => self.forget(index, orders),
                    State::Gone => {}
                }
            }
        } else if !self.is_stopping() {
            for (index, child) in self.children.iter_mut().enumerate() {
                if matches!(child.state, State::Down(until) if until <= now) {
                    child.state = State::Up { since: now };
                    orders.push(Order::Start(index));
                }
            }
        }
        if self.children.iter().all(|child| child.state == State::Gone) {
            orders.push(Order::Finish);
        }
    }

    /// Whether the child runs and was not asked to stop.
    pub(super) fn is_up(&self, index: usize) -> bool {
        matches!(self.children[index].state, State::Up { .. })
    }

    /// Why all are to end, once that is so.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// What is allowed, for the message of a supervisor that gives up.
    pub(super) fn intensity(&self) -> Intensity {
        self.intensity
    }
}

#[cfg(test)]
mod tests;
