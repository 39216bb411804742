//! Waiting for the end of all work.

use std::{fmt, sync::Arc};

use super::Finishing;
use crate::{
    probe::Thing,
    process::Name,
    raw::{
        turn::Turn,
        turnstile::{Passage, Turnstile},
    },
    sync::{AtomicUsize, Ordering},
    waitfor::Arm,
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

pub(crate) struct Group {
    turnstile: Turnstile,
    working: AtomicUsize,
}

impl WaitGroup {
    /// No work yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new one with a name, which observers see, with those who wait for the end of its work; see
    /// [`observe`](crate::observe).
    pub fn with_name(name: impl Into<Name>) -> Self {
        let mut group = Group::default();
        group.turnstile.set_name(Thing::WaitGroup, 0, name.into());
        Self { group: Arc::new(group) }
    }

    /// Its [name](Self::with_name), if it has one.
    pub fn name(&self) -> Option<Name> {
        self.group.turnstile.name()
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

    /// Waits until no work is under way, from when it is first polled. One that waits and is told so is done, although
    /// new work may have begun meanwhile; an end that new work follows at once may be passed over.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    #[track_caller]
    pub fn wait(&self) -> Finishing<'_> {
        Finishing::new(&self.group, 1)
    }

    /// As [`wait`](Self::wait), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    #[track_caller]
    pub fn wait_blocking(&self) {
        Turn::wait(&*self.group, 1);
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
        // Seen under the line's lock: whoever stands in line came before this moment without work, whatever begins now.
        group.turnstile.tell_all(|| group.working.load(Ordering::Acquire) == 0);
    }
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Working(..)")
    }
}

impl Default for Group {
    fn default() -> Self {
        Self { turnstile: Turnstile::new(0), working: AtomicUsize::new(0) }
    }
}

impl Passage for Group {
    fn turnstile(&self) -> &Turnstile {
        &self.turnstile
    }

    /// Who stands in line saw work under the line's lock, and the last to be done takes that lock afterwards: so it
    /// finds those who must be told.
    fn is_over(&self) -> bool {
        self.working.load(Ordering::Acquire) == 0
    }

    fn wish(&self, _: usize) -> Arm {
        Arm::All(self.turnstile.id())
    }
}
