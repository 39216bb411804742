//! Many schedules of one program: until one fails, all are done, or the time is up.
//!
//! What always holds:
//! - Committed tokens run first, in the order of their file, and a token from the environment runs alone.
//! - What is tried is a pure function of the configuration. The real time decides when to stop, and how long a failing
//!   schedule is made smaller; never what a schedule does.
//! - A failure is reported only after its schedule was run again from its choices. If that run differs, it is the
//!   difference that is reported: a story that cannot be repeated helps nobody.
//!
//! Schedules 0, 1, 2, 4, 8 and so on are run twice even if nothing fails, so that chance which escapes the simulator (a hash
//! map's seed, the real clock, a real thread) is found before it hides a bug.
//!
//! The engine is a closure here. So this is tested with a toy, and knows nothing of coroutines.

use std::fmt;
use std::time::Duration;

use crate::Config;
use crate::choice::{
    Budget, Choices, Coverage, Forced, Plan, Portfolio, Token, fold, seed_of, shrink,
};
use crate::orders::Orders;
use crate::real::Stopwatch;

/// Runs the program once, by choices that have been begun; it does not end them. With `true` it also tells the story.
pub(crate) type Engine<'a, F> = dyn FnMut(&mut Choices, bool) -> Run<F> + 'a;

/// A failure, as far as a campaign has to know.
pub(crate) trait Trouble: fmt::Display {
    /// Whether this is the other one again: of the same kind, at the same place.
    fn is_same(&self, other: &Self) -> bool;
}

/// How one schedule went.
#[derive(Clone, Debug)]
pub(crate) struct Run<F> {
    pub(crate) steps: u64,
    /// Of everything that happened; equal in two runs of one schedule, or something escaped.
    pub(crate) hash: u64,
    pub(crate) failure: Option<F>,
    /// One operation a line, if it was asked for.
    pub(crate) story: Vec<String>,
}

/// How a campaign went.
#[derive(Debug)]
pub(crate) struct Explored<F> {
    /// Schedules that were run, without those that were repeated.
    pub(crate) schedules: u64,
    pub(crate) steps: u64,
    /// Of the hashes of all these schedules.
    pub(crate) hash: u64,
    /// There is no other schedule than those that were run.
    pub(crate) complete: bool,
    pub(crate) time: Duration,
    pub(crate) coverage: Option<Coverage>,
    pub(crate) found: Option<Found<F>>,
}

/// A schedule that failed.
#[derive(Debug)]
pub(crate) struct Found<F> {
    pub(crate) origin: Origin,
    pub(crate) trouble: Cause<F>,
    pub(crate) token: Token,
    pub(crate) story: Vec<String>,
    /// Forced choices when it was found, and now.
    pub(crate) forced: (usize, usize),
    /// Runs that it took to get from one to the other.
    pub(crate) shrink_runs: u64,
}

/// What was wrong.
#[derive(Debug)]
pub(crate) enum Cause<F> {
    /// The program.
    Failure(F),
    /// Two runs of one schedule were not the same.
    Escaped(Escaped<F>),
}

/// Chance that the simulator does not control.
#[derive(Debug)]
pub(crate) struct Escaped<F> {
    /// What had failed in the first run, if anything did.
    pub(crate) failure: Option<F>,
    /// The first line of the story that was told differently, and the two tellings. None if both stories were the same
    /// in the end, so that only the first run was different.
    pub(crate) difference: Option<Difference>,
}

/// Where two stories part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) one: String,
    pub(crate) other: String,
}

/// Which schedule it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the file and line.
    Committed(String),
    /// From the environment.
    Replay,
    /// The campaign's, counted from 0.
    Schedule(u64),
}

/// Runs what is ordered, until something fails. `cover` counts what was chosen where, besides the schedules that differ.
pub(crate) fn explore<F: Trouble>(
    orders: &Orders,
    cover: bool,
    engine: &mut Engine<'_, F>,
) -> Explored<F> {
    let mut choices = Choices::new(Portfolio::new(orders.config.strategy.mix()));
    if cover {
        choices.cover();
    } else {
        choices.count();
    }
    let watch = Stopwatch::start();
    let mut campaign = Campaign {
        config: &orders.config,
        choices,
        engine,
        watch,
        schedules: 0,
        steps: 0,
        hash: 0,
        complete: false,
    };
    let found = match &orders.replay {
        Some(token) => campaign.token(token, Origin::Replay),
        None => {
            let mut committed = orders.committed.iter();
            let first = committed.find_map(|committed| {
                campaign.token(&committed.token, Origin::Committed(committed.place.clone()))
            });
            first.or_else(|| campaign.schedules())
        }
    };
    Explored {
        schedules: campaign.schedules,
        steps: campaign.steps,
        hash: campaign.hash,
        complete: campaign.complete,
        time: watch.elapsed(),
        coverage: campaign.choices.take_coverage(),
        found,
    }
}

struct Campaign<'a, 'e, F> {
    config: &'a Config,
    choices: Choices,
    engine: &'a mut Engine<'e, F>,
    watch: Stopwatch,
    schedules: u64,
    steps: u64,
    hash: u64,
    complete: bool,
}

/// A run that failed, or is looked at again, and how it came to be.
struct Suspect<F> {
    origin: Origin,
    failure: Option<F>,
    hash: u64,
    plan: Option<Plan>,
    forced: Vec<Forced>,
}

