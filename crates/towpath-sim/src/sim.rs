//! `Sim`: runs a test under many schedules.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::campaign::{self, Engine, Explored, Trouble};
use crate::orders::Orders;
use crate::real::{Environment, Watchdog};
use crate::run::{Machine, boxed};
use crate::words;
use crate::{Config, Leaks, Report, Strategy};

/// Runs a program under many schedules, with virtual time. `#[towpath::test]` is this with an attribute.
///
/// The same configuration tries the same schedules, whenever and wherever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it runs nothing until `test` or `explore` is called"]
pub struct Sim {
    config: Config,
}

impl Sim {
    /// A thousand schedules of the portfolio, with seed 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// As this configuration says.
    pub fn with(config: Config) -> Self {
        Self { config }
    }

    /// Tries so many schedules.
    pub fn schedules(mut self, schedules: u64) -> Self {
        self.config.schedules = schedules;
        self
    }

    /// Tries the schedules of another seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// Lets another strategy decide.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.config.strategy = strategy;
        self
    }

    /// Goes on for so much real time, whatever number of schedules that is.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.config.budget = Some(budget);
        self
    }

    /// Takes a schedule that goes on for more steps to go on for ever, and says so.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.config.max_steps = steps;
        self
    }

    /// Says whether processes may be left when the main one has ended.
    pub fn leaks(mut self, leaks: Leaks) -> Self {
        self.config.leaks = leaks;
        self
    }

    /// Lets timers ring up to so much virtual time early against those who could still run.
    pub fn stall(mut self, stall: Duration) -> Self {
        self.config.stall = stall;
        self
    }

    /// Lets each step take up to so much virtual time, so that time passes also between two operations, and before a timer that
    /// is further away than the [stall](Self::stall). A schedule has a choice more at every step then, and is slower by half.
    ///
    /// ```
    /// use std::time::Duration;
    /// use towpath::rt;
    /// use towpath_sim::{Sim, yield_point};
    ///
    /// let late = || async {
    ///     let end_of_lease = rt::now() + Duration::from_millis(10);
    ///     yield_point();
    ///     assert!(rt::now() < end_of_lease, "a lease is over when one thinks of something else");
    /// };
    /// assert!(Sim::new().explore(late).failure.is_none());
    /// assert!(Sim::new().step_cost(Duration::from_millis(20)).explore(late).failure.is_some());
    /// ```
    pub fn step_cost(mut self, max: Duration) -> Self {
        self.config.step_cost = max;
        self
    }

    /// Spends about so much real time on making a failing schedule smaller.
    pub fn shrink(mut self, time: Duration) -> Self {
        self.config.shrink = time;
        self
    }

    /// What it is set to.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs the test `name`, of which every call of `program` makes a fresh one: first its committed tokens, then the
    /// schedules; or what `TOWPATH_REPLAY` and the other variables of the environment ask for instead.
    ///
    /// # Panics
    /// When a schedule fails, with the story, and with the token that runs it again.
    #[track_caller]
    pub fn test<P, F>(self, name: &str, program: P)
    where
        P: Fn() -> F,
        F: Future<Output: TestResult> + 'static,
    {
        let checked = boxed(|| {
            let main = program();
            async {
                if let Some(error) = main.await.into_error() {
                    panic!("{error}");
                }
            }
        });
        let mut machine = Machine::new(&self.config, checked);
        let environment = Environment::of_process();
        let _watched = Watchdog::start(name, machine.pulse());
        match self.test_with(name, &environment, &mut |choices, tell| machine.run(choices, tell)) {
            Ok(words) if words.is_empty() => {}
            Ok(words) => println!("{words}"),
            Err(words) => panic!("{words}"),
        }
    }

    /// Runs the schedules of this configuration, whatever the environment says, and tells how they went.
    #[track_caller]
    pub fn explore<P, F>(self, program: P) -> Report
    where
        P: Fn() -> F,
        F: Future<Output = ()> + 'static,
    {
        let mut machine = Machine::new(&self.config, boxed(program));
        Report::new(self.explore_with(&mut |choices, tell| machine.run(choices, tell)))
    }

    /// Runs the schedule of one token, as `TOWPATH_REPLAY` does, and tells how it went.
    ///
    /// ```
    /// use towpath_sim::Sim;
    ///
    /// let program = || async { assert_ne!(towpath_sim::choose(2), 1) };
    /// let found = Sim::new().explore(program).failure.unwrap();
    /// let again = Sim::new().replay(&found.token, program).failure.unwrap();
    /// assert_eq!((again.finding, again.story), (found.finding, found.story));
    /// ```
    ///
    /// # Panics
    /// When `token` is none.
    #[track_caller]
    pub fn replay<P, F>(self, token: &str, program: P) -> Report
    where
        P: Fn() -> F,
        F: Future<Output = ()> + 'static,
    {
        let token = token.parse().unwrap_or_else(|error| panic!("{token}: {error}"));
        let mut machine = Machine::new(&self.config, boxed(program));
        let orders = Orders { replay: Some(token), ..Orders::of(self.config) };
        Report::new(campaign::explore(&orders, false, &mut |choices, tell| {
            machine.run(choices, tell)
        }))
    }

    /// The test `name`, run by `engine`, as the environment wants it.
    fn test_with<F: Trouble>(
        self,
        name: &str,
        environment: &Environment,
        engine: &mut Engine<'_, F>,
    ) -> Result<String, String> {
        let orders = Orders::read(self.config, name, environment)?;
        let explored = campaign::explore(&orders, orders.talkative, engine);
        match &explored.found {
            Some(found) => Err(words::failure(name, &orders.config, &explored, found)),
            None if orders.replay.is_some() => Ok(format!("{name}: the replay does not fail")),
            None if orders.talkative => Ok(words::success(name, &explored)),
            None => Ok(String::new()),
        }
    }

    /// The schedules of this configuration and nothing else, run by `engine`.
    fn explore_with<F: Trouble>(self, engine: &mut Engine<'_, F>) -> Explored<F> {
        campaign::explore(&Orders::of(self.config), false, engine)
    }
}

/// What a simulated test may return: `()`, or a `Result` of it whose error is a failure.
pub trait TestResult {
    /// The error, if it is one, in words.
    fn into_error(self) -> Option<String>;
}

impl TestResult for () {
    fn into_error(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Debug> TestResult for Result<(), E> {
    fn into_error(self) -> Option<String> {
        self.err().map(|error| format!("{error:?}"))
    }
}

#[cfg(test)]
mod tests;
