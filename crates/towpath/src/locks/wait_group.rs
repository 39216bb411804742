//! Waiting for the end of all work.

use std::{fmt, sync::Arc};

use super::Finishing;
use crate::{
    raw::{
        turn::Turn,
        turnstile::{Passage, Turnstile},
    },
    sync::{AtomicUsize, Ordering},
};

/// Counts work that is under way, and waits until there is none. Clones count the same work.
///
/// ```
/// use towpath::sync::WaitGroup;
/// # towpath::block_on(async {
/// let group = WaitGroup::new();
/// for barge in 0..3 {
///     let working = group.add();
///     towpath::rt::spawn(async move {
///         println!("barge {barge} passes");
///         drop(working);
///     });
/// }
/// group.wait().await;
/// assert_eq!(group.working(), 0);
/// # });
/// ```
///
/// A [`Working`] that is dropped, also by a panic, is done: neither forgotten nor counted twice. What was done before
/// it was dropped is seen by those who waited.
#[derive(Clone, Default)]
pub struct WaitGroup {
    group: Arc<Group>,
}

struct Group {
    turnstile: Turnstile,
    working: AtomicUsize,
    /// How often there was no work any more. Changes under the line's lock, and only while there is none.
    rounds: AtomicUsize,
}

impl WaitGroup {
    /// No work yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins work, which is done when the guard is dropped.
    pub fn add(&self) -> Working {
        self.group.working.fetch_add(1, Ordering::Relaxed);
        Working { group: self.group.clone() }
    }

    /// How much work is under way.
    pub fn working(&self) -> usize {
        self.group.working.load(Ordering::Acquire)
    }

    /// Waits until no work is under way. One that was made before the last work was done does not miss that moment,
    /// although new work may have begun when it is polled; an end that new work follows at once may be passed over.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub fn wait(&self) -> Finishing<'_> {
        Finishing::new(self.group.finish(), 1)
    }

    /// As [`wait`](Self::wait), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    pub fn wait_blocking(&self) {
        Turn::wait(self.group.finish(), 1);
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("working", &self.working()).finish()
    }
}

/// Work under way; made by [`WaitGroup::add`]. Dropped, it is done.
#[must_use = "work that is dropped is done at once"]
pub struct Working {
    group: Arc<Group>,
}

impl Drop for Working {
    fn drop(&mut self) {
        let group = &*self.group;
        // `AcqRel`: the last to be done hands on what all others did before.
        if group.working.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        group.turnstile.tell_all(|| {
            let none = group.working.load(Ordering::Acquire) == 0;
            if none {
                // `Release`: pairs with the `Acquire` in `is_over`.
                group.rounds.fetch_add(1, Ordering::Release);
            }
            none
        });
    }
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Working(..)")
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            turnstile: Turnstile::new(0),
            working: AtomicUsize::new(0),
            rounds: AtomicUsize::new(0),
        }
    }
}

impl Group {
    fn finish(&self) -> Finish<'_> {
        Finish { group: self, round: self.rounds.load(Ordering::Acquire) }
    }
}

/// Who waits, and since when.
pub(crate) struct Finish<'a> {
    group: &'a Group,
    round: usize,
}

impl Passage for Finish<'_> {
    fn turnstile(&self) -> &Turnstile {
        &self.group.turnstile
    }

    /// Who stands in line saw work under the line's lock, and the last to be done takes that lock afterwards: so it
    /// finds those who must be told.
    fn is_over(&self) -> bool {
        self.group.working.load(Ordering::Acquire) == 0
            || self.group.rounds.load(Ordering::Acquire) != self.round
    }
}
