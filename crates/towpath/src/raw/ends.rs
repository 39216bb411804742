//! The two ends of a channel.
//!
//! What always holds: an exclusive receiving end is the only one of its channel, and receives through `&mut`; that is
//! what makes the single-receiver paths of `ring.rs` and `list.rs` sound.

use std::{
    future::Future,
    mem::ManuallyDrop,
    panic::Location,
    ptr,
    task::{Context, Poll},
};

use super::{
    chan::{Chan, Mode},
    recv::Receiving,
    ring::Push,
    seen,
};
use crate::{
    observe::Shown,
    rt::{Object, sim},
    select::SelectArm,
    sync::Arc,
};

/// One of the sending ends; the channel's last one to go tells the receivers.
pub(crate) struct SendEnd<T>(Arc<Chan<T>>);

/// A receiving end; the channel's last one to go drops what is queued and tells the senders. How it shares its channel
/// is part of its type, so that it takes one word.
pub(crate) struct RecvEnd<T, const SHARED: bool = false> {
    chan: Arc<Chan<T>>,
}

// What the parts give anyway, said once more so that the compiler names `T` and the end, not what is inside, to
// somebody who sends the wrong thing across threads.
// SAFETY: `Chan<T>` is `Send` and `Sync` for `T: Send`.
unsafe impl<T: Send> Send for SendEnd<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SendEnd<T> {}
// SAFETY: as above; receiving takes `&mut`.
unsafe impl<T: Send, const SHARED: bool> Send for RecvEnd<T, SHARED> {}
// SAFETY: as above.
unsafe impl<T: Send, const SHARED: bool> Sync for RecvEnd<T, SHARED> {}

/// A new channel; `None` is unbounded.
#[track_caller]
pub(crate) fn channel<T>(capacity: Option<usize>) -> (SendEnd<T>, RecvEnd<T>) {
    let chan = Arc::new(Chan::new(capacity));
    sim::made(Arc::as_ptr(&chan).addr(), Object::Channel(capacity), Location::caller());
    (SendEnd(chan.clone()), RecvEnd { chan })
}

#[cfg(feature = "sim")]
impl<T> Drop for Chan<T> {
    fn drop(&mut self) {
        sim::gone(ptr::from_ref(self).addr());
    }
}

impl<T> SendEnd<T> {
    #[inline]
    pub(crate) fn chan(&self) -> &Chan<T> {
        &self.0
    }

    #[cfg(feature = "futures")]
    pub(super) fn arc(&self) -> Arc<Chan<T>> {
        self.0.clone()
    }

    pub(crate) fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    #[inline]
    pub(crate) fn try_send(&self, value: &mut Option<T>) -> Push {
        self.0.try_send(value)
    }

    #[inline]
    pub(crate) fn try_reserve(&self) -> Push {
        self.0.try_reserve()
    }

    /// Sends on a place that `try_reserve` or a `ReserveOp` has kept.
    pub(crate) fn send_reserved(&self, value: T) -> Result<(), T> {
        self.0.send_reserved(value)
    }

    pub(crate) fn unreserve(&self) {
        self.0.unreserve();
    }
}

impl<T: Send + 'static> SendEnd<T> {
    pub(crate) fn visible(&self) -> Shown {
        seen::visible(&self.0)
    }
}

impl<T: Send + 'static, const SHARED: bool> RecvEnd<T, SHARED> {
    pub(crate) fn visible(&self) -> Shown {
        seen::visible(&self.chan)
    }
}

impl<T> Clone for SendEnd<T> {
    fn clone(&self) -> Self {
        self.0.add_sender();
        Self(self.0.clone())
    }
}

impl<T> Drop for SendEnd<T> {
    fn drop(&mut self) {
        if self.0.remove_sender() {
            seen::forget(&self.0);
        }
    }
}

impl<T> RecvEnd<T> {
    /// From here the end may be cloned.
    pub(crate) fn into_shared(mut self) -> RecvEnd<T, true> {
        self.forget_kept();
        self.chan.share();
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so its `Arc` moves.
        RecvEnd { chan: unsafe { ptr::read(&raw const this.chan) } }
    }

    /// Polls the receive that is kept between the calls of `poll_recv`.
    pub(crate) fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.chan.kept.with_mut(|kept| {
            // SAFETY: `&mut self` on the only receiving end, see `Chan::kept`. Attacked by `it::streams`.
            let kept = unsafe { &mut *kept };
            let receiving = kept.get_or_insert_with(|| {
                // SAFETY: it goes away before the channel does (`Drop`), and `fresh` takes it back before any other
                // receive begins.
                Box::pin(unsafe { Receiving::on(&self.chan, Mode::Exclusive) })
            });
            let polled = receiving.as_mut().poll(cx);
            if polled.is_ready() {
                receiving.again();
            }
            polled
        })
    }

    /// Takes a half-done `poll_kept` back before another way of receiving begins.
    #[inline]
    pub(crate) fn fresh(&mut self) {
        self.chan.kept.with_mut(|kept| {
            // SAFETY: as in `poll_kept`.
            if let Some(kept) = unsafe { &mut *kept } {
                SelectArm::retract(kept.as_mut());
            }
        });
    }

    fn forget_kept(&mut self) {
        // SAFETY: as in `poll_kept`.
        drop(self.chan.kept.with_mut(|kept| unsafe { (*kept).take() }));
    }

    /// Shuts the senders out when called, see `Chan::seal`; does not keep the end alive.
    pub(crate) fn sealer(&self) -> impl Fn() + Send + Sync + use<T>
    where
        T: Send,
    {
        let chan = self.chan.clone();
        move || chan.seal()
    }
}

impl<T> RecvEnd<T, true> {
    pub(crate) fn clone_shared(&self) -> Self {
        self.chan.add_receiver();
        Self { chan: self.chan.clone() }
    }
}

impl<T, const SHARED: bool> RecvEnd<T, SHARED> {
    const MODE: Mode = if SHARED { Mode::Shared } else { Mode::Exclusive };

    #[inline]
    pub(crate) fn chan(&self) -> &Chan<T> {
        &self.chan
    }

    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        Self::MODE
    }

    #[inline]
    pub(crate) fn try_recv(&mut self) -> Result<Option<T>, ()> {
        // SAFETY: `&mut` on the end: if it is the only one, nobody else receives.
        unsafe { self.chan.try_recv(Self::MODE, true) }
    }

    pub(crate) fn take_many(&mut self, limit: usize, out: &mut Vec<T>) -> usize {
        // SAFETY: as above.
        unsafe { self.chan.take_many(Self::MODE, limit, out) }
    }
}

impl<T, const SHARED: bool> Drop for RecvEnd<T, SHARED> {
    fn drop(&mut self) {
        if !SHARED {
            // SAFETY: as in `poll_kept`; a shared end has given it up in `into_shared`.
            drop(self.chan.kept.with_mut(|kept| unsafe { (*kept).take() }));
        }
        if self.chan.remove_receiver() {
            seen::forget(&self.chan);
        }
    }
}
