//! A notice without a message.

use std::{fmt, panic::Location};

use super::Notified;
use crate::{
    probe::Thing,
    process::Name,
    raw::{
        turn::Turn,
        turnstile::{Passage, Turnstile},
    },
    rt::Op,
    sync::{AtomicUsize, Ordering},
    waitfor::Arm,
};

/// Tells tasks and threads to look again at something that is kept elsewhere.
///
/// [`notify_one`](Self::notify_one) is for one: the one who has waited longest, or, when nobody waits, the next who
/// comes. Only one such notice is kept: two in a row without a waiter are one.
/// [`notify_waiters`](Self::notify_waiters) is for all who wait, and is not kept: it reaches every
/// [`notified()`](Self::notified) that was made before it, polled or not.
///
/// So a loop that looks between making the wait and awaiting it misses nothing:
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
/// use towpath::sync::Notify;
/// # towpath::block_on(async {
/// let shared = Arc::new((AtomicBool::new(false), Notify::new()));
/// let theirs = shared.clone();
/// let opener = towpath::rt::spawn(async move {
///     theirs.0.store(true, Ordering::Release);
///     theirs.1.notify_waiters();
/// });
/// loop {
///     let told = shared.1.notified();
///     if shared.0.load(Ordering::Acquire) {
///         break;
///     }
///     told.await;
/// }
/// # opener.await.unwrap();
/// # });
/// ```
///
/// What came before a notice is seen by the one who gets it.
pub struct Notify {
    turnstile: Turnstile,
    /// Calls to `notify_waiters`. Changes under the line's lock.
    rounds: AtomicUsize,
}

impl Notify {
    /// Nobody waits, and no notice is kept.
    pub fn new() -> Self {
        Self { turnstile: Turnstile::new(0), rounds: AtomicUsize::new(0) }
    }

    /// Gives it a name: from here on observers see it, with those who wait for a notice; see
    /// [`observe`](crate::observe). Without one, that costs nothing.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.turnstile.set_name(Thing::Notify, 0, name.into());
        self
    }

    /// Its [name](Self::named), if it has one.
    pub fn name(&self) -> Option<Name> {
        self.turnstile.name()
    }

    /// Waits for a notice.
    ///
    /// From this call on it is reached by [`notify_waiters`](Self::notify_waiters). Its place in line for
    /// [`notify_one`](Self::notify_one) it takes when it is first polled, or by [`Notified::enable`]; one that comes
    /// before is kept for it, unless others take it first.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: a notice from `notify_one` that it had been given already goes to the
    /// next who waits or comes.
    #[inline]
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        self.turnstile.begin(Op::Notified, Some(Location::caller()));
        Notified::new(self.listen(), 1)
    }

    /// As [`notified`](Self::notified), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    #[track_caller]
    pub fn notified_blocking(&self) {
        Turn::wait(self.listen(), 1);
    }

    /// Tells the one who has waited longest; if nobody waits, the next who comes.
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) {
        self.turnstile.begin(Op::Notify, Some(Location::caller()));
        self.turnstile.signal();
    }

    /// Tells all who wait, and those whose [`notified()`](Self::notified) was made before this call.
    #[track_caller]
    pub fn notify_waiters(&self) {
        self.turnstile.begin(Op::Notify, Some(Location::caller()));
        self.turnstile.tell_all(|| {
            // `Release`: what came before is seen by the `Acquire` of those who find the number changed.
            self.rounds.fetch_add(mutant!(notify_waiters_uncounted, 1, 0), Ordering::Release);
            true
        });
    }

    #[inline]
    fn listen(&self) -> Listen<'_> {
        Listen { notify: self, round: self.rounds.load(Ordering::Acquire) }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("kept", &(self.turnstile.available() > 0))
            .finish_non_exhaustive()
    }
}

/// Who listens, and since when.
pub(crate) struct Listen<'a> {
    notify: &'a Notify,
    round: usize,
}

impl Passage for Listen<'_> {
    #[inline]
    fn turnstile(&self) -> &Turnstile {
        &self.notify.turnstile
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.notify.rounds.load(Ordering::Acquire) != self.round
    }

    fn give_back(&self, _: usize) {
        self.notify.turnstile.signal();
    }

    fn wish(&self, _: usize) -> Arm {
        Arm::Notified(self.notify.turnstile.id())
    }
}
