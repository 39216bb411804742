//! One saga as a value: what its records say. Does no I/O, has no clock and no chance.
//!
//! What always holds:
//! - The state is what [`apply`](State::apply) makes of the records, one after the other: in a replay and live alike. It needs
//!   no plan for that, since every decision was written down as it was made.
//! - A record that does not fit is refused and changes nothing.
//! - A step is called at most once at a time, and a compensation never while its step is.
//!
//! ```text
//!            StepIntent          StepDone                    the last StepDone
//!   Forward ────────────▶ called ─────────▶ Forward ───────────────────────────▶ Completed
//!                           │ StepFailed, given up; or cancelled
//!                           ▼
//!            CompIntent          CompDone              nothing left to take back
//!      Back ────────────▶ called ─────────▶ Back ──────────────────────────────▶ Compensated
//! ```
//!
//! Paused and dead are marks beside that, which keep it from calling anybody.
//! Decisions are in `decide.rs`. Tests: `tests/it/saga/core.rs`, and `model.rs` there against a model of ten lines.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::{error, fmt};

use towpath::Headers;

use super::plan::Millis;
use super::record::{How, Record, Then, Why};

/// Where a saga is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// From step to step.
    Forward,
    /// From compensation to compensation.
    Back,
    /// Ended: every step is done.
    Completed,
    /// Ended: everything is taken back.
    Compensated,
}

/// What is known of one step's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It did not happen.
    Clean,
    /// It may have happened: a call was not answered.
    Doubt,
    /// It happened.
    Done,
    /// It is taken back.
    Undone,
}

/// What the current step, or compensation, is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing yet.
    Idle,
    /// Called, and not answered.
    Called,
    /// To be called again.
    Retry(Millis),
    /// Waiting for this time, or for a signal until then.
    Waiting {
        /// Until when.
        due: Millis,
        /// The signal waited for.
        signal: Option<Arc<str>>,
    },
}

/// A record that cannot come now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// What the saga was doing.
    pub phase: Phase,
    /// The record.
    pub record: Record,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} cannot come in a saga that is {:?}: two coordinators, or another program, wrote to this journal",
            self.record, self.phase
        )
    }
}

impl error::Error for Misplaced {}

