//! A value behind a turnstile, and the two ways to hold it: alone, or with other readers.
//!
//! What always holds: whoever can reach the value has permits of its turnstile, all of them for `&mut`, at least one
//! for `&`; a hold gives them back when it is dropped, also by a panic.

use std::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
};

use super::{
    turn::Turn,
    turnstile::{Passage, Turnstile},
};
use crate::{probe::Thing, process::Name, rt::Op, sync::UnsafeCell, waitfor::Arm};

/// A turn at a guarded value ends with its permits.
pub(super) const NEVER_CLOSES: &str = "a lock was closed";

/// How many may hold a value at once.
pub(crate) trait Rule {
    const PERMITS: usize;
    const THING: Thing;
}

/// One at a time: a mutex.
pub(crate) enum OneByOne {}

/// Readers together, a writer alone.
pub(crate) enum ReadersTogether {}

impl Rule for OneByOne {
    const PERMITS: usize = 1;
    const THING: Thing = Thing::Mutex;
}

impl Rule for ReadersTogether {
    /// More readers than this wait for each other, which no machine has memory for.
    const PERMITS: usize = (u32::MAX >> 4) as usize;
    const THING: Thing = Thing::RwLock;
}

pub(crate) struct Guarded<R, T: ?Sized> {
    turnstile: Turnstile,
    rule: PhantomData<R>,
    value: UnsafeCell<T>,
}

// SAFETY: it owns the value, nothing else.
unsafe impl<R, T: ?Sized + Send> Send for Guarded<R, T> {}
// SAFETY: one at a time has the value, so it is sent from one to the next and never shared. Attacked by
// `loom::locks_mutex_excludes`.
unsafe impl<T: ?Sized + Send> Sync for Guarded<OneByOne, T> {}
// SAFETY: readers share the value, a writer is alone with it. Attacked by `loom::locks_rwlock_excludes`.
unsafe impl<T: ?Sized + Send + Sync> Sync for Guarded<ReadersTogether, T> {}

impl<R: Rule, T> Guarded<R, T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            turnstile: Turnstile::new(R::PERMITS),
            rule: PhantomData,
            value: UnsafeCell::new(value),
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<R: Rule, T: ?Sized> Guarded<R, T> {
    /// All permits: with them the value is held alone.
    pub(crate) const ALL: usize = R::PERMITS;

    pub(crate) fn set_name(&mut self, name: Name) {
        self.turnstile.set_name(R::THING, R::PERMITS, name);
    }

    pub(crate) fn name(&self) -> Option<Name> {
        self.turnstile.name()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: borrowed exclusively, so nobody holds it.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<R: Rule, T: ?Sized> Passage for Guarded<R, T> {
    #[inline]
    fn turnstile(&self) -> &Turnstile {
        &self.turnstile
    }

    fn wish(&self, _: usize) -> Arm {
        Arm::Lock(self.turnstile.id())
    }
}

/// Where a guarded value is found.
///
/// # Safety
/// It is the same one each time, for as long as `self` lives.
pub(crate) unsafe trait Place {
    type Rule: Rule;
    type Value: ?Sized;
    fn guarded(&self) -> &Guarded<Self::Rule, Self::Value>;
}

// SAFETY: a reference does not change what it refers to.
unsafe impl<R: Rule, T: ?Sized> Place for &Guarded<R, T> {
    type Rule = R;
    type Value = T;

    #[inline]
    fn guarded(&self) -> &Guarded<R, T> {
        self
    }
}

// SAFETY: a mutex keeps its value in one place, and nobody has it mutably while it is in an `Arc` that we hold.
unsafe impl<T: ?Sized> Place for std::sync::Arc<crate::locks::Mutex<T>> {
    type Rule = OneByOne;
    type Value = T;

    #[inline]
    fn guarded(&self) -> &Guarded<OneByOne, T> {
        &self.guarded
    }
}

/// The value, held alone.
pub(crate) struct Hold<P: Place> {
    place: P,
}

// SAFETY: as `&mut T`; the permits are not bound to a thread.
unsafe impl<P: Place + Send> Send for Hold<P> where P::Value: Send {}
// SAFETY: shared, it gives out `&T` only.
unsafe impl<P: Place> Sync for Hold<P> where P::Value: Sync {}

impl<P: Place> Hold<P> {
    /// # Safety
    /// All permits of this place were taken, and are given to this hold.
    #[inline]
    pub(super) unsafe fn new(place: P) -> Self {
        Self { place }
    }

    /// Without waiting.
    #[inline]
    pub(crate) fn try_new(place: P) -> Option<Self> {
        place.guarded().turnstile.begin(Op::Acquire, None);
        if !place.guarded().turnstile.try_take(P::Rule::PERMITS) {
            return None;
        }
        // SAFETY: just taken.
        Some(unsafe { Self::new(place) })
    }

    /// On this thread.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(place: P) -> Self {
        assert!(Turn::wait(place.guarded(), P::Rule::PERMITS), "{NEVER_CLOSES}");
        // SAFETY: just taken.
        unsafe { Self::new(place) }
    }
}

impl<T: ?Sized> Hold<std::sync::Arc<crate::locks::Mutex<T>>> {
    /// It is made to be given away, so observers are not told who has it.
    #[inline]
    pub(crate) fn disown(&self) {
        self.place.guarded().turnstile.disown(OneByOne::PERMITS);
    }
}

impl<'a, T: ?Sized> Hold<&'a Guarded<ReadersTogether, T>> {
    /// Goes on as one reader among others, without letting another writer in between.
    pub(crate) fn downgrade(self) -> Share<'a, T> {
        let this = ManuallyDrop::new(self);
        let guarded = this.place;
        guarded.turnstile.give(ReadersTogether::PERMITS - 1);
        // SAFETY: one permit was kept.
        unsafe { Share::new(guarded) }
    }
}

