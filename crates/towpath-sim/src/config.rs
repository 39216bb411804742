//! What a simulation may be told, and what it does when it is told nothing.

use std::time::Duration;

use crate::choice::Mix;

/// Who decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// Whoever can go on, each alike.
    Random,
    /// Random priorities that change at two to four random moments (Burckhardt et al., ASPLOS 2010): with a known
    /// probability it finds bugs that need few ordered steps, also in long programs.
    Pct,
    /// Random priorities of operations, drawn again between those that touch the same thing (Yuan et al., CAV 2018).
    Pos,
    /// Every schedule within bounds, those with the fewest departures from the default first (as in delay-bounded scheduling,
    /// Emmi et al., POPL 2011). For programs small enough to be finished; then
    /// [`Report::complete`](crate::Report::complete) says so.
    Exhaustive,
    /// All of the random ones in turn, and walks that start few pre-emptions, starve one process, or make timers late or
    /// early. The first schedule is the one without any pre-emption.
    #[default]
    Portfolio,
}

impl Strategy {
    pub(crate) fn mix(self) -> Mix {
        match self {
            Self::Random => Mix::Random,
            Self::Pct => Mix::Pct,
            Self::Pos => Mix::Pos,
            Self::Exhaustive => Mix::Exhaustive,
            Self::Portfolio => Mix::Portfolio,
        }
    }
}

impl std::fmt::Display for Strategy {
    /// As `#[towpath::test(strategy = "..")]` has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Random => "random",
            Self::Pct => "pct",
            Self::Pos => "pos",
            Self::Exhaustive => "exhaustive",
            Self::Portfolio => "portfolio",
        })
    }
}

/// What to make of processes that are left when the main one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Leaks {
    /// A failure.
    #[default]
    Forbid,
    /// Nothing. For programs that detach on purpose.
    Allow,
}

/// How a simulation is run. [`Sim`](crate::Sim) has a method for each of these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Schedules to try.
    pub schedules: u64,
    /// Which ones: the same seed tries the same.
    pub seed: u64,
    /// Who decides.
    pub strategy: Strategy,
    /// Real time after which no further schedule is begun; if it is set, `schedules` is not looked at.
    pub budget: Option<Duration>,
    /// Steps after which a schedule is taken to go on for ever.
    pub max_steps: u64,
    /// Whether somebody may be left at the end.
    pub leaks: Leaks,
    /// Timers that would ring within this virtual time may ring although somebody could still run, as on a slow machine.
    pub stall: Duration,
    /// Virtual time that a step may take at most, as on a machine that has other things to do; zero: none ever does. The choice is
    /// among none, this, and halves of it: half, a quarter, and so on.
    pub step_cost: Duration,
    /// Real time for making a failing schedule smaller, about; zero leaves it as it was found.
    pub shrink: Duration,
}

impl Default for Config {
    /// A thousand schedules by the portfolio: milliseconds for most tests.
    fn default() -> Self {
        Self {
            schedules: 1000,
            seed: 0,
            strategy: Strategy::default(),
            budget: None,
            max_steps: 50_000,
            leaks: Leaks::default(),
            stall: Duration::from_secs(1),
            step_cost: Duration::ZERO,
            shrink: Duration::from_secs(1),
        }
    }
}
