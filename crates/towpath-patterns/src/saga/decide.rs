//! What a saga does about what happens: events and the time in, records out. Does no I/O, has no clock and no chance.
//!
//! What always holds:
//! - Every change is a record, which was applied before the next is decided. So the records of a saga, applied again, give
//!   its state.
//! - A call follows from an intent, and from nothing else: whoever sees [`State::call`] after the intent is durable makes
//!   that call, and no other.
//! - Compensations run one at a time, the highest step first, over all steps that are done or in doubt.
//! - What is over, paused or dead calls nobody.

use std::sync::Arc;

use super::plan::{Kind, Millis, Plan, millis};
use super::record::{How, Record, Then, Why};
use super::state::{Mark, Phase, State, Work};

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done, with this result.
    Done(Arc<[u8]>),
    /// It is not, or nobody knows.
    Not(How, String),
}

/// What can happen to a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time has passed, or it has just begun.
    Tick,
    /// A call was answered, or will not be.
    Answer {
        /// Which step.
        step: u16,
        /// Its compensation, and not the step itself.
        undo: bool,
        /// Which call of it.
        attempt: u32,
        /// How it ended.
        verdict: Verdict,
    },
    /// The coordinator died and is back: whatever was called has no answer.
    Reopened,
    /// Somebody tells it something.
    Signal {
        /// Which signal.
        name: Arc<str>,
        /// Two with the same key are one.
        dedup: Arc<str>,
        /// What is told.
        payload: Arc<[u8]>,
    },
    /// Somebody wants it to call nobody for a while.
    Pause(String),
    /// Somebody wants it to go on.
    Resume,
    /// Somebody wants it taken back.
    Cancel(String),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the records.
    Noted,
    /// It changes nothing: late, said before, or over.
    Ignored,
    /// It cannot be cancelled any more: the point of no return has been called.
    TooLate,
}

/// The call that an intent announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToCall {
    /// Which step.
    pub step: u16,
    /// Its compensation, and not the step itself.
    pub undo: bool,
    /// Which call of it.
    pub attempt: u32,
}

/// What a decision has at hand.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The steps; of the version and shape that the saga was started with.
    pub plan: &'a Plan,
    /// The time.
    pub now: Millis,
    /// A random number.
    pub chance: u64,
}

impl State {
    /// Reacts to an event: appends the records that follow, which are applied already.
    pub fn take(&mut self, event: Event, moment: Moment<'_>, out: &mut Vec<Record>) -> Taken {
        let before = out.len();
        match self.hear(event, moment, out) {
            Taken::Noted => {}
            other => return other,
        }
        self.go_on(moment, out);
        if out.len() > before { Taken::Noted } else { Taken::Ignored }
    }

    /// As [`take`](Self::take), but whatever follows from the event waits for the next [`Tick`](Event::Tick): for who must not be called
    /// now.
    pub fn hear(&mut self, event: Event, moment: Moment<'_>, out: &mut Vec<Record>) -> Taken {
        match event {
            Event::Tick => {}
            Event::Answer { step, undo, attempt, verdict } => {
                self.answer(ToCall { step, undo, attempt }, verdict, moment, out);
            }
            Event::Reopened => self.reopened(moment, out),
            Event::Signal { name, dedup, payload } => {
                let record = Record::Signal { name, dedup, payload };
                if !self.note(record, out) {
                    return Taken::Ignored;
                }
            }
            Event::Pause(reason) => {
                if !self.note(Record::Paused { why: Why::Asked, reason }, out) {
                    return Taken::Ignored;
                }
            }
            Event::Resume => {
                if !self.note(Record::Resumed, out) {
                    return Taken::Ignored;
                }
            }
            Event::Cancel(reason) => {
                if self.phase == Phase::Forward && !self.may_cancel(moment.plan) {
                    return Taken::TooLate;
                }
                if !self.note(Record::Cancelled { reason }, out) {
                    return Taken::Ignored;
                }
            }
        }
        Taken::Noted
    }

    /// The call that is under way.
    pub fn call(&self) -> Option<ToCall> {
        (self.work == Work::Called && !self.is_over()).then_some(ToCall {
            step: self.step,
            undo: self.phase == Phase::Back,
            attempt: self.attempt,
        })
    }