impl<P: Place> Deref for Hold<P> {
    type Target = P::Value;

    #[inline]
    fn deref(&self) -> &P::Value {
        // SAFETY: held alone.
        self.place.guarded().value.with(|value| unsafe { &*value })
    }
}

impl<P: Place> DerefMut for Hold<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut P::Value {
        // SAFETY: held alone, and `&mut self` makes it the only reference.
        self.place.guarded().value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<P: Place> Drop for Hold<P> {
    #[inline]
    fn drop(&mut self) {
        self.place.guarded().turnstile.begin(Op::Release, None);
        self.place.guarded().turnstile.give(P::Rule::PERMITS);
    }
}

/// The value, held with other readers.
pub(crate) struct Share<'a, T: ?Sized> {
    guarded: &'a Guarded<ReadersTogether, T>,
}

// SAFETY: it gives out `&T` only, and the permit is not bound to a thread.
unsafe impl<T: ?Sized + Sync> Send for Share<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for Share<'_, T> {}

impl<'a, T: ?Sized> Share<'a, T> {
    /// # Safety
    /// A permit was taken, and is given to this share.
    #[inline]
    pub(super) unsafe fn new(guarded: &'a Guarded<ReadersTogether, T>) -> Self {
        Self { guarded }
    }

    /// Without waiting.
    #[inline]
    pub(crate) fn try_new(guarded: &'a Guarded<ReadersTogether, T>) -> Option<Self> {
        guarded.turnstile.begin(Op::Acquire, None);
        if !guarded.turnstile.try_take(1) {
            return None;
        }
        // SAFETY: just taken.
        Some(unsafe { Self::new(guarded) })
    }

    /// On this thread.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(guarded: &'a Guarded<ReadersTogether, T>) -> Self {
        assert!(Turn::wait(guarded, 1), "{NEVER_CLOSES}");
        // SAFETY: just taken.
        unsafe { Self::new(guarded) }
    }
}

impl<T: ?Sized> Deref for Share<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: with a permit in hand no writer can have them all.
        self.guarded.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> Drop for Share<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.guarded.turnstile.begin(Op::Release, None);
        self.guarded.turnstile.give(1);
    }
}
