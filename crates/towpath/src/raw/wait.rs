//! Whoever waits, task or thread: one operation, or a whole select with many arms. It lives in the waiting future or on
//! the waiting thread's stack; its places in waiting lines are `line::Node`s.
//!
//! What always holds:
//! - A notifier touches a node and its core only under that lock, and `Core::notify` is the last touch. So an owner
//!   may free both once it has seen `NOTIFIED` (one line), or once it has taken the lock of each line it stood in.
//! - The waker is taken under the lock and woken after it: no foreign code runs inside.
//!
//! Why a three-step `signal` guards the waker: a task may be moved to another task while somebody wakes it; the
//! owner then must not overwrite a waker that is being taken, nor miss that it was (the lost wake-up of several
//! channels). Same idea as the `AtomicWaker` of the futures crate, with the notice kept in the same word.

use std::{task::Waker, time::Instant};

use super::{backoff::Backoff, claim};
use crate::{
    rt,
    sync::{AtomicU32, Ordering, UnsafeCell},
};

/// Nobody to wake: not waiting yet, or a thread that still spins.
const NONE: u32 = 0;
/// The waker is in place.
const SET: u32 = 1;
/// Somebody has the waker in hand, for a few instructions.
const LOCKED: u32 = 2;
/// Notified since the waker was last set.
const NOTIFIED: u32 = 3;

/// Something with a waiting line and a lock that guards it.
pub(super) trait Line {
    /// Runs `f`, a few instructions and no foreign code, under the lock.
    fn with_line<R>(&self, f: impl FnOnce() -> R) -> R;
}

/// Whoever waits: one operation or one select.
pub(crate) struct Core {
    /// Who may still win it; see `claim.rs`.
    pub(super) claim: AtomicU32,
    signal: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
    #[cfg(towpath_loom)]
    rank: usize,
}

impl Core {
    pub(crate) fn new(claim: u32) -> Self {
        Self {
            claim: AtomicU32::new(claim),
            signal: AtomicU32::new(NONE),
            waker: UnsafeCell::new(None),
            #[cfg(towpath_loom)]
            rank: next_rank(),
        }
    }

    /// Which of two cores steps back when they try each other: the one of higher rank, which is its address.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(super) fn rank(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// In a model, which must go the same way twice though its stacks move, the order of creation.
    #[cfg(towpath_loom)]
    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// Puts `waker` in place while this core stands in no line, so that nobody else can see it yet.
    #[inline]
    pub(super) fn arm_alone(&self, waker: &Waker) {
        let fresh = waker.clone();
        // SAFETY: in no line, so the slot is the owner's; entering a line publishes it through the line's lock.
        let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
        self.signal.store(SET, Ordering::Relaxed);
        drop(stale);
    }

    /// Puts `waker` in place, for a select or a set, which others may notify in several lines at once. True: a notice
    /// came since the last call, look at the nodes again.
    ///
    /// Only the owner calls this.
    pub(crate) fn arm(&self, waker: &Waker) -> bool {
        let mut backoff = Backoff::new();
        loop {
            match self.signal.load(Ordering::Acquire) {
                NONE | NOTIFIED => {
                    let fresh = waker.clone();
                    // SAFETY: outside `SET` no notifier touches the waker, and leaving these two states towards
                    // `SET` or `LOCKED` is the owner's alone. Attacked by `loom::waker_moves_between_tasks`.
                    let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
                    let before = self.signal.swap(SET, Ordering::AcqRel);
                    drop(stale);
                    return before == NOTIFIED;
                }
                SET => {
                    if self
                        .signal
                        .compare_exchange(SET, LOCKED, Ordering::Acquire, Ordering::Relaxed)
                        .is_err()
                    {
                        continue;
                    }
                    // SAFETY: `LOCKED` by us: notifiers wait for it to end.
                    let same = self.waker.with(|slot| unsafe {
                        (*slot).as_ref().is_some_and(|old| old.will_wake(waker))
                    });
                    if same {
                        self.signal.store(SET, Ordering::Release);
                        return false;
                    }
                    // Cloning is foreign code: not while others wait for us.
                    // SAFETY: as above, the slot is ours while `LOCKED`.
                    let stale = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                    self.signal.store(NONE, Ordering::Release);
                    drop(stale);
                }
                _ => backoff.wait_for_other(),
            }
        }
    }

    /// Whether a notice came since the waker was set. After `true` no notifier of a one-line core touches it.
    #[inline]
    pub(crate) fn notified(&self) -> bool {
        self.signal.load(Ordering::Acquire) == NOTIFIED
    }

    /// Before standing in line (again) without a waker: forgets a notice that has been dealt with. Owner only, while in
    /// no line.
    #[inline]
    pub(super) fn reset(&self) {
        self.signal.store(NONE, Ordering::Relaxed);
    }

    /// Puts `waker` in place while this core, of a single operation, may stand in `line`. True: it has been notified
    /// already.
    pub(super) fn arm_in_line(&self, line: &impl Line, waker: &Waker) -> bool {
        let fresh = waker.clone();
        let unused = line.with_line(|| self.arm_under_lock(fresh));
        unused.is_err()
    }

