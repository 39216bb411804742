//! Several numbers that belong together, read without writing to memory at all.
//!
//! What always holds:
//! - Version `v` is in half `v % 2`, whole, from before `v` is published until after `v + 1` is.
//! - A read that finds the same version before and after has read one version whole. It tries again only if somebody
//!   has finished a change within those nanoseconds; one who is stopped in the middle of a change stops no reader.
//!
//! Why two halves: with one, a reader would have to wait for a writer that the scheduler has put aside.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use super::{Limit, NotChanged};

/// Numbers that are changed together and read together, whole. For values that are more than numbers there is
/// [`Together`](super::Together).
///
/// ```
/// use towpath_patterns::limit::{Limit, Numbers};
///
/// let [header, body] = [0, 1];
/// let sizes = Numbers::new([100, 1000]);
/// sizes.change([200, 4000])?;
/// assert!(sizes.read(|sizes| sizes[header] + sizes[body] == 4200));
/// # Ok::<(), towpath_patterns::limit::NotChanged<[u64; 2]>>(())
/// ```
pub struct Numbers<const N: usize> {
    version: AtomicU64,
    halves: [[AtomicU64; N]; 2],
    changing: Mutex<()>,
}

impl<const N: usize> Numbers<N> {
    /// Begins with these values.
    pub fn new(values: [u64; N]) -> Self {
        Self {
            version: AtomicU64::new(0),
            halves: [values.map(AtomicU64::new), [0; N].map(AtomicU64::new)],
            changing: Mutex::new(()),
        }
    }

    #[inline]
    fn load(&self) -> [u64; N] {
        let mut version = self.version.load(Ordering::Acquire);
        loop {
            let half = &self.halves[(version % 2) as usize];
            let values = std::array::from_fn(|index| half[index].load(Ordering::Relaxed));
            // If one of the loads saw a number of a later version, this and the fence in `change` make the next load see that
            // the version in between had been published.
            fence(Ordering::Acquire);
            let after = self.version.load(Ordering::Relaxed);
            if after == version {
                return values;
            }
            version = self.version.load(Ordering::Acquire);
        }
    }
}

impl<const N: usize> Limit for Numbers<N> {
    type Value = [u64; N];

    #[inline]
    fn read<R>(&self, look: impl FnOnce(&[u64; N]) -> R) -> R {
        look(&self.load())
    }

    fn change(&self, values: [u64; N]) -> Result<(), NotChanged<[u64; N]>> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.version.load(Ordering::Relaxed).wrapping_add(1);
        // Orders the last publication before the stores below: see `load`.
        fence(Ordering::Release);
        for (place, value) in self.halves[(next % 2) as usize].iter().zip(values) {
            place.store(value, Ordering::Relaxed);
        }
        self.version.store(next, Ordering::Release);
        drop(changing);
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Numbers<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Numbers").field(&self.load()).finish()
    }
}
