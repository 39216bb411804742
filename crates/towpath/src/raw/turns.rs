//! The turns at each lock under the names that users see: futures, and arms of a select.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    chan::Chan,
    ends::SendEnd,
    guarded::{Guarded, Hold, NEVER_CLOSES, OneByOne, ReadersTogether, Share},
    turn::Turn,
    turnstile::{Passage, Turnstile},
};
use crate::{
    locks::{
        AcquireError, Barrier, BarrierWaitResult, Group, Listen, Mutex, MutexGuard,
        OwnedMutexGuard, OwnedSemaphorePermit, RwLockReadGuard, RwLockWriteGuard, Semaphore,
        SemaphorePermit,
    },
    select::{ArmContext, SelectArm},
    waitfor::Arm,
};

/// Defines the future `$name` around a turn at `$passage`; `$collect` makes the output of it.
macro_rules! future {
    (
        $(#[$attr:meta])*
        $name:ident [$($generics:tt)*] [$($args:tt)*] at $passage:ty => $output:ty,
        |$turn:ident, $passed:ident| $collect:expr
    ) => {
        $(#[$attr])*
        #[must_use = "a wait does nothing until it is awaited or selected on"]
        pub struct $name<$($generics)*> {
            turn: Turn<$passage>,
        }

        impl<$($generics)*> $name<$($args)*> {
            #[inline]
            #[track_caller]
            pub(crate) fn new(passage: $passage, want: usize) -> Self {
                Self { turn: Turn::new(passage, want) }
            }

            #[inline]
            fn turn(self: Pin<&Self>) -> Pin<&Turn<$passage>> {
                // SAFETY: the only field, which nobody moves out; there is no `Drop`, and it is `Unpin` only if the
                // turn is, which is never. Attacked by `it::locks::stress_moved_futures`.
                unsafe { self.map_unchecked(|this| &this.turn) }
            }

            #[inline]
            fn collect($turn: &Turn<$passage>, $passed: bool) -> $output {
                $collect
            }
        }

        impl<$($generics)*> Future for $name<$($args)*> {
            type Output = $output;

            #[inline]
            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<$output> {
                let this = self.as_ref();
                this.turn().poll(cx).map(|passed| Self::collect(&this.get_ref().turn, passed))
            }
        }

        impl<$($generics)*> fmt::Debug for $name<$($args)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

/// Makes an arm of it.
macro_rules! arm {
    ($name:ident [$($generics:tt)*] [$($args:tt)*] => $output:ty) => {
        impl<$($generics)*> SelectArm for $name<$($args)*> {
            type Output = $output;

            fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
                self.as_ref().turn().poll_arm(cx)
            }

            fn complete(self: Pin<&mut Self>) -> $output {
                let this = self.as_ref();
                let passed = this.turn().complete();
                Self::collect(&this.get_ref().turn, passed)
            }

            fn retract(self: Pin<&mut Self>) {
                self.turn.take_back();
            }

            fn may_be_ready(&self) -> bool {
                self.turn.may_be_ready()
            }

            fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
                self.turn.waits_for(each);
            }
        }
    };
}

future! {
    /// A lock under way: a future, and an arm for [`select!`](crate::select!). Made by [`Mutex::lock`].
    Locking['a, T: ?Sized]['a, T] at &'a Guarded<OneByOne, T> => MutexGuard<'a, T>,
    |turn, passed| {
        assert!(passed, "{NEVER_CLOSES}");
        // SAFETY: the turn has passed with the permit.
        MutexGuard::new(unsafe { Hold::new(*turn.passage()) })
    }
}
arm!(Locking['a, T: ?Sized]['a, T] => MutexGuard<'a, T>);

future! {
    /// A lock under way: a future, and an arm for [`select!`](crate::select!). Made by [`Mutex::lock_owned`].
    LockingOwned[T: ?Sized][T] at Arc<Mutex<T>> => OwnedMutexGuard<T>,
    |turn, passed| {
        assert!(passed, "{NEVER_CLOSES}");
        // SAFETY: the turn has passed with the permit.
        OwnedMutexGuard::new(unsafe { Hold::new(turn.passage().clone()) })
    }
}
arm!(LockingOwned[T: ?Sized][T] => OwnedMutexGuard<T>);

future! {
    /// A lock for reading under way: a future, and an arm for [`select!`](crate::select!). Made by
    /// [`RwLock::read`](crate::sync::RwLock::read).
    Reading['a, T: ?Sized]['a, T] at &'a Guarded<ReadersTogether, T> => RwLockReadGuard<'a, T>,
    |turn, passed| {
        assert!(passed, "{NEVER_CLOSES}");
        // SAFETY: the turn has passed with a permit.
        RwLockReadGuard::new(unsafe { Share::new(turn.passage()) })
    }
}
arm!(Reading['a, T: ?Sized]['a, T] => RwLockReadGuard<'a, T>);

future! {
    /// A lock for writing under way: a future, and an arm for [`select!`](crate::select!). Made by
    /// [`RwLock::write`](crate::sync::RwLock::write).
    Writing['a, T: ?Sized]['a, T] at &'a Guarded<ReadersTogether, T> => RwLockWriteGuard<'a, T>,
    |turn, passed| {
        assert!(passed, "{NEVER_CLOSES}");
        // SAFETY: the turn has passed with all permits.
        RwLockWriteGuard::new(unsafe { Hold::new(*turn.passage()) })
    }
}
arm!(Writing['a, T: ?Sized]['a, T] => RwLockWriteGuard<'a, T>);

future! {
    /// An acquisition under way: a future, and an arm for [`select!`](crate::select!). Made by [`Semaphore::acquire`].
    Acquiring['a]['a] at &'a Semaphore => Result<SemaphorePermit<'a>, AcquireError>,
    |turn, passed| {
        if !passed {
            return Err(AcquireError);
        }
        Ok(SemaphorePermit::new(turn.passage(), turn.want()))
    }
}
arm!(Acquiring['a]['a] => Result<SemaphorePermit<'a>, AcquireError>);

future! {
    /// An acquisition under way: a future, and an arm for [`select!`](crate::select!). Made by
    /// [`Semaphore::acquire_owned`].
    AcquiringOwned[][] at Arc<Semaphore> => Result<OwnedSemaphorePermit, AcquireError>,
    |turn, passed| {
        if !passed {
            return Err(AcquireError);
        }
        Ok(OwnedSemaphorePermit::new(turn.passage().clone(), turn.want()))
    }
}
arm!(AcquiringOwned[][] => Result<OwnedSemaphorePermit, AcquireError>);

future! {
    /// A wait for a notice: a future, and an arm for [`select!`](crate::select!). Made by
    /// [`Notify::notified`](crate::sync::Notify::notified).
    Notified['a]['a] at Listen<'a> => (),
    |_turn, _passed| ()
}
arm!(Notified['a]['a] => ());

impl Notified<'_> {
    /// Takes its place in line now, instead of when it is first polled; true if the notice has come already. So a
    /// [`notify_one`](crate::sync::Notify::notify_one) that comes after this call is for the first who was enabled or
    /// polled, not for the first who is polled after it.
    ///
    /// Not needed for [`notify_waiters`](crate::sync::Notify::notify_waiters), which reaches every `Notified` made
    /// before it.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// use std::pin::pin;
    /// let notify = towpath::sync::Notify::new();
    /// let mut first = pin!(notify.notified());
    /// assert!(!first.as_mut().enable());
    /// let mut second = pin!(notify.notified());
    /// notify.notify_one();
    /// assert!(first.as_mut().enable() && !second.as_mut().enable());
    /// first.await;
    /// # });
    /// ```
    pub fn enable(self: Pin<&mut Self>) -> bool {
        self.as_ref().turn().enable()
    }
}

future! {
    /// A wait for the end of the receivers: a future, and an arm for [`select!`](crate::select!). Made by
    /// [`Sender::closed`](crate::Sender::closed).
    Closed['a, T]['a, T] at Leaving<'a, T> => (),
    |_turn, _passed| ()
}
arm!(Closed['a, T]['a, T] => ());

/// Where senders wait for the end of the receivers.
pub(crate) struct Leaving<'a, T>(&'a Chan<T>);

impl<'a, T> Leaving<'a, T> {
    pub(crate) fn of(end: &'a SendEnd<T>) -> Self {
        Self(end.chan())
    }
}

impl<T> Passage for Leaving<'_, T> {
    fn turnstile(&self) -> &Turnstile {
        self.0.leaving()
    }

    fn is_over(&self) -> bool {
        self.0.has_left()
    }

    fn wish(&self, _: usize) -> Arm {
        Arm::Foreign
    }
}

future! {
    /// A wait at a barrier, as a future. Made by [`Barrier::wait`].
    Gathering['a]['a] at &'a Barrier => BarrierWaitResult,
    |_turn, passed| BarrierWaitResult::new(passed)
}

future! {
    /// A wait for the end of all work: a future, and an arm for [`select!`](crate::select!). Made by
    /// [`WaitGroup::wait`](crate::sync::WaitGroup::wait).
    Finishing['a]['a] at &'a Group => (),
    |_turn, _passed| ()
}
arm!(Finishing['a]['a] => ());
