//! A circuit breaker: stops asking whoever fails most of the time, and finds out carefully when that is over.
//!
//! What always holds:
//! - Results count only for the state in which their call began: a slow failure from before cannot open it again.
//! - While it is half open, at most the configured number of probes is under way.
//! - A call that never reports (it was cancelled) does not keep it half open: after the pause another probe may go.
//!
//! ```text
//!             failures ≥ share of the last calls
//!   Closed ───────────────────────────────────────▶ Open
//!     ▲                                             │ │ ▲
//!     │ enough probes went well          the pause  │ │ │ a probe failed
//!     └─────────────── HalfOpen ◀───────────────────┘ │ │
//!                          └──────────────────────────┼─┘
//!                                          refuses everybody meanwhile
//! ```
//!
//! A value: time comes in, decisions come out. Whoever shares one puts it behind a lock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// When a [`Breaker`] opens and closes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// So many of the last calls are looked at.
    pub calls: usize,
    /// Opens when at least this part of them failed: 0.5 is half.
    pub share: f64,
    /// Not before so many calls were made.
    pub at_least: usize,
    /// Refuses for so long, then tries carefully.
    pub pause: Duration,
    /// So many probes may be under way when it tries, and so many have to go well in a row.
    pub probes: u32,
}

impl Default for Tolerance {
    /// Half of the last 20 calls, not before 10; pauses for 5 seconds; one probe.
    fn default() -> Self {
        Self { calls: 20, share: 0.5, at_least: 10, pause: Duration::from_secs(5), probes: 1 }
    }
}

/// The three states of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// All is well: every call may go.
    Closed,
    /// Too many failed: nobody may, until then.
    Open {
        /// The end of the pause.
        until: Instant,
    },
    /// Probes may go, one of which decides.
    HalfOpen,
}

/// A circuit breaker, as a value.
///
/// ```
/// use std::time::{Duration, Instant};
/// use towpath_patterns::fault::{Breaker, Circuit, Tolerance};
///
/// let pause = Duration::from_secs(5);
/// let mut breaker = Breaker::new(Tolerance { calls: 4, at_least: 2, pause, ..Tolerance::default() });
/// let start = Instant::now();
/// for _ in 0..2 {
///     let call = breaker.may_call(start).unwrap();
///     breaker.ended(call, false, start);
/// }
/// assert_eq!(breaker.may_call(start).unwrap_err().until, start + pause);
///
/// let later = start + pause;
/// let probe = breaker.may_call(later).unwrap();
/// breaker.ended(probe, true, later);
/// assert_eq!(breaker.circuit(), Circuit::Closed);
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    tolerance: Tolerance,
    state: State,
    /// Counts changes of the state, so that late results are known as such.
    age: u64,
}

#[derive(Clone, Debug)]
enum State {
    Closed {
        /// Whether it failed, of the last calls.
        last: VecDeque<bool>,
        failed: usize,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        under_way: u32,
        went_well: u32,
        /// When the last probe was let go.
        since: Instant,
    },
}

/// A call that was let through; give it back with its result.
#[derive(Debug)]
#[must_use = "a call that does not report counts neither way"]
pub struct Call {
    age: u64,
}

/// The breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Asking before this is in vain.
    pub until: Instant,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the breaker is open: too many calls failed; wait until it may be tried again")
    }
}

impl std::error::Error for Refused {}

impl super::Classify for Refused {
    fn class(&self) -> super::Class {
        super::Class::Transient
    }
}

impl Breaker {
    /// A closed one.
    pub fn new(tolerance: Tolerance) -> Self {
        let tolerance = Tolerance {
            calls: tolerance.calls.max(1),
            at_least: tolerance.at_least.clamp(1, tolerance.calls.max(1)),
            probes: tolerance.probes.max(1),
            ..tolerance
        };
        Self { tolerance, state: closed(), age: 0 }
    }

    /// How things stand. An open breaker whose pause is over still says `Open`, until somebody asks to call.
    pub fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed { .. } => Circuit::Closed,
            State::Open { until } => Circuit::Open { until },
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    /// The end of the pause, while it is open.
    pub fn open_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Whether a call may be made now.
    ///
    /// # Errors
    /// [`Refused`], with the time before which asking again is in vain.
    pub fn may_call(&mut self, now: Instant) -> Result<Call, Refused> {
        let Tolerance { pause, probes, .. } = self.tolerance;
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { until } if now < *until => return Err(Refused { until: *until }),
            State::Open { .. } => {
                self.change(State::HalfOpen { under_way: 1, went_well: 0, since: now });
            }
            State::HalfOpen { under_way, since, .. } => {
                let until = later(*since, pause);
                if *under_way >= probes && now < until {
                    return Err(Refused { until });
                }
                if *under_way >= probes {
                    // They never reported. What they may still say is too late.
                    self.change(State::HalfOpen { under_way: 1, went_well: 0, since: now });
                } else {
                    *under_way += 1;
                    *since = now;
                }
            }
        }
        Ok(Call { age: self.age })
    }

    /// A call has ended, well or not.
    pub fn ended(&mut self, call: Call, well: bool, now: Instant) {
        if call.age != self.age {
            return;
        }
        let Tolerance { calls, share, at_least, pause, probes } = self.tolerance;
        let open = match &mut self.state {
            State::Closed { last, failed } => {
                last.push_back(!well);
                *failed += usize::from(!well);
                if last.len() > calls && last.pop_front() == Some(true) {
                    *failed -= 1;
                }
                last.len() >= at_least && *failed > 0 && *failed as f64 >= share * last.len() as f64
            }
            State::HalfOpen { under_way, went_well, .. } => {
                *under_way -= 1;
                *went_well += u32::from(well);
                if well && *went_well >= probes {
                    self.change(closed());
                    return;
                }
                !well
            }
            State::Open { .. } => unreachable!("nobody is let through while it is open"),
        };
        if open {
            self.change(State::Open { until: later(now, pause) });
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.age += 1;
    }
}

fn closed() -> State {
    State::Closed { last: VecDeque::new(), failed: 0 }
}

fn later(start: Instant, pause: Duration) -> Instant {
    /// As good as for ever, where a time cannot be represented: a year.
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(pause).unwrap_or_else(|| start + YEAR)
}
