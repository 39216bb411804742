//! A number of permits.

use std::{error::Error, fmt, mem::ManuallyDrop, sync::Arc};

use super::{Acquiring, AcquiringOwned};
use crate::{
    probe::Thing,
    process::Name,
    raw::{
        turn::Turn,
        turnstile::{PERMITS_MAX, Passage, Turnstile},
    },
    rt::Op,
    waitfor::Arm,
};

/// A number of permits that tasks and threads take and give back: so many at a time may do something.
///
/// First come, first served, whatever the number asked for: one that waits for many permits is not overtaken by those
/// who want few.
///
/// ```
/// use towpath::sync::Semaphore;
/// # towpath::block_on(async {
/// let berths = Semaphore::new(3);
/// let barge = berths.acquire(1).await.unwrap();
/// let convoy = berths.acquire(2).await.unwrap();
/// assert!(berths.try_acquire(1).is_err());
/// drop(convoy);
/// assert_eq!(berths.available_permits(), 2);
/// # drop(barge);
/// # });
/// ```
///
/// It is not made for keeping messages in order or for handing values over; that is what channels do.
pub struct Semaphore {
    turnstile: Turnstile,
}

impl Semaphore {
    /// The largest number of permits.
    pub const PERMITS_MAX: usize = PERMITS_MAX;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    /// When there are more than [`PERMITS_MAX`](Self::PERMITS_MAX).
    pub fn new(permits: usize) -> Self {
        assert!(permits <= PERMITS_MAX, "{TOO_MANY}");
        Self { turnstile: Turnstile::new(mutant!(semaphore_one_more, permits, permits + 1)) }
    }

    /// Gives it a name: from here on observers see it, with those who wait for permits and those who have some; see
    /// [`observe`](crate::observe). Without one, that costs nothing; with one, taking and giving keep books of it.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        let made = self.turnstile.available();
        self.turnstile.set_name(Thing::Semaphore, made, name.into());
        self
    }

    /// Its [name](Self::named), if it has one.
    pub fn name(&self) -> Option<Name> {
        self.turnstile.name()
    }

    /// Takes `permits`, waiting until they are there and everybody who came before has got theirs.
    ///
    /// # Errors
    /// [`AcquireError`] when the semaphore is closed, or is closed while it waits.
    ///
    /// # Panics
    /// When `permits` is more than [`PERMITS_MAX`](Self::PERMITS_MAX): it would wait for ever.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: it leaves the line, those behind it go on, and permits that it had
    /// been given already go to the next.
    #[inline]
    #[track_caller]
    pub fn acquire(&self, permits: usize) -> Acquiring<'_> {
        assert!(permits <= PERMITS_MAX, "{TOO_MANY}");
        Acquiring::new(self, permits)
    }

    /// As [`acquire`](Self::acquire), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    ///
    /// # Errors
    /// [`AcquireError`] when the semaphore is closed, or is closed while it waits.
    ///
    /// # Panics
    /// When `permits` is more than [`PERMITS_MAX`](Self::PERMITS_MAX): it would wait for ever.
    #[inline]
    #[track_caller]
    pub fn acquire_blocking(&self, permits: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.take_blocking(permits)?;
        Ok(SemaphorePermit::new(self, permits))
    }

    /// Takes `permits` if they are there and nobody waits.
    ///
    /// # Errors
    /// [`TryAcquireError`]: `NoPermits`, or `Closed`.
    #[inline]
    pub fn try_acquire(&self, permits: usize) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(permits)?;
        Ok(SemaphorePermit::new(self, permits))
    }

    /// As [`acquire`](Self::acquire), with a permit that owns its semaphore instead of borrowing it.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// use std::sync::Arc;
    /// let locks = Arc::new(towpath::sync::Semaphore::new(1));
    /// let permit = locks.clone().acquire_owned(1).await.unwrap();
    /// let passing = towpath::rt::spawn(async move { drop(permit) });
    /// passing.await.unwrap();
    /// assert_eq!(locks.available_permits(), 1);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`AcquireError`] when the semaphore is closed, or is closed while it waits.
    ///
    /// # Panics
    /// When `permits` is more than [`PERMITS_MAX`](Self::PERMITS_MAX): it would wait for ever.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>, permits: usize) -> AcquiringOwned {
        assert!(permits <= PERMITS_MAX, "{TOO_MANY}");
        AcquiringOwned::new(self, permits)
    }

    /// As [`acquire_owned`](Self::acquire_owned), on a thread.
    ///
    /// # Errors
    /// [`AcquireError`] when the semaphore is closed, or is closed while it waits.
    ///
    /// # Panics
    /// When `permits` is more than [`PERMITS_MAX`](Self::PERMITS_MAX): it would wait for ever.
    #[track_caller]
    pub fn acquire_owned_blocking(
        self: Arc<Self>,
        permits: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.take_blocking(permits)?;
        Ok(OwnedSemaphorePermit::new(self, permits))
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that owns its semaphore.
    ///
    /// # Errors
    /// [`TryAcquireError`]: `NoPermits`, or `Closed`.
    pub fn try_acquire_owned(
        self: Arc<Self>,
        permits: usize,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(permits)?;
        Ok(OwnedSemaphorePermit::new(self, permits))
    }

    #[inline]
    #[track_caller]
    fn take_blocking(&self, permits: usize) -> Result<(), AcquireError> {
        assert!(permits <= PERMITS_MAX, "{TOO_MANY}");
        if Turn::wait(self, permits) { Ok(()) } else { Err(AcquireError) }
    }

    #[inline]
    fn try_take(&self, permits: usize) -> Result<(), TryAcquireError> {
        self.turnstile.begin(Op::Acquire, None);
        if permits <= PERMITS_MAX && self.turnstile.try_take(permits) {
            return Ok(());
        }
        Err(if self.is_closed() { TryAcquireError::Closed } else { TryAcquireError::NoPermits })
    }

    /// Adds `permits`, for those who wait first.
    ///
    /// # Panics
    /// When there would be more than [`PERMITS_MAX`](Self::PERMITS_MAX).
    pub fn add_permits(&self, permits: usize) {
        self.turnstile.begin(Op::Release, None);
        assert!(self.turnstile.try_give(permits), "{TOO_MANY}");
    }

    /// How many permits could be taken now.
    pub fn available_permits(&self) -> usize {
        self.turnstile.available()
    }

    /// Gives no more permits: those who wait, and all who come, get an error. Permits that are out stay good. Closing
    /// it again changes nothing.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// let gates = towpath::sync::Semaphore::new(1);
    /// let passing = gates.acquire(1).await.unwrap();
    /// gates.close();
    /// assert!(gates.acquire(1).await.is_err());
    /// drop(passing);
    /// # });
    /// ```
    pub fn close(&self) {
        self.turnstile.close();
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.turnstile.is_closed()
    }
}

