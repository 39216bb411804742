//! The receiving ends.

use std::{
    fmt,
    panic::Location,
    task::{Context, Poll},
};

use super::{Receiving, RecvMany};
use crate::{
    error::TryRecvError,
    observe::{self, Shown},
    process::Name,
    raw::ends::RecvEnd,
    rt::Op,
    waitfor::ResourceId,
};

/// The receiving end of a channel, with one owner: not `Clone`, and receiving takes `&mut self`, so one task or
/// thread receives at a time. Several share the work through [`into_shared`](Self::into_shared).
///
/// When it is dropped the channel closes: queued messages are dropped, and sends get their values back.
pub struct Receiver<T> {
    pub(super) end: RecvEnd<T>,
}

/// A receiving end that several consumers share: clone it for each. Each message goes to one of them.
///
/// When the last one is dropped the channel closes.
pub struct SharedReceiver<T> {
    pub(super) end: RecvEnd<T, true>,
}

macro_rules! receiving {
    () => {
        /// Receives the next message, waiting for one. `None`: the senders are gone and everything that was queued
        /// has been received; it stays so.
        ///
        /// # Cancel safety
        /// Dropped before completion, it did nothing: no message is lost.
        #[inline]
        #[track_caller]
        pub fn recv(&mut self) -> Receiving<'_, T> {
            self.fresh();
            Receiving::new(&mut self.end)
        }

        /// As [`recv`](Self::recv), on a thread.
        ///
        /// Waits by spinning for about two microseconds, then yielding, then sleeping. Do not call it inside a
        /// task: it keeps the runtime's worker.
        #[inline]
        #[track_caller]
        pub fn recv_blocking(&mut self) -> Option<T> {
            self.fresh();
            Receiving::wait(&mut self.end)
        }

        /// Receives the next message if there is one now.
        ///
        /// On a rendezvous channel with a *task* waiting to send, the message is there at a later call: only the
        /// task itself may let go of it.
        ///
        /// # Errors
        /// `Empty`, or `Closed` when the senders are gone and nothing is left.
        #[inline]
        #[track_caller]
        pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
            self.end.chan().begin(Op::TryRecv, Location::caller());
            self.fresh();
            match self.end.try_recv() {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(TryRecvError::Closed),
                Err(()) => Err(TryRecvError::Empty),
            }
        }

        /// Waits for at least one message and appends up to `limit` of those that are there to `batch`. Returns how
        /// many; 0 means that the channel has ended (or that `limit` is 0).
        ///
        /// # Cancel safety
        /// Dropped before completion, it did nothing: no message is lost.
        #[track_caller]
        pub fn recv_many<'a>(&'a mut self, batch: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T> {
            self.fresh();
            RecvMany::new(&mut self.end, batch, limit)
        }

        /// As [`recv_many`](Self::recv_many), on a thread.
        #[track_caller]
        pub fn recv_many_blocking(&mut self, batch: &mut Vec<T>, limit: usize) -> usize {
            self.fresh();
            if limit == 0 {
                return 0;
            }
            self.end.chan().begin(Op::TryRecv, Location::caller());
            let ready = self.end.take_many(limit, batch);
            if ready > 0 {
                return ready;
            }
            match Receiving::wait(&mut self.end) {
                Some(value) => {
                    batch.push(value);
                    1 + self.end.take_many(limit - 1, batch)
                }
                None => 0,
            }
        }

        /// How many messages may be queued: 0 for a rendezvous, `None` if unbounded.
        pub fn capacity(&self) -> Option<usize> {
            self.end.chan().capacity()
        }

        /// How many messages are queued now.
        pub fn len(&self) -> usize {
            self.end.chan().len()
        }

        /// Whether nothing is queued now.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether the senders are gone; what is queued can still be received.
        pub fn is_closed(&self) -> bool {
            self.end.chan().senders_gone()
        }
    };
}

impl<T> Receiver<T> {
    pub(super) fn new(end: RecvEnd<T>) -> Self {
        Self { end }
    }

    receiving!();

    /// [`recv`](Self::recv) for those who write futures by hand: stands in line until the next call, or until this
    /// receiver is used in another way or dropped.
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.end.poll_kept(cx)
    }

    /// Lets several consumers share the work: each message goes to one of them.
    pub fn into_shared(self) -> SharedReceiver<T> {
        SharedReceiver { end: self.end.into_shared() }
    }

    /// Takes a half-done `poll_next` back before another way of receiving begins.
    #[inline]
    fn fresh(&mut self) {
        self.end.fresh();
    }

    /// Names its channel for observers.
    pub(crate) fn id(&self) -> ResourceId {
        self.end.chan().id()
    }

    pub(crate) fn is_meet(&self) -> bool {
        self.end.chan().is_meet()
    }

    pub(crate) fn end_mut(&mut self) -> &mut RecvEnd<T> {
        self.fresh();
        &mut self.end
    }
}

impl<T: Send> Receiver<T> {
    /// Shuts the senders out when called, see `Chan::seal`; does not keep the channel open.
    #[cfg(not(towpath_loom))]
    pub(crate) fn sealer(&self) -> impl Fn() + Send + Sync + use<T> {
        self.end.sealer()
    }

    /// The same for the models, which cannot run a network.
    #[cfg(towpath_loom)]
    #[doc(hidden)]
    pub fn sealer(&self) -> impl Fn() + Send + Sync + use<T> {
        self.end.sealer()
    }
}

impl<T> SharedReceiver<T> {
    receiving!();

    #[inline]
    #[expect(
        clippy::unused_self,
        clippy::needless_pass_by_ref_mut,
        reason = "same shape as `Receiver`'s"
    )]
    fn fresh(&mut self) {}
}

macro_rules! naming {
    ($($end:ident),*) => {
        $(impl<T: Send + 'static> $end<T> {
            /// Gives the channel a name; see [`Sender::named`](crate::Sender::named).
            #[must_use = "the named receiver is given back"]
            pub fn named(self, name: impl Into<Name>) -> Self {
                observe::name_channel(&self.end.visible(), name.into());
                self
            }

            pub(crate) fn visible(&self) -> Shown {
                self.end.visible()
            }

            /// The channel's name, if it has one.
            pub fn name(&self) -> Option<Name> {
                observe::name_of(&self.end.visible())
            }
        })*
    };
}

naming!(Receiver, SharedReceiver);

impl<T> Clone for SharedReceiver<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone_shared() }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(self.end.chan()).finish()
    }
}

impl<T> fmt::Debug for SharedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedReceiver").field(self.end.chan()).finish()
    }
}