    /// Puts `fresh` in place while this core, of a single operation, may stand in a line whose lock the caller holds.
    /// `Err`: it has been notified already. Either way, what is given back is to be dropped outside the lock.
    pub(super) fn arm_under_lock(&self, fresh: Waker) -> Result<Option<Waker>, Waker> {
        if self.notified() {
            return Err(fresh);
        }
        // SAFETY: the waker of a single operation that is not notified yet is touched under its line's lock only.
        // Attacked by `loom::waker_moves_between_tasks`.
        let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
        self.signal.store(SET, Ordering::Relaxed);
        Ok(stale)
    }

    /// Tells the owner to look again; the waker, if any, is to be woken once the lock is released.
    #[must_use]
    #[inline]
    pub(super) fn notify(&self) -> Option<Waker> {
        if self.claim.load(Ordering::Relaxed) != claim::PLAIN {
            return self.notify_shared();
        }
        // One line, whose lock is held: nobody else touches the waker.
        let armed = mutant!(core_wakes_nobody, self.signal.load(Ordering::Relaxed) == SET, false);
        let waker = if armed {
            // SAFETY: as just said; and the owner goes on only after the store below.
            self.waker.with_mut(|slot| unsafe { (*slot).take() })
        } else {
            None
        };
        self.signal.store(NOTIFIED, Ordering::Release);
        waker
    }

    /// As `notify`, when others may do so at the same time in other lines.
    fn notify_shared(&self) -> Option<Waker> {
        let mut backoff = Backoff::new();
        loop {
            match self.signal.load(Ordering::Relaxed) {
                NONE => {
                    if self
                        .signal
                        .compare_exchange(NONE, NOTIFIED, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        return None;
                    }
                }
                SET => {
                    if self
                        .signal
                        .compare_exchange(SET, LOCKED, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                    {
                        // SAFETY: `LOCKED` by us: owner and other notifiers wait for it to end.
                        let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                        let order =
                            mutant!(select_notified_relaxed, Ordering::Release, Ordering::Relaxed);
                        self.signal.store(NOTIFIED, order);
                        return mutant!(select_woken_by_nobody, waker, None);
                    }
                }
                // A select that another line has just notified: an acquire-release pass over the word keeps the
                // order "phase, then signal" for our phase too.
                NOTIFIED => {
                    if self
                        .signal
                        .compare_exchange(NOTIFIED, NOTIFIED, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        return None;
                    }
                }
                _ => backoff.wait_for_other(),
            }
        }
    }

    /// Waits on this thread until notified, or until `deadline`, or if `foreign` until it is woken in any way.
    pub(crate) fn wait_thread_until(
        &self,
        waker: &Waker,
        deadline: Option<Instant>,
        foreign: bool,
    ) {
        if !foreign && deadline.is_none() {
            return self.wait_thread();
        }
        if self.signal.load(Ordering::Acquire) == NONE && !self.arm_thread(waker) {
            return;
        }
        while !self.notified() {
            let timely = rt::park_until(deadline);
            if foreign || !timely {
                break;
            }
        }
        self.disarm_thread();
    }

    /// Before a select or a set on a thread looks at its arms (again): a notice that comes from here on counts, also
    /// when a task had put its waker in place.
    pub(crate) fn begin_thread(&self) {
        self.disarm_thread();
        // Not a plain store: the notifier's phase must be seen by the look that follows.
        let _ = self.signal.compare_exchange(NOTIFIED, NONE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Takes the waker back, so that the next wait begins from `NONE`.
    fn disarm_thread(&self) {
        let mut backoff = Backoff::new();
        loop {
            match self.signal.load(Ordering::Acquire) {
                SET => {
                    if self
                        .signal
                        .compare_exchange(SET, LOCKED, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                    {
                        // SAFETY: `LOCKED` by us.
                        let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                        self.signal.store(NONE, Ordering::Release);
                        drop(waker);
                        return;
                    }
                }
                LOCKED => backoff.wait_for_other(),
                _ => return,
            }
        }
    }

    /// Waits on this thread until the single operation in `line` is notified: spins, yields, then parks, and says so
    /// before.
    pub(super) fn wait_thread_in_line(&self, line: &impl Line, parks: impl FnOnce()) {
        let mut backoff = Backoff::new();
        while !self.notified() {
            if !backoff.spin_or_yield() {
                parks();
                rt::with_thread_waker(|waker| {
                    if !self.arm_in_line(line, waker) {
                        while !self.notified() {
                            rt::park();
                        }
                    }
                });
                return;
            }
        }
    }

    /// Waits on this thread until notified: spins, yields, then parks.
    pub(crate) fn wait_thread(&self) {
        let mut backoff = Backoff::new();
        while !self.notified() {
            if !backoff.spin_or_yield() {
                self.park_thread();
                return;
            }
        }
    }

    #[cold]
    fn park_thread(&self) {
        rt::with_thread_waker(|waker| {
            if self.signal.load(Ordering::Acquire) != NOTIFIED && self.arm_thread(waker) {
                while !self.notified() {
                    rt::park();
                }
            }
        });
    }

    /// As `arm`, but a notice that is already there stays. True: the waker is in place.
    fn arm_thread(&self, waker: &Waker) -> bool {
        let fresh = waker.clone();
        // SAFETY: a waiting thread sets its waker once per wait, from `NONE`, in which nobody else touches the slot.
        // Attacked by `loom::waker_of_a_thread`.
        let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
        drop(stale);
        self.signal.compare_exchange(NONE, SET, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// All threads of a model are one to the standard library.
#[cfg(towpath_loom)]
fn next_rank() -> usize {
    thread_local! {
        static NEXT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
    NEXT.replace(NEXT.get() + 1)
}
