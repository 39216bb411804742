//! Every choice of a schedule, in one stream.
//!
//! What always holds:
//! - Whatever could go one way or another is asked here: who runs next, which arm of a select, what a random number is,
//!   what the network and the disk do, whether a process crashes. So the list of answers is the schedule.
//! - 0 is the default answer everywhere. A run is fully described by its *forced* choices, those that are not 0, and by
//!   where in the stream they stand.
//! - An answer is a pure function of the seed and of what was asked before. The same answers give the same run.
//! - A question with one possible answer is no choice and leaves no trace.
//!
//! Why one stream: then one token replays everything, and one shrinker makes everything smaller.
//!
//! [`Choices`] is what the engine and the simulated world talk to. Behind it a [`Portfolio`] decides by one of the
//! strategies, each in a file of its own, or a list of forced choices is followed.

mod coverage;
mod exhaustive;
mod pct;
mod portfolio;
mod pos;
mod random;
mod rng;
mod shrink;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub(crate) use coverage::Coverage;
#[cfg(test)]
pub(crate) use exhaustive::Bounds;
pub(crate) use portfolio::{Flavour, Mix, Plan, Portfolio};
pub(crate) use rng::{Rng, seed_of};
pub(crate) use shrink::{Budget, shrink};
pub(crate) use token::Token;
#[cfg(test)]
pub(crate) use token::TokenError;

/// Who may go on next, and with what.
///
/// The engine lists candidates so that index 0 is the default: the one that runs now if it may go on, else the one that
/// has waited longest. [`CLOCK`], if it is among them, is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its number, by birth; [`CLOCK`] for the passing of time.
    pub(crate) task: u32,
    /// What it touches next; 0 for unknown. Two candidates with the same object race.
    pub(crate) object: u32,
    /// What it does next.
    pub(crate) op: Op,
}

/// The candidate that lets time pass to the next timer while somebody could run.
pub(crate) const CLOCK: u32 = u32::MAX;

/// What a simulated process does next, as far as a strategy may care: whether it is still the same that it was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Op {
    /// A send or a reservation that may wait.
    Send,
    Recv,
    /// What does not wait, at the sending end.
    TrySend,
    TryRecv,
    /// An end of a channel is dropped.
    Close,
    Select,
    Lock,
    /// A lock or permits are given back, or somebody is notified.
    Unlock,
    /// A context is ended.
    Cancel,
    Spawn,
    Join,
    Sleep,
    /// It said that others may go first.
    Yield,
    /// Time passes.
    Clock,
    Other,
}

/// What a choice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Who runs next.
    Task,
    /// Which of several ready arms a select takes.
    Arm,
    /// A random number that the library or the program asked for.
    Random,
    Network,
    Disk,
    Crash,
    /// The program asked the simulator itself.
    User,
    /// How long a step takes.
    Cost,
}

/// Decides, one schedule after the other.
pub(crate) trait Strategy {
    /// A new schedule. `false`: nothing is left to try.
    fn begin(&mut self, seed: u64) -> bool;
    /// Who goes on: an index into `candidates`, of which there are at least two.
    fn task(&mut self, candidates: &[Candidate]) -> usize;
    /// A number below `below`, which is at least 2.
    fn pick(&mut self, kind: Kind, below: u64) -> u64;
    /// The schedule is over; `choices` were made about tasks.
    fn end(&mut self, choices: u64) {
        let _ = choices;
    }
}

/// A choice that is not the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Forced {
    /// Where it stands in the stream, counted from 0.
    pub(crate) at: u64,
    /// Never 0. More than there are answers means the last one.
    pub(crate) value: u64,
}

/// The one stream: asks the strategy, or follows forced choices, and keeps what was chosen.
#[derive(Debug)]
pub(crate) struct Choices {
    /// Boxed, so that a whole stream is changed for another in a few instructions.
    strategy: Box<Portfolio>,
    /// Followed instead of the strategy while `replaying`.
    forced: Vec<Forced>,
    next: usize,
    replaying: bool,
    /// An even walk decides, and nobody counts places: then who goes on is a random number and nothing else.
    even: bool,
    /// Every answer, by position.
    made: Vec<u64>,
    about_tasks: u64,
    place: u64,
    coverage: Option<Box<Coverage>>,
    covers_places: bool,
}

/// Choices of a schedule for which there is room before the list grows; it keeps its size from one to the next.
const CHOICES_AT_FIRST: usize = 1024;

impl Choices {
    /// A stream fed by `strategy`. [`begin`](Self::begin) starts the first schedule.
    pub(crate) fn new(strategy: Portfolio) -> Self {
        let made = Vec::with_capacity(CHOICES_AT_FIRST);
        let strategy = Box::new(strategy);
        Self { strategy, made, replaying: false, ..Self::none() }
    }

    /// A stream for nobody, which keeps nothing.
    pub(crate) fn none() -> Self {
        Self {
            strategy: Box::new(Portfolio::new(Mix::Random)),
            forced: Vec::new(),
            next: 0,
            replaying: true,
            even: false,
            made: Vec::new(),
            about_tasks: 0,
            place: 0,
            coverage: None,
            covers_places: false,
        }
    }

    /// A new schedule by the strategy. `false`: it has none left.
    #[must_use]
    pub(crate) fn begin(&mut self, seed: u64) -> bool {
        self.clear();
        self.replaying = false;
        let begun = self.strategy.begin(seed);
        self.even = self.strategy.is_even() && !self.covers_places;
        begun
    }

