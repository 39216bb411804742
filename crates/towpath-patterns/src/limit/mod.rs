//! Limits that change while they are in use: read by many at every request, changed now and then, and at once effective.
//!
//! | for | take | a read | a change |
//! |---|---|---|---|
//! | one number | [`Number`] | one atomic load | one atomic store |
//! | several numbers that belong together | [`Numbers`] | some loads, tried again if a change came between | some stores |
//! | other values that belong together | [`Together`] | a pointer, no lock, no count that readers share | replaces all of them at once |
//! | what must be accounted for | [`Audited`] | as `Together` | in a trail before it is in force, and may [degrade a stage](Stage) |
//! | comparing, and very rare reads | [`Locked`] | a lock of the standard library | waits for readers |
//! | so many a second, with bursts | [`TokenBucket`] | | keeps the tokens that are there |
//! | so many in any period | [`SlidingWindow`] | | counts what was taken before |
//!
//! All of them are a [`Limit`], so code that reads one does not know which.
//!
//! ```
//! use towpath_patterns::limit::{Limit, Number, Together};
//!
//! #[derive(Clone)]
//! struct Sizes {
//!     header_bytes_max: usize,
//!     body_bytes_max: usize,
//! }
//!
//! fn accepts(sizes: &impl Limit<Value = Sizes>, header: usize, body: usize) -> bool {
//!     // Both numbers are of one moment, whoever changes them.
//!     sizes.read(|sizes| header <= sizes.header_bytes_max && body <= sizes.body_bytes_max)
//! }
//!
//! let sizes = Together::new(Sizes { header_bytes_max: 100, body_bytes_max: 1000 });
//! assert!(!accepts(&sizes, 50, 2000));
//! sizes.change(Sizes { header_bytes_max: 100, body_bytes_max: 4000 })?;
//! assert!(accepts(&sizes, 50, 2000));
//!
//! let connections = Number::new(64);
//! connections.change(128)?;
//! assert_eq!(connections.get(), 128);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//! - A change that has returned is seen by every read that begins after it, in any thread.
//! - A read sees one value whole, never parts of two.
//! - Readers wait for nobody ([`Locked`] alone excepted), however often somebody changes the value.

mod audited;
mod bucket;
mod numbers;
mod stage;
mod turns;
mod window;

use std::{
    error, fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

pub use audited::{Audited, Change};
pub use bucket::{Rate, TokenBucket};
pub use numbers::Numbers;
pub use stage::{Level, Stage};
pub use turns::Refused;
pub use window::SlidingWindow;

/// A value that is read often and changed at run time; the [module](self) says what is promised.
pub trait Limit: Send + Sync {
    /// What it limits by.
    type Value: Clone;

    /// Looks at the value. Keep it short: some limits cannot be changed meanwhile.
    fn read<R>(&self, look: impl FnOnce(&Self::Value) -> R) -> R
    where
        Self: Sized;

    /// Changes the value, without waiting for room anywhere.
    ///
    /// # Errors
    /// [`NotChanged`] gives the value back; only limits that are [audited](Audited) refuse.
    fn change(&self, value: Self::Value) -> Result<(), NotChanged<Self::Value>>;

    /// The value as it is now.
    fn get(&self) -> Self::Value
    where
        Self: Sized,
    {
        self.read(Clone::clone)
    }
}

/// A change that was not made: nothing has happened.
#[derive(Clone, PartialEq, Eq)]
pub struct NotChanged<V> {
    /// What was not set.
    pub value: V,
    /// Why not.
    pub why: Why,
}

/// Why a limit was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Why {
    /// The trail is full: the auditor is behind.
    TrailFull,
    /// Nobody reads the trail any more.
    AuditorGone,
}

impl<V> fmt::Display for NotChanged<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::TrailFull => {
                "not changed: the trail is full; try again, or wait with `change_audited`"
            }
            Why::AuditorGone => {
                "not changed: nobody audits; start the process that reads the trail"
            }
        })
    }
}

impl<V> fmt::Debug for NotChanged<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotChanged").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<V> error::Error for NotChanged<V> {}

/// One number.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Begins with a value.
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }
}

impl Limit for Number {
    type Value = u64;

    fn read<R>(&self, look: impl FnOnce(&u64) -> R) -> R {
        look(&self.0.load(Ordering::Acquire))
    }

    fn change(&self, value: u64) -> Result<(), NotChanged<u64>> {
        self.0.store(value, Ordering::Release);
        Ok(())
    }
}

/// Several values that belong together: a reader sees all of them as they were set at once.
#[derive(Debug, Default)]
pub struct Together<T>(ArcSwap<T>);

impl<T> Together<T> {
    /// Begins with these values.
    pub fn new(values: T) -> Self {
        Self(ArcSwap::from_pointee(values))
    }

    /// The values, to keep for a while: a request that takes them at its beginning is treated alike to its end.
    pub fn snapshot(&self) -> Arc<T> {
        self.0.load_full()
    }
}

impl<T: Clone + Send + Sync> Limit for Together<T> {
    type Value = T;

    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.load())
    }

    fn change(&self, value: T) -> Result<(), NotChanged<T>> {
        self.0.store(Arc::new(value));
        Ok(())
    }
}

/// A value behind a reader-writer lock of the standard library: what most people write first, and the others are measured
/// beside. Readers write to the lock's counter, so they slow each other down, and wait while somebody changes the value.
#[derive(Debug, Default)]
pub struct Locked<T>(RwLock<T>);

impl<T> Locked<T> {
    /// Begins with a value.
    pub fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }
}

impl<T: Clone + Send + Sync> Limit for Locked<T> {
    type Value = T;

    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        // A look that panicked has changed nothing.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, value: T) -> Result<(), NotChanged<T>> {
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, value);
        drop(place);
        drop(before);
        Ok(())
    }
}
