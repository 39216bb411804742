//! Readers together, a writer alone.

use std::fmt;

use super::{Reading, Writing};
use crate::{
    process::Name,
    raw::guarded::{Guarded, Hold, ReadersTogether, Share},
};

type Value<T> = Guarded<ReadersTogether, T>;

/// A value that many read at a time, or one writes. Readers and writers stand in one line, first come, first served:
/// a reader that comes after a waiting writer waits behind it, so neither side starves.
///
/// There is no poison: a panic that drops a guard releases the lock, and whoever comes next finds the value as it was
/// left.
///
/// ```
/// use towpath::sync::{RwLock, RwLockWriteGuard};
/// # towpath::block_on(async {
/// let levels = RwLock::new([3, 5]);
/// let (one, other) = (levels.read().await, levels.read().await);
/// assert_eq!(*one, *other);
/// assert!(levels.try_write().is_none());
/// drop((one, other));
/// let mut level = levels.write().await;
/// level[0] += 1;
/// let level = RwLockWriteGuard::downgrade(level); // still locked, for reading
/// assert_eq!(level[0], levels.read().await[0]);
/// # });
/// ```
///
/// Reading again while a guard is held may wait for ever: a writer may stand in line between the two.
pub struct RwLock<T: ?Sized> {
    guarded: Value<T>,
}

impl<T> RwLock<T> {
    /// An unlocked lock.
    pub fn new(value: T) -> Self {
        Self { guarded: Guarded::new(value) }
    }

    /// Gives it a name: from here on observers see it, with those who wait for it and those who hold it; see
    /// [`observe`](crate::observe). Without one, that costs nothing; with one, locking and unlocking keep books of it.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.guarded.set_name(name.into());
        self
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.guarded.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting while somebody writes or has come to write before.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: it leaves the line, and what it had been given already goes to the
    /// next.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> Reading<'_, T> {
        Reading::new(&self.guarded, 1)
    }

    /// As [`read`](Self::read), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    #[inline]
    #[track_caller]
    pub fn read_blocking(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard::new(Share::wait(&self.guarded))
    }

    /// Locks for reading if that is possible now: nobody writes, and nobody waits.
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        Share::try_new(&self.guarded).map(RwLockReadGuard::new)
    }

    /// Locks for writing, waiting until everybody who came before has gone.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: it leaves the line, those behind it go on, and a lock that it had
    /// been given already goes to the next.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> Writing<'_, T> {
        Writing::new(&self.guarded, Value::<T>::ALL)
    }

    /// As [`write`](Self::write), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    #[inline]
    #[track_caller]
    pub fn write_blocking(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard::new(Hold::wait(&self.guarded))
    }

    /// Locks for writing if that is possible now: nobody has the lock, and nobody waits.
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        Hold::try_new(&self.guarded).map(RwLockWriteGuard::new)
    }

    /// Its [name](Self::named), if it has one.
    pub fn name(&self) -> Option<Name> {
        self.guarded.name()
    }

    /// The value, without locking: borrowed exclusively, nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.guarded.get_mut()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug("RwLock", self.try_read(), f)
    }
}

/// A lock that is held for reading; made by [`RwLock::read`]. Dropped, it unlocks.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    hold: Share<'a, T>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    #[inline]
    pub(crate) fn new(hold: Share<'a, T>) -> Self {
        Self { hold }
    }
}

/// A lock that is held for writing; made by [`RwLock::write`]. Dropped, it unlocks.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    hold: Hold<&'a Value<T>>,
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    #[inline]
    pub(crate) fn new(hold: Hold<&'a Value<T>>) -> Self {
        Self { hold }
    }

    /// Goes on as a reader, without unlocking in between: what was written is what is read. Readers at the front of
    /// the line join at once.
    ///
    /// Not a method, since the value may have one of this name.
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard::new(this.hold.downgrade())
    }
}

super::guard!(RwLockReadGuard<'a, T>);
super::guard!(RwLockWriteGuard<'a, T>);
super::guard_mut!(RwLockWriteGuard<'a, T>);
