//! Locks that tasks and threads wait for alike. Public as `towpath::sync`.
//!
//! Sharing by talking comes first here (`channel`); these are for what is shared all the same. They are ours, and not
//! some other library's, so that a wait for one is as good as a wait for a channel: tasks and threads use the same
//! object, it is an arm of `select!` that leaves no trace when it loses, and it can be told who waits for whom.
//!
//! What always holds, for each of them:
//! - First come, first served, from when one stands in line; nobody overtakes those who do.
//! - A wait that is dropped, or loses a select, did nothing; what it had been given already goes to the next.
//! - A guard that is dropped releases, also when a panic drops it.
//!
//! All stand on one primitive, `raw/turnstile.rs`; here are their faces.

mod barrier;
mod mutex;
mod notify;
mod rwlock;
mod semaphore;
mod wait_group;

use std::fmt;

pub use barrier::{Barrier, BarrierWaitResult};
pub use mutex::{Mutex, MutexGuard, OwnedMutexGuard};
pub use notify::Notify;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{
    AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};
pub use wait_group::{WaitGroup, Working};

pub use crate::raw::turns::{
    Acquiring, AcquiringOwned, Finishing, Gathering, Locking, LockingOwned, Notified, Reading,
    Writing,
};

pub(crate) use notify::Listen;
pub(crate) use wait_group::Group;

/// `Name(value)`, or `Name(<locked>)`.
fn debug<T: fmt::Debug>(name: &str, value: Option<T>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut tuple = f.debug_tuple(name);
    match value {
        Some(value) => tuple.field(&value),
        None => tuple.field(&format_args!("<locked>")),
    };
    tuple.finish()
}

/// A guard is its value, to look at.
macro_rules! guard {
    ($name:ident<$($life:lifetime,)? $value:ident>) => {
        impl<$($life,)? $value: ?Sized> std::ops::Deref for $name<$($life,)? $value> {
            type Target = $value;

            #[inline]
            fn deref(&self) -> &$value {
                &self.hold
            }
        }

        impl<$($life,)? $value: ?Sized + fmt::Debug> fmt::Debug for $name<$($life,)? $value> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($life,)? $value: ?Sized + fmt::Display> fmt::Display for $name<$($life,)? $value> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
use guard;

/// ... and to change.
macro_rules! guard_mut {
    ($name:ident<$($life:lifetime,)? $value:ident>) => {
        impl<$($life,)? $value: ?Sized> std::ops::DerefMut for $name<$($life,)? $value> {
            #[inline]
            fn deref_mut(&mut self) -> &mut $value {
                &mut self.hold
            }
        }
    };
}
use guard_mut;
