//! A lock for critical sections of a few dozen instructions.
//!
//! What always holds:
//! - No user code (a message's drop, a waker's clone or wake) runs while it is held.
//! - Its holder waits for no other `Lock`, but for a line's holder that notes a member of a set (`watch.rs`) or keeps the
//!   books of a named lock (`observe/plate.rs`), and there the inner one is a leaf.
//!
//! Why not `std::sync::Mutex`: unlocking here is one plain store, where a lock that may have sleepers needs an
//! atomic exchange, which costs as much as the rest of a rendezvous' critical section; and ThreadSanitizer cannot
//! see into std's contended path. The price: a thread that meets a descheduled holder yields its core, and after
//! many yields sleeps for tens of microseconds, which also lets a holder of lower real-time priority run.

use std::ops::{Deref, DerefMut};

use super::backoff::Backoff;
use crate::sync::{AtomicBool, Ordering, UnsafeCell};

pub(crate) struct Lock<S> {
    held: AtomicBool,
    state: UnsafeCell<S>,
}

// SAFETY: the lock hands out `&mut S` to one thread at a time, so sharing it needs only `S: Send`.
// Attacked by `loom::lock_excludes`.
unsafe impl<S: Send> Send for Lock<S> {}
// SAFETY: as above.
unsafe impl<S: Send> Sync for Lock<S> {}

impl<S> Lock<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { held: AtomicBool::new(false), state: UnsafeCell::new(state) }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, S> {
        if self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_contended();
        }
        Guard { lock: self }
    }

    #[cold]
    fn lock_contended(&self) {
        let mut backoff = Backoff::new();
        loop {
            // Reading first keeps the line shared while somebody else works under the lock.
            if !self.held.load(Ordering::Relaxed)
                && self
                    .held
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            backoff.wait_for_other();
        }
    }
}

pub(crate) struct Guard<'a, S> {
    lock: &'a Lock<S>,
}

impl<S> Deref for Guard<'_, S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        // SAFETY: the guard exists only between winning `held` and giving it back.
        self.lock.state.with(|state| unsafe { &*state })
    }
}

impl<S> DerefMut for Guard<'_, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut S {
        // SAFETY: as in `deref`, and `&mut self` makes it the only reference.
        self.lock.state.with_mut(|state| unsafe { &mut *state })
    }
}

impl<S> Drop for Guard<'_, S> {
    #[inline]
    fn drop(&mut self) {
        let order = mutant!(lock_release_relaxed, Ordering::Release, Ordering::Relaxed);
        self.lock.held.store(false, order);
    }
}
