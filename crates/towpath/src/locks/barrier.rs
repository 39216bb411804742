//! Nobody goes on before all are here.

use std::fmt;

use super::Gathering;
use crate::{
    probe::Thing,
    process::Name,
    raw::{
        turn::Turn,
        turnstile::{Passage, Turnstile},
    },
    waitfor::Arm,
};

/// A number of tasks and threads that wait for each other: when the last has come, all go on. Then it serves again.
///
/// ```
/// use towpath::sync::Barrier;
/// let start = Barrier::new(3);
/// std::thread::scope(|s| {
///     for _ in 0..2 {
///         s.spawn(|| start.wait_blocking());
///     }
///     towpath::block_on(start.wait());
/// });
/// ```
///
/// Its wait is no arm of a select. That all go on is decided in one moment, and selects that each may go another way
/// in that moment could not all be held to it. `select::future(barrier.wait())` joins all the same, at the price named
/// there: a barrier that opens at the very moment in which another arm wins has counted this one.
pub struct Barrier {
    turnstile: Turnstile,
    parties: usize,
}

impl Barrier {
    /// A barrier for so many. With one, or none, nobody ever waits.
    pub fn new(parties: usize) -> Self {
        Self { turnstile: Turnstile::new(0), parties }
    }

    /// Gives it a name: from here on observers see it, with those who wait at it; see [`observe`](crate::observe).
    /// Without one, that costs nothing.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.turnstile.set_name(Thing::Barrier, self.parties, name.into());
        self
    }

    /// Its [name](Self::named), if it has one.
    pub fn name(&self) -> Option<Name> {
        self.turnstile.name()
    }

    /// Waits until as many are here as the barrier is for. The one who came last is told that it leads.
    ///
    /// It is here from when it is first polled.
    ///
    /// # Cancel safety
    /// Dropped before the last has come, it did nothing: it is not here any more. Once the barrier has opened with it,
    /// dropping it loses only the result.
    #[track_caller]
    pub fn wait(&self) -> Gathering<'_> {
        Gathering::new(self, 1)
    }

    /// As [`wait`](Self::wait), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    #[track_caller]
    pub fn wait_blocking(&self) -> BarrierWaitResult {
        BarrierWaitResult::new(Turn::wait(self, 1))
    }
}

impl Passage for Barrier {
    fn turnstile(&self) -> &Turnstile {
        &self.turnstile
    }

    fn opens_at(&self) -> usize {
        self.parties
    }

    fn wish(&self, _: usize) -> Arm {
        Arm::All(self.turnstile.id())
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("parties", &self.parties).finish_non_exhaustive()
    }
}

/// How a wait at a [`Barrier`] ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarrierWaitResult {
    leads: bool,
}

impl BarrierWaitResult {
    pub(crate) fn new(leads: bool) -> Self {
        Self { leads }
    }

    /// Whether this one came last: exactly one of each round does.
    pub fn is_leader(&self) -> bool {
        self.leads
    }
}
