//! The primitives everything else is built from: the standard library's, or loom's in the models.
//!
//! This is the only file that says loom. `UnsafeCell` has loom's closure interface in both worlds, so that the
//! models see every access to a message or a waker.

#[cfg(towpath_loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    skip_branch,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        },
    },
    thread,
};

#[cfg(not(towpath_loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        },
    },
    thread,
};

/// `std::cell::UnsafeCell` with loom's interface.
#[cfg(not(towpath_loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(towpath_loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

#[cfg(not(towpath_loom))]
impl<T: ?Sized> UnsafeCell<T> {
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Loom takes sequentially consistent accesses for acquire-release ones and knows sequential consistency from fences
/// alone, so the models get a fence where the algorithm relies on the order of all such accesses (`gate.rs`).
#[inline(always)]
pub(crate) fn fence_in_models() {
    #[cfg(towpath_loom)]
    fence(Ordering::SeqCst);
}

/// Keeps two values that different cores write from sharing a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}
