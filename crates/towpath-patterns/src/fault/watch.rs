//! What the aggregator looks for: conditions, and the alerts they raise.

use std::time::{Duration, Instant};

use towpath::process::Name;

use super::{Class, Report};

/// When somebody is to be told.
///
/// ```
/// use std::time::Duration;
/// use towpath_patterns::fault::{Class, Condition};
///
/// let minute = Duration::from_secs(60);
/// let conditions = [
///     Condition::rate("many timeouts", 100, minute).of_class(Class::Timeout),
///     Condition::share("the parser fails", 0.05, 50, minute).of_process("parser"),
///     Condition::new_cause("something new"),
/// ];
/// # let _ = conditions;
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    pub(crate) name: Name,
    pub(crate) class: Option<Class>,
    pub(crate) process: Option<Name>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Rate { faults: u64, within: Duration },
    Share { part: f64, of_at_least: u64, within: Duration },
    NewCause,
}

impl Condition {
    /// At least so many failures within a time.
    pub fn rate(name: impl Into<Name>, faults: u64, within: Duration) -> Self {
        Self::new(name, Kind::Rate { faults: faults.max(1), within })
    }

    /// At least this part of what was attempted within a time has failed, once so much was. What went well is known of processes
    /// that count it ([`Source::handled`](super::Source::handled)), as workers do.
    pub fn share(name: impl Into<Name>, part: f64, of_at_least: u64, within: Duration) -> Self {
        Self::new(name, Kind::Share { part, of_at_least: of_at_least.max(1), within })
    }

    /// A cause that this process has not had before, as far as is remembered.
    pub fn new_cause(name: impl Into<Name>) -> Self {
        Self::new(name, Kind::NewCause)
    }

    fn new(name: impl Into<Name>, kind: Kind) -> Self {
        Self { name: name.into(), class: None, process: None, kind }
    }

    /// Of this class only.
    #[must_use]
    pub fn of_class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// Of this process only.
    #[must_use]
    pub fn of_process(mut self, process: impl Into<Name>) -> Self {
        self.process = Some(process.into());
        self
    }

    pub(crate) fn concerns(&self, report: &Report) -> bool {
        self.class.is_none_or(|class| class == report.fault.class)
            && self.is_of(&report.fault.process)
    }

    pub(crate) fn is_of(&self, process: &Name) -> bool {
        self.process.as_ref().is_none_or(|it| it == process)
    }
}

/// Somebody should look.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Alert {
    /// The condition's name; `policy` if the rule of the failure's class asks for it.
    pub name: Name,
    /// True when it begins, false when it is over. Single events (a new cause, a policy) only begin.
    pub raised: bool,
    /// Failures within the condition's time; of a single event, how many there were of the kind so far.
    pub faults: u64,
    /// What was attempted within the condition's time, failures included, if the condition is about a share.
    pub attempted: Option<u64>,
    /// The failure with which it began.
    pub example: Option<Report>,
}

/// Parts of a window: with twelve, a minute is forgotten in steps of five seconds.
const PARTS: usize = 12;

/// Two counts over a time that moves on.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    part: Duration,
    began: Instant,
    /// The number of the newest part.
    newest: u64,
    counts: [(u64, u64); PARTS],
}

impl Window {
    pub(crate) fn new(within: Duration, now: Instant) -> Self {
        let part = (within / PARTS as u32).max(Duration::from_millis(1));
        Self { part, began: now, newest: 0, counts: [(0, 0); PARTS] }
    }

    pub(crate) fn add(&mut self, now: Instant, faults: u64, handled: u64) {
        self.move_on(now);
        let part = &mut self.counts[self.newest as usize % PARTS];
        part.0 += faults;
        part.1 += handled;
    }

    /// Both counts, of the last `within` and up to a twelfth less.
    pub(crate) fn sums(&mut self, now: Instant) -> (u64, u64) {
        self.move_on(now);
        self.counts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// How long a part is: more often there is nothing to look at.
    pub(crate) fn part(&self) -> Duration {
        self.part
    }

    fn move_on(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_nanos();
        let part = u64::try_from(since / self.part.as_nanos()).unwrap_or(u64::MAX);
        let steps = part.saturating_sub(self.newest);
        for step in 1..=steps.min(PARTS as u64) {
            self.counts[(self.newest + step) as usize % PARTS] = (0, 0);
        }
        self.newest += steps;
    }
}