impl<F: Trouble> Campaign<'_, '_, F> {
    /// The campaign's own schedules.
    fn schedules(&mut self) -> Option<Found<F>> {
        for number in 0_u64.. {
            let is_over = match self.config.budget {
                Some(budget) => self.watch.elapsed() >= budget,
                None => number >= self.config.schedules,
            };
            if is_over {
                return None;
            }
            let seed = seed_of(self.config.seed, number);
            if self.choices.is_complete() || !self.choices.begin(seed) {
                self.complete = self.choices.is_complete();
                return None;
            }
            let plan = self.choices.plan();
            let run = (self.engine)(&mut self.choices, false);
            self.choices.end();
            self.count(&run);
            if run.failure.is_some() || number == 0 || number.is_power_of_two() {
                let found = self.look_again(run, Origin::Schedule(number), plan);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// One schedule from a token.
    fn token(&mut self, token: &Token, origin: Origin) -> Option<Found<F>> {
        let mut plan = None;
        match token {
            Token::Plan(followed) => {
                plan = Some(*followed);
                self.choices.follow(*followed);
            }
            Token::Forced(forced) => self.choices.replay(forced),
        }
        let run = (self.engine)(&mut self.choices, false);
        self.choices.end();
        self.count(&run);
        self.look_again(run, origin, plan)
    }

    fn count(&mut self, run: &Run<F>) {
        self.schedules += 1;
        self.steps += run.steps;
        self.hash = fold(self.hash, run.hash);
    }

    /// Runs a schedule again from its choices. Nothing, if both runs were the same and well.
    fn look_again(&mut self, run: Run<F>, origin: Origin, plan: Option<Plan>) -> Option<Found<F>> {
        let forced = self.choices.forced();
        let suspect = Suspect { origin, failure: run.failure, hash: run.hash, plan, forced };
        let watch = Stopwatch::start();
        let again = self.again(&suspect.forced, false);
        let run_time = watch.elapsed();
        if again.hash != suspect.hash {
            return Some(self.escaped(suspect));
        }
        let Suspect { origin, failure, plan, forced, .. } = suspect;
        let failure = failure?;
        // What is replayed is small already.
        let runs = match origin {
            Origin::Schedule(_) => self.shrink_runs_max(run_time),
            Origin::Committed(_) | Origin::Replay => 0,
        };
        let since = Stopwatch::start();
        let mut fails = |smaller: &[Forced]| {
            // The number of runs is what normally ends it; this is for runs that take longer than the first.
            since.elapsed() <= 3 * self.config.shrink
                && self.again(smaller, false).failure.is_some_and(|other| other.is_same(&failure))
        };
        let shrunk = shrink(&forced, Budget { runs }, &mut fails);
        let told = self.again(&shrunk.forced, true);
        Some(Found {
            origin,
            token: shorter(plan, &forced, &shrunk.forced),
            // Of the same kind at the same place, in the words of the story that is told with it.
            trouble: Cause::Failure(told.failure.unwrap_or(failure)),
            story: told.story,
            forced: (forced.len(), shrunk.forced.len()),
            shrink_runs: shrunk.runs,
        })
    }

    /// Two runs of this schedule were not the same: where do they part?
    fn escaped(&mut self, suspect: Suspect<F>) -> Found<F> {
        let one = self.again(&suspect.forced, true).story;
        let other = self.again(&suspect.forced, true).story;
        let count = suspect.forced.len();
        Found {
            origin: suspect.origin,
            token: shorter(suspect.plan, &suspect.forced, &suspect.forced),
            trouble: Cause::Escaped(Escaped {
                failure: suspect.failure,
                difference: difference(&one, &other),
            }),
            story: one,
            forced: (count, count),
            shrink_runs: 0,
        }
    }

    fn again(&mut self, forced: &[Forced], story: bool) -> Run<F> {
        self.choices.replay(forced);
        let run = (self.engine)(&mut self.choices, story);
        self.choices.end();
        run
    }

    fn shrink_runs_max(&self, run_time: Duration) -> u64 {
        if self.config.shrink.is_zero() {
            return 0;
        }
        let runs = self.config.shrink.as_nanos() / run_time.as_nanos().max(1);
        u64::try_from(runs).unwrap_or(u64::MAX).clamp(SHRINK_RUNS_MIN, SHRINK_RUNS_MAX)
    }
}

/// Runs for making a schedule smaller, however slow the program is.
const SHRINK_RUNS_MIN: u64 = 50;

/// And however fast: more has not made them any smaller.
const SHRINK_RUNS_MAX: u64 = 5000;

/// The token of the plan, if nothing became smaller and the list of choices is long.
fn shorter(plan: Option<Plan>, found: &[Forced], shrunk: &[Forced]) -> Token {
    let forced = Token::Forced(shrunk.to_vec());
    match plan.map(Token::Plan) {
        Some(plan) if found == shrunk && plan.to_string().len() < forced.to_string().len() => plan,
        _ => forced,
    }
}

fn difference(one: &[String], other: &[String]) -> Option<Difference> {
    let line = |story: &[String], at: usize| {
        story.get(at).cloned().unwrap_or_else(|| "the end of the run".to_owned())
    };
    let longest = one.len().max(other.len());
    (0..longest).find(|at| one.get(*at) != other.get(*at)).map(|at| Difference {
        line: at + 1,
        one: line(one, at),
        other: line(other, at),
    })
}

#[cfg(test)]
pub(crate) mod tests;