    /// When to [`Tick`](Event::Tick) it, if nothing happens before. What is called has its timeout with the caller.
    pub fn due(&self, plan: &Plan) -> Option<Millis> {
        if self.is_over() || self.is_held() {
            return None;
        }
        let work = match self.work {
            // Whatever comes next has been begun already.
            Work::Idle | Work::Called => None,
            Work::Retry(at) => Some(at),
            Work::Waiting { due, .. } => Some(due).filter(|due| *due != Millis::MAX),
        };
        let deadline = self.deadline.filter(|_| self.may_turn(plan));
        work.into_iter().chain(deadline).min()
    }

    /// Whether a process would be put to the last test: one more death with this call in hand, and it is quarantine.
    pub fn is_last_chance(&self, plan: &Plan) -> bool {
        // A call that has no answer yet when this is asked had none when its process died.
        let deaths = self.deaths + u32::from(self.work == Work::Called);
        deaths > 0 && deaths + 1 >= plan.deaths
    }

    /// Whether processes have died with its call in hand.
    pub fn is_suspect(&self) -> bool {
        self.deaths > 0
    }

    fn may_cancel(&self, plan: &Plan) -> bool {
        let at = usize::from(self.step);
        let pivot_called = self.attempt > 0 && plan.steps.get(at).is_some_and(|it| it.is_pivot());
        self.phase == Phase::Forward && !plan.past_pivot(at) && !pivot_called
    }

    fn may_turn(&self, plan: &Plan) -> bool {
        self.cancelled.is_none() && self.may_cancel(plan)
    }

    /// Applies a record and appends it; false if it does not fit.
    fn note(&mut self, record: Record, out: &mut Vec<Record>) -> bool {
        let fits = self.apply(&record).is_ok();
        if fits {
            out.push(record);
        }
        fits
    }

    fn answer(&mut self, of: ToCall, verdict: Verdict, m: Moment<'_>, out: &mut Vec<Record>) {
        let ToCall { step, undo, attempt } = of;
        let current = !self.is_over()
            && step == self.step
            && undo == (self.phase == Phase::Back)
            && attempt <= self.attempt;
        if !current {
            return;
        }
        match verdict {
            // Also of a call that was taken to be lost: done is done.
            Verdict::Done(_) if undo => _ = self.note(Record::CompDone { step }, out),
            Verdict::Done(output) => _ = self.note(Record::StepDone { step, output }, out),
            Verdict::Not(how, reason) if self.call() == Some(of) => {
                self.fail(how, reason, m, out);
            }
            Verdict::Not(..) => {}
        }
    }

    fn reopened(&mut self, m: Moment<'_>, out: &mut Vec<Record>) {
        if self.call().is_some() {
            self.fail(How::Crashed, "the coordinator's process ended".to_owned(), m, out);
        }
    }

    /// The call under way, or the wait for a signal, has failed.
    fn fail(&mut self, how: How, reason: String, m: Moment<'_>, out: &mut Vec<Record>) {
        let (step, attempt, undo) = (self.step, self.attempt, self.phase == Phase::Back);
        let patience = m.plan.patience(step, undo);
        let tries = self.tries + u32::from(how.is_try());
        let deaths = self.deaths + u32::from(how.is_death());
        let exhausted = how.is_try() && patience.is_none_or(|it| tries >= it.backoff.attempts);
        let over = how == How::Refused || exhausted;
        let quarantine = how.is_death() && deaths >= m.plan.deaths;
        let pause = match patience {
            Some(it) if !matches!(how, How::Crashed | How::Stopped) => {
                let pause = millis(it.backoff.pause(tries + deaths, m.chance));
                // By chance none at all; but a suspect is called by the gate, and so not at once.
                pause.max(u64::from(how.is_death()))
            }
            // Later than now, or it would be called again at once.
            _ if how == How::Stopped => 1,
            // Whoever comes back does so at the pace of the coordinator.
            _ => 0,
        };
        let retry = Then::Retry(m.now.saturating_add(pause));
        if undo {
            let then = if over { Then::GiveUp } else { retry };
            let words = reason.clone();
            self.note(Record::CompFailed { step, attempt, how, then, reason }, out);
            if over {
                let reason = format!("{} cannot be taken back: {words}", name(m.plan, step));
                self.note(Record::DeadLettered { step, reason }, out);
            }
        } else {
            let doubt = how.in_doubt() || self.mark(step) == Mark::Doubt;
            let at = usize::from(step);
            let pivot = m.plan.steps.get(at).is_some_and(|it| it.is_pivot());
            // Behind the point of no return, and on it when nobody knows, there is no way back.
            let stuck = over && (m.plan.past_pivot(at) || pivot && doubt);
            let turn = over && !stuck || self.cancelled.is_some();
            let then = if turn {
                Then::GiveUp
            } else if stuck {
                Then::Retry(m.now)
            } else {
                retry
            };
            let words = reason.clone();
            self.note(Record::StepFailed { step, attempt, how, then, reason }, out);
            if stuck {
                let reason = format!(
                    "{} cannot be done, and there is no way back: {words}",
                    name(m.plan, step)
                );
                self.note(Record::DeadLettered { step, reason }, out);
            }
        }
        if quarantine && self.dead.is_none() && (undo || self.phase == Phase::Forward) {
            let reason = format!(
                "{deaths} processes died with {} in hand; mend it, then resume",
                name(m.plan, step)
            );
            self.note(Record::Paused { why: Why::Quarantine, reason }, out);
        }
    }

