//! What a campaign has tried: how many different schedules, and how many of the answers at each place.
//!
//! A place where one answer was never given in a night is a place that the strategies do not reach, or one that the
//! program does not allow; both are worth knowing before one trusts a green night.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::{Kind, fold};

/// Hashes of schedules that are remembered before only a sample of them is.
const REMEMBERED_MAX: usize = 1 << 15;

/// Answers up to here are told apart; larger ones by their power of two.
const FINE: u64 = 32;

/// Counts over a campaign.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    schedules: u64,
    distinct: Distinct,
    /// Places have the same hash in every run, so this also has the same order in every run.
    places: HashMap<(u64, Kind), Answers, BuildHasherDefault<Folded>>,
}

/// What was answered at a place.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    below_max: u64,
    given: u128,
}

impl Answers {
    /// How many there could have been.
    fn possible(self) -> u32 {
        bucket(self.below_max.saturating_sub(1)) + 1
    }
}

impl Coverage {
    /// A choice was made.
    #[inline]
    pub(crate) fn choice(&mut self, place: u64, kind: Kind, below: u64, value: u64) {
        let answers = self.places.entry((place, kind)).or_default();
        answers.below_max = answers.below_max.max(below);
        answers.given |= 1 << bucket(value);
    }

    /// A schedule with this hash is over.
    pub(crate) fn schedule(&mut self, hash: u64) {
        self.schedules += 1;
        self.distinct.see(hash);
    }

    /// Schedules so far.
    pub(crate) fn schedules(&self) -> u64 {
        self.schedules
    }

    /// How many of them were different. Exact up to some 30,000; an estimate, some 0.7 % off, beyond.
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct.count()
    }

    /// How many places there were.
    pub(crate) fn places(&self) -> u64 {
        self.places.len() as u64
    }

    /// Of all answers at all places, how many were given, and how many could have been.
    pub(crate) fn answers(&self) -> (u64, u64) {
        let sum = |count: fn(&Answers) -> u32| self.places.values().map(count).map(u64::from).sum();
        (sum(|answers| answers.given.count_ones()), sum(|answers| answers.possible()))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (given, possible) = self.answers();
        write!(
            f,
            "choice coverage: {given} of {possible} answers at {} places; {} schedules, {} of them different",
            self.places(),
            self.schedules(),
            self.distinct(),
        )
    }
}

/// Which answers count as one: at most 91 kinds.
fn bucket(value: u64) -> u32 {
    if value < FINE { value as u32 } else { 27 + value.ilog2() }
}

/// Counts different hashes in bounded memory: once full, it remembers only those below a limit, which halves each time
/// (adaptive sampling: Flajolet, "On adaptive sampling", 1990).
#[derive(Debug, Default)]
struct Distinct {
    remembered: std::collections::HashSet<u64, BuildHasherDefault<Folded>>,
    halvings: u32,
}

impl Distinct {
    fn see(&mut self, hash: u64) {
        let hash = super::rng::mix(hash);
        if !self.is_below(hash) {
            return;
        }
        self.remembered.insert(hash);
        while self.remembered.len() > REMEMBERED_MAX {
            self.halvings += 1;
            let halvings = self.halvings;
            self.remembered.retain(|hash| hash.leading_zeros() >= halvings);
        }
    }

    fn is_below(&self, hash: u64) -> bool {
        hash.leading_zeros() >= self.halvings
    }

    fn count(&self) -> u64 {
        (self.remembered.len() as u64) << self.halvings
    }
}

/// A hasher without a random seed, for keys of a few words.
#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        super::rng::mix(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0, word);
    }
}