    /// A schedule by the strategy that was chosen in an earlier campaign, from the plan that it had then.
    pub(crate) fn follow(&mut self, plan: Plan) {
        self.clear();
        self.replaying = false;
        self.strategy.follow(plan);
        self.even = self.strategy.is_even() && !self.covers_places;
    }

    /// A schedule in which only these choices, sorted by position, are not the default. The strategy learns nothing.
    pub(crate) fn replay(&mut self, forced: &[Forced]) {
        self.clear();
        self.replaying = true;
        self.even = false;
        self.forced.clear();
        self.forced.extend_from_slice(forced);
    }

    /// The schedule is over.
    pub(crate) fn end(&mut self) {
        if self.replaying {
            return;
        }
        self.strategy.end(self.about_tasks);
        if let Some(coverage) = &mut self.coverage {
            coverage.schedule(hash_of(&self.made));
        }
    }

    /// Who goes on: an index into `candidates`. Nobody asks with an empty list; with one candidate there is no choice.
    #[inline(always)]
    pub(crate) fn task(&mut self, candidates: &[Candidate]) -> usize {
        let below = candidates.len();
        if below < 2 {
            return 0;
        }
        self.about_tasks += 1;
        let value =
            if self.even { self.strategy.one_of(below as u64) } else { self.ask(candidates) };
        self.keep(below as u64, value);
        value as usize
    }

    #[inline(never)]
    fn ask(&mut self, candidates: &[Candidate]) -> u64 {
        let below = candidates.len() as u64;
        let value = if self.replaying {
            self.forced_below(below)
        } else {
            self.strategy.task(candidates) as u64
        };
        if self.covers_places {
            self.note_place(candidates, value);
        }
        value
    }

    /// For coverage.
    #[cold]
    fn note_place(&mut self, candidates: &[Candidate], value: u64) {
        if let Some(coverage) = &mut self.coverage {
            // Without a word from the engine, a place is what the default candidate is about to do.
            let place = match self.place {
                0 => u64::from(candidates[0].op as u8),
                place => place,
            };
            coverage.choice(place, Kind::Task, candidates.len() as u64, value);
        }
    }

    /// A number below `below`; 0 if that is at most 1.
    #[inline]
    pub(crate) fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        if below < 2 {
            return 0;
        }
        let value =
            if self.replaying { self.forced_below(below) } else { self.strategy.pick(kind, below) };
        if self.covers_places
            && let Some(coverage) = &mut self.coverage
        {
            coverage.choice(self.place, kind, below, value);
        }
        self.keep(below, value);
        value
    }

    /// Whether it helps to say where choices are made.
    #[inline]
    pub(crate) fn covers_places(&self) -> bool {
        self.covers_places
    }

    /// Says where in the program the next choices are made, for coverage alone. Any number that is the same in each
    /// schedule will do; 0 stands for unknown.
    #[inline]
    pub(crate) fn at(&mut self, place: u64) {
        self.place = place;
    }

    /// What was chosen in this schedule so far and is not the default.
    pub(crate) fn forced(&self) -> Vec<Forced> {
        let numbered = (0..).zip(&self.made).map(|(at, value)| Forced { at, value: *value });
        numbered.filter(|choice| choice.value != 0).collect()
    }

    /// A hash of what was chosen so far: equal for equal schedules.
    #[cfg(test)]
    pub(crate) fn hash(&self) -> u64 {
        hash_of(&self.made)
    }

    /// What the strategy needs to do this schedule again; none if it was not by a seed.
    pub(crate) fn plan(&self) -> Option<Plan> {
        if self.replaying { None } else { self.strategy.plan() }
    }

    /// Whether there is no schedule but those that were tried.
    pub(crate) fn is_complete(&self) -> bool {
        self.strategy.is_complete()
    }

    /// Counts schedules from now on.
    pub(crate) fn count(&mut self) {
        self.coverage = Some(Box::default());
    }

    /// Counts schedules and what is chosen where, which costs a look into a table at each choice.
    pub(crate) fn cover(&mut self) {
        self.count();
        self.covers_places = true;
    }

    /// What was counted. Nothing is counted after this.
    pub(crate) fn take_coverage(&mut self) -> Option<Coverage> {
        self.covers_places = false;
        self.coverage.take().map(|coverage| *coverage)
    }

    fn clear(&mut self) {
        self.next = 0;
        self.made.clear();
        self.about_tasks = 0;
        self.place = 0;
    }

    #[inline]
    fn forced_below(&mut self, below: u64) -> u64 {
        match self.forced.get(self.next) {
            Some(forced) if forced.at == self.made.len() as u64 => {
                self.next += 1;
                // A list that was made smaller meets other questions than it was made for.
                forced.value.min(below - 1)
            }
            _ => 0,
        }
    }

    #[inline]
    fn keep(&mut self, below: u64, value: u64) {
        debug_assert!(value < below, "a strategy answered {value} of {below}");
        self.made.push(value);
    }
}

/// A hash of what was answered. The questions need not be in it: the same answers lead to the same ones.
fn hash_of(made: &[u64]) -> u64 {
    made.iter().fold(0, |hash, value| fold(hash, *value))
}

/// One more word into a hash, as rustc's own hasher does it: two instructions, and good enough to tell schedules apart.
#[inline]
pub(crate) fn fold(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xf135_7aea_2e62_a9c5)
}