impl Passage for Semaphore {
    #[inline]
    fn turnstile(&self) -> &Turnstile {
        &self.turnstile
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.turnstile.is_closed()
    }

    fn wish(&self, permits: usize) -> Arm {
        Arm::Acquire { semaphore: self.turnstile.id(), permits }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Permits taken from a [`Semaphore`]; made by [`Semaphore::acquire`]. Dropped, they are given back.
#[must_use = "permits that are dropped are given back at once"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl<'a> SemaphorePermit<'a> {
    #[inline]
    pub(crate) fn new(semaphore: &'a Semaphore, permits: usize) -> Self {
        Self { semaphore, permits }
    }

    /// How many permits these are.
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Does not give them back: the semaphore has so many fewer from here.
    pub fn forget(self) {
        self.semaphore.turnstile.forget(self.permits);
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.turnstile.begin(Op::Release, None);
        let permits = mutant!(semaphore_gives_back_less, self.permits, self.permits / 2);
        self.semaphore.turnstile.give(permits);
    }
}

/// Permits that keep their [`Semaphore`] alive; made by [`Semaphore::acquire_owned`]. Dropped, they are given back.
#[must_use = "permits that are dropped are given back at once"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl OwnedSemaphorePermit {
    pub(crate) fn new(semaphore: Arc<Semaphore>, permits: usize) -> Self {
        // It is made to be given away, so observers are not told who has it.
        semaphore.turnstile.disown(permits);
        Self { semaphore, permits }
    }

    /// How many permits these are.
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Does not give them back: the semaphore has so many fewer from here.
    pub fn forget(mut self) {
        self.semaphore.turnstile.forget(self.permits);
        self.permits = 0;
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.turnstile.begin(Op::Release, None);
        self.semaphore.turnstile.give(self.permits);
    }
}

/// The semaphore is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcquireError;

/// Permits could not be taken without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryAcquireError {
    /// Too few permits now, or others wait for them.
    NoPermits,
    /// The semaphore is closed.
    Closed,
}

const TOO_MANY: &str = "more permits than `Semaphore::PERMITS_MAX`";
const CLOSED: &str = "the semaphore is closed";

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl Error for AcquireError {}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermits => "the semaphore has too few permits now",
            Self::Closed => CLOSED,
        })
    }
}

impl Error for TryAcquireError {}
