//! The scheduler: simulated processes on stacks of their own, virtual time, one thread of the system.

mod bell;
mod clock;
mod failure;
mod hash;
mod law;
mod now;
mod objects;
mod record;
mod seam;
mod stack;
mod tasks;
#[cfg(test)]
mod tests;
mod turns;
mod world;

use std::{future::Future, panic::Location, pin::Pin, time::Duration};

pub(crate) use failure::{Failure, Fault};
pub(crate) use law::When;
use record::Record;
pub(crate) use record::{Event, Left, Story, Thing, Wait, What};
use world::World;
pub(crate) use world::with;

use crate::{choice::Choices, real::Pulse};

/// The main process.
pub(crate) type BoxMain = Pin<Box<dyn Future<Output = ()>>>;

/// Limits of a schedule.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// A schedule that takes more steps does not end.
    pub(crate) max_steps: u64,
    /// The same, counted from the end of the main process.
    pub(crate) max_steps_after_main: u64,
    /// Whoever may run, or a timer that is due, is kept waiting for at most so many steps.
    pub(crate) patience: u64,
    /// A timer that is so near may ring while others could still run: as if they had been slow.
    pub(crate) stall: Duration,
    /// So much time a step may take.
    pub(crate) step_cost: Duration,
    pub(crate) stack_bytes: usize,
    /// Whoever is left when the main process has ended is left alone.
    pub(crate) leaks: bool,
    /// Where the main process was given.
    pub(crate) at: &'static Location<'static>,
}

impl Default for Config {
    #[track_caller]
    fn default() -> Self {
        Self {
            max_steps: 50_000,
            max_steps_after_main: 5_000,
            patience: 500,
            stall: Duration::from_secs(1),
            step_cost: Duration::ZERO,
            stack_bytes: 1 << 20,
            leaks: false,
            at: Location::caller(),
        }
    }
}

/// How a schedule went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    /// The same for the same run, in every process of the system.
    pub(crate) hash: u64,
    /// Virtual time.
    pub(crate) time: Duration,
    pub(crate) failure: Option<Failure>,
    /// What happened, if it was recorded.
    pub(crate) story: Option<Story>,
}

/// Runs schedules of one program after the other, on this thread.
pub(crate) struct Engine {
    world: &'static World,
}

impl Engine {
    pub(crate) fn new(config: Config) -> Self {
        Self { world: World::open(config) }
    }

    /// Beats at every step.
    pub(crate) fn pulse(&self) -> Pulse {
        self.world.now.borrow().pulse.clone()
    }

    /// Runs one schedule, for which `choices` have been begun.
    pub(crate) fn run(
        &self,
        choices: &mut Choices,
        main: &dyn Fn() -> BoxMain,
        record: bool,
    ) -> Outcome {
        let record = record.then(|| Box::new(Record::default()));
        self.world.run(choices, main, record)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.world.close();
    }
}
