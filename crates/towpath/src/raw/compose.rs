//! Operations made of operations: batches, a send that leaves its value with the caller, and receives and
//! reservations that a `Stream` or `Sink` keeps between its polls.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    ends::{RecvEnd, SendEnd},
    recv::Receiving,
    ring::Push,
    send::Sending,
};
use crate::{
    error::SendError,
    probe::Arm,
    select::{ArmContext, SelectArm},
};

/// A send whose value stays with the caller until it is sent; made by
/// [`Sender::send_from`](crate::Sender::send_from).
#[must_use = "a send does nothing until it is awaited or selected on"]
#[derive(Debug)]
pub struct SendingFrom<'a, T> {
    sending: Sending<'a, T>,
    slot: &'a mut Option<T>,
    empty: bool,
}

impl<'a, T> SendingFrom<'a, T> {
    #[track_caller]
    pub(crate) fn new(end: &'a SendEnd<T>, slot: &'a mut Option<T>) -> Self {
        let value = slot.take();
        Self { empty: value.is_none(), sending: Sending::new(end, value), slot }
    }

    fn sending(self: Pin<&mut Self>) -> Pin<&mut Sending<'a, T>> {
        // SAFETY: `sending` is never moved: `Drop` below only takes the value out of it.
        unsafe { self.map_unchecked_mut(|this| &mut this.sending) }
    }
}

impl<T> Future for SendingFrom<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.empty {
            return Poll::Ready(Ok(()));
        }
        self.sending().poll(cx)
    }
}

impl<T> SelectArm for SendingFrom<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        // To a queue a send that has no value left is one that is done.
        if self.empty { Poll::Pending } else { self.sending().poll_arm(cx) }
    }

    fn complete(self: Pin<&mut Self>) -> Self::Output {
        self.sending().complete()
    }

    fn retract(self: Pin<&mut Self>) {
        self.sending().retract();
    }

    fn may_be_ready(&self) -> bool {
        !self.empty && self.sending.may_be_ready()
    }

    fn is_enabled(&self) -> bool {
        !self.empty
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        if !self.empty {
            self.sending.waits_for(each);
        }
    }
}

impl<T> Drop for SendingFrom<'_, T> {
    fn drop(&mut self) {
        // SAFETY: it was pinned if it was ever polled, and is not moved before it goes away.
        let sending = unsafe { Pin::new_unchecked(&mut self.sending) };
        if let Some(value) = sending.take_value() {
            *self.slot = Some(value);
        }
    }
}

/// Many sends in a row; made by [`Sender::send_all`](crate::Sender::send_all).
#[must_use = "a send does nothing until it is awaited"]
pub struct SendAll<'a, T, I> {
    end: &'a SendEnd<T>,
    values: I,
    sending: Sending<'a, T>,
    waiting: bool,
}

impl<'a, T, I> SendAll<'a, T, I> {
    #[track_caller]
    pub(crate) fn new(end: &'a SendEnd<T>, values: I) -> Self {
        Self { end, values, sending: Sending::idle(end), waiting: false }
    }
}

impl<T, I: Iterator<Item = T>> Future for SendAll<'_, T, I> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `sending` is pinned below and never moved; the other fields are not structurally pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let mut sending = unsafe { Pin::new_unchecked(&mut this.sending) };
        loop {
            if this.waiting {
                match sending.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) => this.waiting = false,
                }
            }
            let Some(value) = this.values.next() else { return Poll::Ready(Ok(())) };
            let mut value = Some(value);
            match (this.end.try_send(&mut value), value) {
                (Push::Closed, Some(value)) => return Poll::Ready(Err(SendError(value))),
                (Push::Full, Some(value)) => {
                    sending.again(value);
                    this.waiting = true;
                }
                _ => {}
            }
        }
    }
}

impl<T, I> fmt::Debug for SendAll<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll").field("channel", self.end.chan()).finish_non_exhaustive()
    }
}

/// A receive of several messages that is under way; made by [`Receiver::recv_many`](crate::Receiver::recv_many).
#[must_use = "a receive does nothing until it is awaited"]
pub struct RecvMany<'a, T> {
    receiving: Receiving<'a, T>,
    batch: &'a mut Vec<T>,
    limit: usize,
}

impl<'a, T> RecvMany<'a, T> {
    #[track_caller]
    pub(crate) fn new<const SHARED: bool>(
        end: &'a mut RecvEnd<T, SHARED>,
        batch: &'a mut Vec<T>,
        limit: usize,
    ) -> Self {
        Self { receiving: Receiving::new(end), batch, limit }
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        // SAFETY: `receiving` is pinned below and never moved; the other fields are not structurally pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if this.limit == 0 {
            return Poll::Ready(0);
        }
        // SAFETY: as above.
        let receiving = unsafe { Pin::new_unchecked(&mut this.receiving) };
        match receiving.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(0),
            Poll::Ready(Some(value)) => {
                this.batch.push(value);
                Poll::Ready(1 + this.receiving.take_more(this.limit - 1, this.batch))
            }
        }
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(feature = "futures")]
pub(crate) use kept::KeptReservation;

/// What a `Sink` keeps: made once, used for every message.
#[cfg(feature = "futures")]
mod kept {
    use super::{
        super::{chan::Chan, ends::SendEnd, reserve::Reservation},
        Context, Pin, Poll,
    };
    use crate::sync::Arc;

    /// A reservation beside what keeps its channel alive.
    pub(crate) struct KeptReservation<T> {
        reservation: Reservation<'static, T>,
        chan: Arc<Chan<T>>,
    }

    // SAFETY: a shared reference reaches only the channel, which is `Sync`.
    unsafe impl<T: Send> Sync for KeptReservation<T> {}

    impl<T> KeptReservation<T> {
        pub(crate) fn new(end: &SendEnd<T>) -> Pin<Box<Self>> {
            let chan = end.arc();
            Box::pin(Self { reservation: Reservation::on(&chan), chan })
        }

        /// True: a place is kept, and is the caller's to use or give back.
        pub(crate) fn poll(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
            // SAFETY: the field is never moved.
            let mut reservation = unsafe { self.map_unchecked_mut(|kept| &mut kept.reservation) };
            let polled = reservation.as_mut().poll(cx);
            if polled.is_ready() {
                reservation.again();
            }
            polled
        }

        /// Gives a place back that was kept and not used.
        pub(crate) fn unreserve(&self) {
            self.chan.unreserve();
        }
    }
}
