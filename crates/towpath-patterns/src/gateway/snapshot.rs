//! What a gateway counts.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Calls that were let in.
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
    /// Calls that were refused, or cut off, because the gateway was stopping.
    pub stopped: u64,
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
    pub(super) stopped: AtomicU64,
}

impl Counts {
    pub(super) fn one(count: &AtomicU64) {
        // Relaxed: nothing else is read because of it.
        count.fetch_add(1, Ordering::Relaxed);
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
            stopped: get(&self.stopped),
            ..Snapshot::default()
        }
    }
}
