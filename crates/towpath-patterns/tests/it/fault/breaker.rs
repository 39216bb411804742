//! The breaker and the budget against models that remember everything.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use towpath_patterns::fault::{Breaker, Budget, Call, Circuit, Tolerance};

const PAUSE: Duration = Duration::from_secs(5);
const TOLERANCE: Tolerance =
    Tolerance { calls: 6, share: 0.5, at_least: 3, pause: PAUSE, probes: 2 };

#[derive(Clone, Debug)]
enum Act {
    Begin,
    /// The nth call that is under way ends.
    End(usize, bool),
    /// The nth call that is under way is never heard of again.
    Forget(usize),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => Just(Act::Begin),
        5 => (0..4_usize, any::<bool>()).prop_map(|(nth, well)| Act::End(nth, well)),
        1 => (0..4_usize).prop_map(Act::Forget),
        2 => (0..7_u64).prop_map(Act::Wait),
    ]
}

/// Everything that was ever said, in ages: an age ends with each change of state.
#[derive(Default)]
struct Model {
    /// In the current age: results, and when its probes began.
    results: Vec<bool>,
    probes: Vec<u64>,
    age: u64,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Debug)]
enum State {
    #[default]
    Closed,
    Open(u64),
    Half,
}

impl Model {
    fn change(&mut self, state: State) {
        *self = Self { state, age: self.age + 1, ..Self::default() };
    }

    /// The age of the call, if it may go.
    fn may_call(&mut self, now: u64) -> Option<u64> {
        match self.state {
            State::Closed => {}
            State::Open(until) if now < until => return None,
            State::Open(_) => self.change(State::Half),
            State::Half => {
                let under_way = self.probes.len() - self.results.len();
                if under_way >= 2 {
                    let last = *self.probes.last().unwrap();
                    if now < last + PAUSE.as_secs() {
                        return None;
                    }
                    self.change(State::Half);
                }
            }
        }
        if self.state == State::Half {
            self.probes.push(now);
        }
        Some(self.age)
    }

    fn ended(&mut self, age: u64, well: bool, now: u64) {
        if age != self.age {
            return;
        }
        self.results.push(well);
        let last: Vec<bool> = self.results.iter().rev().take(6).copied().collect();
        let failed = last.iter().filter(|well| !**well).count();
        match self.state {
            State::Closed if last.len() >= 3 && failed * 2 >= last.len() && failed > 0 => {
                self.change(State::Open(now + PAUSE.as_secs()));
            }
            State::Half if !well => self.change(State::Open(now + PAUSE.as_secs())),
            State::Half if self.results.len() >= 2 => self.change(State::Closed),
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn the_breaker_does_what_the_model_does(acts in proptest::collection::vec(act(), 1..120)) {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let (mut breaker, mut model) = (Breaker::new(TOLERANCE), Model::default());
        let mut under_way: Vec<(Call, u64)> = Vec::new();
        let mut now = 0;
        for act in acts {
            match act {
                Act::Begin => match (breaker.may_call(at(now)), model.may_call(now)) {
                    (Ok(call), Some(age)) => under_way.push((call, age)),
                    (Err(refused), None) => prop_assert!(refused.until > at(now)),
                    (breaker, model) => prop_assert!(false, "{breaker:?} but {model:?}"),
                },
                Act::End(nth, well) if nth < under_way.len() => {
                    let (call, age) = under_way.remove(nth);
                    breaker.ended(call, well, at(now));
                    model.ended(age, well, now);
                }
                Act::Forget(nth) if nth < under_way.len() => drop(under_way.remove(nth)),
                Act::Wait(seconds) => now += seconds,
                Act::End(..) | Act::Forget(_) => {}
            }
            let expected = match model.state {
                State::Closed => Circuit::Closed,
                State::Open(until) => Circuit::Open { until: at(until) },
                State::Half => Circuit::HalfOpen,
            };
            prop_assert_eq!(breaker.circuit(), expected);
        }
    }

    #[test]
    fn a_budget_allows_no_more_than_it_was_paid(
        share in 0.0..2.0_f64,
        reserve in 0..5_u32,
        acts in proptest::collection::vec(any::<bool>(), 1..200),
    ) {
        let budget = Budget::new(share, reserve);
        let share = (share * 1_000.0).round() / 1_000.0;
        let (mut left, mut calls, mut retries) = (f64::from(reserve), 0.0, 0.0);
        for call in acts {
            if call {
                budget.clone().called();
                calls += 1.0;
                left = (left + share).min(f64::from(reserve).max(1.0));
            } else {
                // A thousandth is the unit; sums of floats are not exact.
                let allowed = left > 1.0 - 0.000_1;
                prop_assert_eq!(budget.take(), allowed);
                if allowed {
                    left -= 1.0;
                    retries += 1.0;
                }
            }
            prop_assert!(retries <= f64::from(reserve) + share * calls + 0.000_1);
        }
    }
}

#[test]
fn a_late_failure_from_before_does_not_open_it_again() {
    let now = Instant::now();
    let mut breaker = Breaker::new(Tolerance { calls: 2, at_least: 1, ..TOLERANCE });
    let (slow, quick) = (breaker.may_call(now).unwrap(), breaker.may_call(now).unwrap());
    breaker.ended(quick, false, now);
    let later = now + PAUSE;
    for _ in 0..2 {
        let probe = breaker.may_call(later).unwrap();
        breaker.ended(probe, true, later);
    }
    assert_eq!(breaker.circuit(), Circuit::Closed);
    breaker.ended(slow, false, later);
    assert_eq!(breaker.circuit(), Circuit::Closed);
}
