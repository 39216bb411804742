//! What a gateway counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Refused, call::Answer};

/// How a gateway stands, and what has become of calls since it was started. Each number is right; those that are counted while it is
/// made may be in one and not yet in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls that wait for a worker.
    pub waiting: usize,
    /// Calls that are with a worker, or on the way to one.
    pub in_hand: usize,
    /// How many may be in hand at present.
    pub limit: usize,
    /// Calls that were let in. Each is answered, has died, is late, has left, is stale, was stopped, or is still here.
    pub accepted: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls whose handler ended without an answer.
    pub died: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Calls whose deadline passed.
    pub late: u64,
    /// Calls whose caller left.
    pub left: u64,
    /// Calls that were refused because the queue was full.
    pub shed_full: u64,
    /// Calls that were refused because there was no chance to have them done before their deadline.
    pub shed_hopeless: u64,
    /// Calls that were let in, waited in a crowded queue, and were refused after all.
    pub shed_stale: u64,
    /// Calls that were cut off because the gateway had no more time to stop.
    pub stopped: u64,
    /// Calls that were refused because the gateway was stopping.
    pub refused_stopped: u64,
    /// Calls that were late, or whose caller had left, before they were made.
    pub never_made: u64,
    /// What calls took in hand of late: half of them not more than this, and not an eighth less. `None` before the first.
    pub work_p50: Option<Duration>,
    /// As `work_p50`, 99 of a hundred.
    pub work_p99: Option<Duration>,
    /// What calls took of late from when they came, waiting included.
    pub total_p50: Option<Duration>,
    /// As `total_p50`, 99 of a hundred.
    pub total_p99: Option<Duration>,
    /// The longest of late.
    pub total_max: Option<Duration>,
}

impl Snapshot {
    /// Calls that were refused because there was too much to do.
    pub fn shed(&self) -> u64 {
        self.shed_full + self.shed_hopeless + self.shed_stale
    }
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) accepted: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) died: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) left: AtomicU64,
    pub(super) shed_full: AtomicU64,
    pub(super) shed_hopeless: AtomicU64,
    pub(super) shed_stale: AtomicU64,
    pub(super) stopped: AtomicU64,
    pub(super) refused_stopped: AtomicU64,
    pub(super) never_made: AtomicU64,
}

impl Counts {
    pub(super) fn one(count: &AtomicU64) {
        // Relaxed: nothing else is read because of it.
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A call that was let in has ended like this.
    pub(super) fn ended<Resp>(&self, answer: &Answer<Resp>) {
        Self::one(match answer {
            Ok(_) => &self.answered,
            Err(Refused::Late) => &self.late,
            Err(Refused::Left) => &self.left,
            Err(Refused::Stopped) => &self.stopped,
            Err(Refused::Overloaded { .. }) => &self.shed_stale,
            Err(Refused::Died) => &self.died,
        });
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Snapshot {
            accepted: get(&self.accepted),
            answered: get(&self.answered),
            died: get(&self.died),
            panics: get(&self.panics),
            late: get(&self.late),
            left: get(&self.left),
            shed_full: get(&self.shed_full),
            shed_hopeless: get(&self.shed_hopeless),
            shed_stale: get(&self.shed_stale),
            stopped: get(&self.stopped),
            refused_stopped: get(&self.refused_stopped),
            never_made: get(&self.never_made),
            ..Snapshot::default()
        }
    }
}
