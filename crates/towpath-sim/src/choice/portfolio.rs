//! Which strategy decides which schedule.
//!
//! What always holds:
//! - A schedule of a random strategy is a pure function of its [`Plan`]; nothing else that was learned from earlier schedules goes
//!   into it. So a plan in a token replays.
//!
//! Why a mix: each strategy is blind somewhere. The default one goes round like this, after one schedule in which nothing
//! departs from the default, so that what is always broken is shown without a single pre-emption:
//!
//! | turns of 12 | strategy | what it finds that others miss |
//! |---|---|---|
//! | 2 | even walk | whatever needs many alternations; no assumption can mislead it |
//! | 2 | partial order sampling | one event put off for long, and its races decided afresh |
//! | 3 | PCT of depth 2, 3 and 4 | one process far ahead or far behind, with few changes; it has a guarantee |
//! | 1 | exhaustive | what needs one departure from the default, surely and not just probably; small programs wholly |
//! | 1 | few pre-emptions | two or three departures inside an otherwise undisturbed stretch |
//! | 1 | one process starved | what needs one to be last everywhere, for each one in turn |
//! | 1 | early timers | a timeout that beats what it guards |
//! | 1 | late timers | work that is done long before the timer, whose ring is then stale |
//!
//! When the exhaustive share has finished and left nothing out, there is no other schedule, which a campaign may ask
//! ([`Portfolio::is_complete`]); chance itself never says that it is done.

use super::exhaustive::{Bounds, Exhaustive};
use super::pct::Pct;
use super::pos::Pos;
use super::random::{Lean, Random};
use super::rng::Rng;
use super::{Candidate, Kind, Strategy};

/// How one schedule is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flavour {
    /// Each candidate alike.
    Even,
    /// Few pre-emptions.
    Calm,
    /// One process hardly runs.
    Starve,
    /// Time passes rarely.
    Late,
    /// Time passes often.
    Early,
    /// Random priorities with changes, for bugs of this depth.
    Pct(u8),
    /// Random priorities of events.
    Pos,
    /// The next one of all.
    Exhaustive,
}

/// What a schedule is a function of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) flavour: Flavour,
    /// What was learned before: with [`Flavour::Pct`] the length that was expected, with [`Flavour::Starve`] the number of
    /// processes; else 0.
    pub(crate) span: u64,
    pub(crate) seed: u64,
}

/// Which flavours take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    Random,
    Pct,
    Pos,
    Exhaustive,
    Portfolio,
}

impl Mix {
    /// Schedule 0, and then these in turn.
    fn turns(self) -> (Flavour, &'static [Flavour]) {
        use Flavour::{Calm, Early, Even, Exhaustive, Late, Pct, Pos, Starve};
        match self {
            Self::Random => (Even, &[Even]),
            Self::Pct => (Pct(3), &[Pct(2), Pct(3), Pct(4)]),
            Self::Pos => (Pos, &[Pos]),
            Self::Exhaustive => (Exhaustive, &[Exhaustive]),
            Self::Portfolio => (
                Exhaustive,
                &[
                    Even,
                    Pct(2),
                    Pos,
                    Calm,
                    Exhaustive,
                    Early,
                    Pct(3),
                    Pos,
                    Starve,
                    Even,
                    Pct(4),
                    Late,
                ],
            ),
        }
    }
}

/// The strategies, and who of them decides this schedule.
#[derive(Debug)]
pub(crate) struct Portfolio {
    mix: Mix,
    number: u64,
    plan: Plan,
    random: Random,
    pct: Pct,
    pos: Pos,
    exhaustive: Exhaustive,
}

impl Portfolio {
    pub(crate) fn new(mix: Mix) -> Self {
        Self::with_bounds(mix, Bounds::default())
    }

    /// With bounds for [`Mix::Exhaustive`].
    pub(crate) fn with_bounds(mix: Mix, bounds: Bounds) -> Self {
        Self {
            mix,
            number: 0,
            plan: Plan { flavour: Flavour::Even, span: 0, seed: 0 },
            random: Random::new(Lean::Even),
            pct: Pct::new(3),
            pos: Pos::new(),
            exhaustive: Exhaustive::new(bounds),
        }
    }

    /// Decides the next schedule by this plan.
    pub(crate) fn follow(&mut self, plan: Plan) -> bool {
        self.plan = plan;
        let Plan { flavour, span, seed } = plan;
        match flavour {
            Flavour::Pct(depth) => {
                self.pct.plan(u32::from(depth), span);
                self.pct.begin(seed)
            }
            Flavour::Pos => self.pos.begin(seed),
            Flavour::Exhaustive => self.exhaustive.begin(seed),
            Flavour::Even | Flavour::Calm | Flavour::Starve | Flavour::Late | Flavour::Early => {
                self.random.lean(match flavour {
                    Flavour::Calm => Lean::Default,
                    // Not the number that the walk itself begins with.
                    Flavour::Starve => Lean::AwayFrom(Rng::new(!seed).below(span.max(1)) as u32),
                    Flavour::Late => Lean::Late,
                    Flavour::Early => Lean::Early,
                    _ => Lean::Even,
                });
                self.random.begin(seed)
            }
        }
    }

    /// Whether an even walk decides.
    pub(crate) fn is_even(&self) -> bool {
        self.plan.flavour == Flavour::Even
    }

    /// What an even walk answers, without being asked through the others.
    #[inline]
    pub(crate) fn one_of(&mut self, below: u64) -> u64 {
        self.random.pick(Kind::Task, below)
    }

    /// How this schedule is decided; none if a plan alone does not say it.
    pub(crate) fn plan(&self) -> Option<Plan> {
        (self.plan.flavour != Flavour::Exhaustive).then_some(self.plan)
    }

    /// Whether there is no schedule but those that were tried.
    pub(crate) fn is_complete(&self) -> bool {
        self.exhaustive.is_complete()
    }
}

impl Strategy for Portfolio {
    fn begin(&mut self, seed: u64) -> bool {
        let (first, turns) = self.mix.turns();
        let mut flavour = match self.number.checked_sub(1) {
            None => first,
            Some(number) => turns[(number % turns.len() as u64) as usize],
        };
        self.number += 1;
        if flavour == Flavour::Exhaustive
            && self.mix != Mix::Exhaustive
            && self.exhaustive.is_done()
        {
            flavour = Flavour::Even;
        }
        let span = match flavour {
            Flavour::Pct(_) => self.pct.guess(),
            Flavour::Starve => self.pct.tasks() as u64,
            _ => 0,
        };
        self.follow(Plan { flavour, span, seed })
    }

    #[inline]
    fn task(&mut self, candidates: &[Candidate]) -> usize {
        match self.plan.flavour {
            Flavour::Pct(_) => self.pct.task(candidates),
            Flavour::Pos => self.pos.task(candidates),
            Flavour::Exhaustive => self.exhaustive.task(candidates),
            _ => self.random.task(candidates),
        }
    }

    #[inline]
    fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        match self.plan.flavour {
            Flavour::Pct(_) => self.pct.pick(kind, below),
            Flavour::Pos => self.pos.pick(kind, below),
            Flavour::Exhaustive => self.exhaustive.pick(kind, below),
            _ => self.random.pick(kind, below),
        }
    }

    fn end(&mut self, choices: u64) {
        // Also from schedules of other flavours: they run the same program.
        self.pct.end(choices);
    }
}
