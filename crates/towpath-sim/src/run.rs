//! The engine as a campaign drives it, and what comes of a whole campaign.

use std::{fmt, future::Future, time::Duration};

use crate::{
    Config, Finding, Leaks,
    campaign::{Cause, Explored, Origin, Run, Trouble},
    choice::Choices,
    engine::{self, BoxMain, Engine, Failure, Outcome},
    real::Pulse,
    report,
};

/// Runs one program again and again.
pub(crate) struct Machine<P> {
    engine: Engine,
    program: P,
}

/// A failure, and what is known of it if its run was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    failure: Failure,
    finding: Option<Box<Finding>>,
}

impl<P: Fn() -> BoxMain> Machine<P> {
    #[track_caller]
    pub(crate) fn new(config: &Config, program: P) -> Self {
        let limits = engine::Config {
            max_steps: config.max_steps,
            stall: config.stall,
            step_cost: config.step_cost,
            leaks: config.leaks == Leaks::Allow,
            ..engine::Config::default()
        };
        Self { engine: Engine::new(limits), program }
    }

    /// Beats at every step.
    pub(crate) fn pulse(&self) -> Pulse {
        self.engine.pulse()
    }

    /// One schedule, for which `choices` have been begun.
    pub(crate) fn run(&mut self, choices: &mut Choices, tell: bool) -> Run<Seen> {
        let outcome = self.engine.run(choices, &self.program, tell);
        let story = outcome.story.as_ref().map(report::lines).unwrap_or_default();
        let finding = tell.then(|| Finding::new(&outcome)).flatten();
        let Outcome { steps, hash, failure, .. } = outcome;
        let failure = failure.map(|failure| Seen { failure, finding: finding.map(Box::new) });
        Run { steps, hash, failure, story }
    }
}

/// A program that is started afresh by each call.
pub(crate) fn boxed<F, Fut>(program: F) -> impl Fn() -> BoxMain
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    move || Box::pin(program())
}

impl Trouble for Seen {
    fn is_same(&self, other: &Self) -> bool {
        self.failure.is_like(&other.failure)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.finding {
            Some(finding) => finding.fmt(f),
            None => write!(f, "{:?} at step {}", self.failure.fault, self.failure.step),
        }
    }
}

/// How many schedules went; made by [`Sim::explore`](crate::Sim::explore).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Schedules that were run, without those that were run again to tell a story or to make it shorter.
    pub schedules: u64,
    /// Operations in all of them.
    pub steps: u64,
    /// A fingerprint of everything that was done in them: equal in equal campaigns, on any machine.
    pub hash: u64,
    /// There is no other schedule within the bounds than those that were run.
    pub complete: bool,
    /// Real time.
    pub time: Duration,
    /// Schedules that differed from each other.
    pub distinct: u64,
    /// The failure, if there was one.
    pub failure: Option<Failed>,
}

/// A failing schedule, made as small as it goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failed {
    /// Which schedule it was, counted from 0.
    pub schedule: u64,
    /// What went wrong in it.
    pub finding: Finding,
    /// Runs it again: for `TOWPATH_REPLAY`, or a line in `tests/replays/`.
    pub token: String,
    /// Choices other than the default when it was found, and what is left of them.
    pub forced: (usize, usize),
    /// Runs that it took to get from one to the other.
    pub shrink_runs: u64,
    /// The whole run, an operation a line.
    pub story: Vec<String>,
}

impl Report {
    /// What went wrong, if anything did.
    pub fn finding(&self) -> Option<&Finding> {
        self.failure.as_ref().map(|failed| &failed.finding)
    }

    pub(crate) fn new(explored: Explored<Seen>) -> Self {
        let distinct = explored.coverage.as_ref().map_or(0, |coverage| coverage.distinct());
        let failure = explored.found.map(|found| Failed {
            schedule: match found.origin {
                Origin::Schedule(number) => number,
                Origin::Committed(_) | Origin::Replay => 0,
            },
            token: found.token.to_string(),
            forced: found.forced,
            shrink_runs: found.shrink_runs,
            finding: match found.trouble {
                Cause::Failure(Seen { finding: Some(finding), .. }) => *finding,
                Cause::Failure(seen) => Finding::in_short(&seen.failure),
                Cause::Escaped(escaped) => {
                    let parted = escaped
                        .difference
                        .as_ref()
                        .map(|parted| (parted.line, parted.one.as_str(), parted.other.as_str()));
                    Finding::of_escape(parted)
                }
            },
            story: found.story,
        });
        Self {
            schedules: explored.schedules,
            steps: explored.steps,
            hash: explored.hash,
            complete: explored.complete,
            time: explored.time,
            distinct,
            failure,
        }
    }
}