/// One saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(super) plan: Arc<str>,
    pub(super) version: u32,
    pub(super) shape: u64,
    pub(super) at: Millis,
    pub(super) deadline: Option<Millis>,
    pub(super) headers: Headers,
    pub(super) input: Arc<[u8]>,
    pub(super) phase: Phase,
    /// Forward: the step that is next or under way. Back: the step that is being taken back.
    pub(super) step: u16,
    pub(super) work: Work,
    /// A mark for each step up to the one under way.
    pub(super) marks: Vec<Mark>,
    /// What the steps answered; shorter than the marks by those that have not.
    pub(super) outputs: Arc<Vec<Arc<[u8]>>>,
    /// Calls of the current step so far.
    pub(super) attempt: u32,
    /// Of those, answered or unanswered tries since the last resume, and deaths.
    pub(super) tries: u32,
    pub(super) deaths: u32,
    pub(super) cancelled: Option<String>,
    pub(super) paused: Option<(Why, String)>,
    pub(super) dead: Option<String>,
    /// Why it turned back, or cannot go on.
    pub(super) trouble: Option<(u16, String)>,
    /// Signals nobody has waited for yet, and the keys of all that have come.
    pub(super) signals: VecDeque<(Arc<str>, Arc<[u8]>)>,
    pub(super) heard: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl State {
    /// The state after the first record.
    ///
    /// # Errors
    /// [`Misplaced`] when that is not [`Record::Started`].
    pub fn new(first: &Record) -> Result<Self, Misplaced> {
        let Record::Started { plan, version, shape, at, deadline, headers, input } = first else {
            return Err(Misplaced { phase: Phase::Forward, record: first.clone() });
        };
        Ok(Self {
            plan: Arc::clone(plan),
            version: *version,
            shape: *shape,
            at: *at,
            deadline: *deadline,
            headers: Headers::new(Arc::clone(headers)),
            input: Arc::clone(input),
            phase: Phase::Forward,
            step: 0,
            work: Work::Idle,
            marks: Vec::new(),
            outputs: Arc::default(),
            attempt: 0,
            tries: 0,
            deaths: 0,
            cancelled: None,
            paused: None,
            dead: None,
            trouble: None,
            signals: VecDeque::new(),
            heard: BTreeSet::new(),
        })
    }

    /// The state after one more record.
    ///
    /// # Errors
    /// [`Misplaced`] when it cannot come now; then nothing has changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), Misplaced> {
        if self.fits(record) {
            self.change(record);
            Ok(())
        } else {
            Err(Misplaced { phase: self.phase, record: record.clone() })
        }
    }

    /// Where it is going.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it has ended, one way or the other.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Completed | Phase::Compensated)
    }

    /// What is known of a step's effect.
    pub fn mark(&self, step: u16) -> Mark {
        self.marks.get(usize::from(step)).copied().unwrap_or(Mark::Clean)
    }

    /// What the current step or compensation is at.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Forward, the step that is next or under way; back, the step that is or was last taken back.
    pub fn step(&self) -> u16 {
        self.step
    }

    /// Why nothing is called, if somebody has paused it or it is in quarantine.
    pub fn paused(&self) -> Option<(Why, &str)> {
        self.paused.as_ref().map(|(why, reason)| (*why, reason.as_str()))
    }

    /// Why it cannot go on without a person, if so.
    pub fn dead(&self) -> Option<&str> {
        self.dead.as_deref()
    }

    /// Which step made it turn back and why, or what it was cancelled for.
    pub fn trouble(&self) -> Option<(u16, &str)> {
        self.trouble.as_ref().map(|(step, reason)| (*step, reason.as_str()))
    }

    /// Whether nothing is called before somebody resumes it.
    pub fn is_held(&self) -> bool {
        self.paused.is_some() || self.dead.is_some()
    }

    fn fits(&self, record: &Record) -> bool {
        let under_way = !self.is_over();
        let forward = self.phase == Phase::Forward;
        let back = self.phase == Phase::Back;
        // An answer may come late: after its call was taken to be lost and before the next.
        let open = matches!(self.work, Work::Called | Work::Retry(_)) || self.attempt > 0;
        match record {
            Record::Started { .. } => false,
            Record::StepIntent { step, attempt } => {
                forward
                    && !self.is_held()
                    && *step == self.step
                    && *attempt == self.attempt + 1
                    && matches!(self.work, Work::Idle | Work::Retry(_))
            }
            Record::StepDone { step, .. } => {
                let told = matches!(&self.work, Work::Waiting { signal: Some(name), .. }
                    if self.signals.iter().any(|(it, _)| it == name));
                forward && *step == self.step && (told || open)
            }
            Record::StepFailed { step, attempt, .. } => {
                let waited = matches!(self.work, Work::Waiting { .. });
                forward
                    && *step == self.step
                    && *attempt == self.attempt
                    && (waited || self.work == Work::Called)
            }
            Record::CompIntent { step, attempt } => {
                let same = *step == self.step && *attempt == self.attempt + 1;
                let next = *attempt == 1 && matches!(self.work, Work::Idle);
                back && !self.is_held()
                    && (same || next)
                    && matches!(self.work, Work::Idle | Work::Retry(_))
                    && matches!(self.mark(*step), Mark::Done | Mark::Doubt)
            }
            Record::CompDone { step } => back && *step == self.step && open,
            Record::CompFailed { step, attempt, .. } => {
                back && *step == self.step && *attempt == self.attempt && self.work == Work::Called
            }
            Record::TimerSet { step, .. } => {
                forward
                    && !self.is_held()
                    && *step == self.step
                    && self.attempt == 0
                    && matches!(self.work, Work::Idle | Work::Retry(_))
            }
            Record::TimerFired { step } => {
                forward && *step == self.step && matches!(self.work, Work::Waiting { .. })
            }
            Record::Signal { name, dedup, .. } => {
                under_way && !self.heard.contains(&(Arc::clone(name), Arc::clone(dedup)))
            }
            Record::Paused { .. } => under_way && self.paused.is_none(),
            Record::Resumed => under_way && self.is_held(),
            Record::Cancelled { .. } => forward && self.cancelled.is_none(),
            Record::DeadLettered { .. } => {
                under_way && self.dead.is_none() && self.work != Work::Called
            }
            Record::Completed => {
                forward
                    && self.work == Work::Idle
                    && self.attempt == 0
                    && self.marks.iter().all(|it| *it == Mark::Done)
            }
            Record::Compensated => back && self.work == Work::Idle && self.attempt == 0,
        }
    }

    fn change(&mut self, record: &Record) {
        match record {
            Record::Started { .. } => {}
            Record::StepIntent { attempt, .. } => {
                self.reach();
                self.attempt = *attempt;
                self.work = Work::Called;
            }
            Record::StepDone { output, .. } => {
                if let Work::Waiting { signal: Some(name), .. } = &self.work
                    && let Some(at) = self.signals.iter().position(|(it, _)| it == name)
                {
                    self.signals.remove(at);
                }
                self.done(Arc::clone(output));
            }
            Record::TimerFired { .. } => match &self.work {
                // The failure follows.
                Work::Waiting { signal: Some(_), .. } => {}
                _ => self.done(Arc::default()),
            },
            Record::StepFailed { step, how, then, reason, .. } => {
                self.failed(*how);
                if how.in_doubt() && self.mark(*step) == Mark::Clean {
                    self.marks[usize::from(*step)] = Mark::Doubt;
                }
                self.work = match then {
                    Then::Retry(at) => Work::Retry(*at),
                    Then::GiveUp => {
                        let reason = self.cancelled.as_ref().unwrap_or(reason);
                        self.trouble = Some((*step, reason.clone()));
                        return self.turn_back();
                    }
                };
                self.turn_if_cancelled();
            }
            Record::CompIntent { step, attempt } => {
                if *step != self.step || *attempt == 1 {
                    self.fresh();
                }
                self.step = *step;
                self.attempt = *attempt;
                self.work = Work::Called;
            }
            Record::CompDone { step } => {
                self.marks[usize::from(*step)] = Mark::Undone;
                self.work = Work::Idle;
                self.fresh();
            }
            Record::CompFailed { how, then, .. } => {
                self.failed(*how);
                self.work = match then {
                    Then::Retry(at) => Work::Retry(*at),
                    // A dead letter follows; whoever resumes it has it called again.
                    Then::GiveUp => Work::Retry(0),
                };
            }
            Record::TimerSet { due, signal, .. } => {
                self.reach();
                self.work = Work::Waiting { due: *due, signal: signal.clone() };
            }
            Record::Signal { name, dedup, payload } => {
                self.heard.insert((Arc::clone(name), Arc::clone(dedup)));
                self.signals.push_back((Arc::clone(name), Arc::clone(payload)));
            }
            Record::Paused { why, reason } => self.paused = Some((*why, reason.clone())),
            Record::Resumed => {
                (self.paused, self.dead) = (None, None);
                (self.tries, self.deaths) = (0, 0);
                if let Work::Retry(at) = &mut self.work {
                    *at = 0;
                }
            }
            Record::Cancelled { reason } => {
                self.cancelled = Some(reason.clone());
                self.turn_if_cancelled();
            }
            Record::DeadLettered { step, reason } => {
                self.dead = Some(reason.clone());
                self.trouble = Some((*step, reason.clone()));
            }
            Record::Completed => self.phase = Phase::Completed,
            Record::Compensated => self.phase = Phase::Compensated,
        }
    }

    /// The step under way has a mark.
    fn reach(&mut self) {
        if self.marks.len() == usize::from(self.step) {
            self.marks.push(Mark::Clean);
        }
    }

    fn done(&mut self, output: Arc<[u8]>) {
        self.marks[usize::from(self.step)] = Mark::Done;
        Arc::make_mut(&mut self.outputs).push(output);
        self.step = self.step.saturating_add(1);
        self.work = Work::Idle;
        self.fresh();
        self.turn_if_cancelled();
    }

    fn failed(&mut self, how: How) {
        self.tries += u32::from(how.is_try());
        self.deaths += u32::from(how.is_death());
    }

    fn fresh(&mut self) {
        (self.attempt, self.tries, self.deaths) = (0, 0, 0);
    }

    /// A step that is called is waited for first: it must not be taken back while it happens.
    fn turn_if_cancelled(&mut self) {
        if let Some(reason) = &self.cancelled
            && self.work != Work::Called
            && self.phase == Phase::Forward
        {
            self.trouble.get_or_insert((self.step, reason.clone()));
            self.turn_back();
        }
    }

    fn turn_back(&mut self) {
        self.phase = Phase::Back;
        self.work = Work::Idle;
        self.fresh();
    }
}