    /// Everything that follows without anything more happening.
    fn go_on(&mut self, m: Moment<'_>, out: &mut Vec<Record>) {
        while !self.is_over() && !self.is_held() {
            if self.deadline.is_some_and(|deadline| deadline <= m.now) && self.may_turn(m.plan) {
                let reason = "the deadline has passed".to_owned();
                self.note(Record::Cancelled { reason }, out);
                continue;
            }
            match &self.work {
                Work::Called => return,
                Work::Retry(at) if m.now < *at => return,
                Work::Idle | Work::Retry(_) => {
                    if !self.begin(m, out) {
                        return;
                    }
                }
                Work::Waiting { due, signal } => {
                    let (step, due, signal) = (self.step, *due, signal.clone());
                    let told = signal.as_ref().and_then(|name| {
                        let told = self.signals.iter().find(|(it, _)| it == name);
                        told.map(|(_, payload)| Arc::clone(payload))
                    });
                    if let Some(output) = told {
                        self.note(Record::StepDone { step, output }, out);
                    } else if m.now >= due {
                        self.note(Record::TimerFired { step }, out);
                        if let Some(name) = signal {
                            let reason = format!("signal `{name}` did not come in time");
                            self.fail(How::Refused, reason, m, out);
                        }
                    } else {
                        return;
                    }
                }
            }
        }
    }

    /// Begins what comes next; false when there is nothing more to decide.
    fn begin(&mut self, m: Moment<'_>, out: &mut Vec<Record>) -> bool {
        if self.phase == Phase::Back {
            let to_undo = |at: &usize| {
                matches!(self.marks[*at], Mark::Done | Mark::Doubt)
                    && m.plan.steps.get(*at).is_some_and(|it| it.has_undo())
            };
            let record = match (0..self.marks.len()).rev().find(to_undo) {
                Some(at) => {
                    let step = at as u16;
                    let again = step == self.step && self.attempt > 0;
                    let attempt = if again { self.attempt + 1 } else { 1 };
                    Record::CompIntent { step, attempt }
                }
                None => Record::Compensated,
            };
            return self.note(record, out);
        }
        let step = self.step;
        let record = match m.plan.steps.get(usize::from(step)) {
            None => Record::Completed,
            Some(next) => match &next.kind {
                Kind::Call { .. } => Record::StepIntent { step, attempt: self.attempt + 1 },
                Kind::Sleep(time) => {
                    let due = m.now.saturating_add(millis(*time));
                    Record::TimerSet { step, due, signal: None }
                }
                Kind::Signal(within) => {
                    let due = within.map_or(Millis::MAX, |it| {
                        m.now.saturating_add(millis(it)).min(Millis::MAX - 1)
                    });
                    Record::TimerSet { step, due, signal: Some(Arc::clone(&next.name)) }
                }
            },
        };
        self.note(record, out)
    }
}

fn name(plan: &Plan, step: u16) -> String {
    plan.steps.get(usize::from(step)).map_or("a step".to_owned(), |it| format!("`{}`", it.name))
}
