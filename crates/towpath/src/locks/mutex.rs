//! One at a time.

use std::{fmt, sync::Arc};

use super::{Locking, LockingOwned};
use crate::{
    process::Name,
    raw::{
        guarded::{Guarded, Hold, OneByOne},
        turnstile::{Passage, Turnstile},
    },
    waitfor::Arm,
};

type Value<T> = Guarded<OneByOne, T>;

/// A value that one task or thread has at a time, served first come, first served.
///
/// A guard may be kept across an `.await`, and may be sent to another thread. There is no poison: a panic that drops
/// the guard releases the lock, and whoever comes next finds the value as it was left.
///
/// ```
/// use std::time::Duration;
/// use towpath::{select, sync::Mutex};
/// # towpath::block_on(async {
/// let fleet = Mutex::new(vec!["swan"]);
/// fleet.lock().await.push("heron");
/// let barges = select! {
///     fleet = fleet.lock() => fleet.len(),
///     _ = towpath::after(Duration::from_secs(1)) => 0, // then it has not been locked
/// };
/// assert_eq!(barges, 2);
/// # });
/// ```
///
/// Locking it again while holding it waits for ever.
pub struct Mutex<T: ?Sized> {
    pub(crate) guarded: Value<T>,
}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub fn new(value: T) -> Self {
        Self { guarded: Guarded::new(value) }
    }

    /// Gives it a name: from here on observers see it, with those who wait for it and those who hold it; see
    /// [`observe`](crate::observe). Without one, that costs nothing; with one, locking and unlocking keep books of it.
    ///
    /// ```
    /// # use towpath::sync::Mutex;
    /// let fleet = Mutex::new(vec!["swan"]).named("fleet");
    /// assert_eq!(fleet.name().as_deref(), Some("fleet"));
    /// ```
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

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting until it is this one's turn.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: it leaves the line, and a lock that it had been given already goes to
    /// the next.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Locking<'_, T> {
        Locking::new(&self.guarded, Value::<T>::ALL)
    }

    /// As [`lock`](Self::lock), on a thread. While nobody stands in line it looks again for some microseconds before it
    /// takes its place there; in line it spins, yields, then sleeps. Do not call it inside a task: it keeps the
    /// runtime's worker.
    #[inline]
    #[track_caller]
    pub fn lock_blocking(&self) -> MutexGuard<'_, T> {
        MutexGuard::new(Hold::wait(&self.guarded))
    }

    /// Locks if that is possible now: nobody has it, and nobody waits for it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Hold::try_new(&self.guarded).map(MutexGuard::new)
    }

    /// As [`lock`](Self::lock), with a guard that owns its mutex instead of borrowing it.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// use std::sync::Arc;
    /// let mutex = Arc::new(towpath::sync::Mutex::new(0));
    /// let mut guard = mutex.clone().lock_owned().await;
    /// let task = towpath::rt::spawn(async move { *guard += 1 }); // it needs no lifetime
    /// task.await.unwrap();
    /// assert_eq!(*mutex.lock().await, 1);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> LockingOwned<T> {
        LockingOwned::new(self, Value::<T>::ALL)
    }

    /// As [`lock_owned`](Self::lock_owned), on a thread.
    #[track_caller]
    pub fn lock_owned_blocking(self: Arc<Self>) -> OwnedMutexGuard<T> {
        OwnedMutexGuard::new(Hold::wait(self))
    }

    /// As [`try_lock`](Self::try_lock), with a guard that owns its mutex.
    pub fn try_lock_owned(self: Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        Hold::try_new(self).map(OwnedMutexGuard::new)
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

impl<T: ?Sized> Passage for Mutex<T> {
    #[inline]
    fn turnstile(&self) -> &Turnstile {
        self.guarded.turnstile()
    }

    fn wish(&self, want: usize) -> Arm {
        self.guarded.wish(want)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug("Mutex", self.try_lock(), f)
    }
}

/// A mutex that is locked; made by [`Mutex::lock`]. Dropped, it unlocks.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    hold: Hold<&'a Value<T>>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    #[inline]
    pub(crate) fn new(hold: Hold<&'a Value<T>>) -> Self {
        Self { hold }
    }
}

/// A mutex that is locked and kept alive; made by [`Mutex::lock_owned`]. Dropped, it unlocks.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct OwnedMutexGuard<T: ?Sized> {
    hold: Hold<Arc<Mutex<T>>>,
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    pub(crate) fn new(hold: Hold<Arc<Mutex<T>>>) -> Self {
        hold.disown();
        Self { hold }
    }
}

super::guard!(MutexGuard<'a, T>);
super::guard_mut!(MutexGuard<'a, T>);
super::guard!(OwnedMutexGuard<T>);
super::guard_mut!(OwnedMutexGuard<T>);
