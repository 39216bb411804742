//! A place kept for one message.

use std::{
    fmt,
    future::Future,
    mem::ManuallyDrop,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    error::{ReserveError, SendError},
    probe::Arm,
    raw::{ends::SendEnd, pin, reserve::Reservation},
    rt::Op,
    select::{ArmContext, SelectArm},
};

/// A place kept in a channel for one message; made by [`Sender::reserve`](crate::Sender::reserve). Dropped unused,
/// the place is given back.
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<'a, T> {
    end: &'a SendEnd<T>,
}

impl<'a, T> Permit<'a, T> {
    #[track_caller]
    pub(super) fn new(end: &'a SendEnd<T>) -> Self {
        Self { end }
    }

    /// Sends `value` on the kept place, at once. Should the receivers be gone meanwhile, `value` is dropped, as
    /// everything is that they had not received; [`try_send`](Self::try_send) gives it back instead.
    #[track_caller]
    pub fn send(self, value: T) {
        drop(self.try_send(value));
    }

    /// Sends `value` on the kept place, at once.
    ///
    /// # Errors
    /// [`SendError`] gives the value back when the receivers are gone.
    #[track_caller]
    pub fn try_send(self, value: T) -> Result<(), SendError<T>> {
        self.end.chan().begin(Op::TrySend, Location::caller());
        // Its place is used now, not given back.
        ManuallyDrop::new(self).end.send_reserved(value).map_err(SendError)
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.end.chan().begin(Op::Unreserve, Location::caller());
        self.end.unreserve();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(self.end.chan()).finish()
    }
}

/// A reservation that is under way: a future, and an arm for [`select!`](crate::select!).
///
/// Made by [`Sender::reserve`](crate::Sender::reserve).
#[must_use = "a reservation does nothing until it is awaited or selected on"]
pub struct Reserving<'a, T> {
    pub(super) end: &'a SendEnd<T>,
    pub(super) reservation: Reservation<'a, T>,
}

impl<'a, T> Reserving<'a, T> {
    fn permit(&self, kept: bool) -> Result<Permit<'a, T>, ReserveError> {
        if kept { Ok(Permit::new(self.end)) } else { Err(ReserveError) }
    }
}

impl<'a, T> Future for Reserving<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        pin::reservation(self.as_mut()).poll(cx).map(|kept| self.permit(kept))
    }
}

impl<'a, T> SelectArm for Reserving<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        pin::reservation(self).poll_arm(cx)
    }

    fn complete(mut self: Pin<&mut Self>) -> Self::Output {
        let kept = pin::reservation(self.as_mut()).complete();
        self.permit(kept)
    }

    fn retract(self: Pin<&mut Self>) {
        pin::reservation(self).take_back();
    }

    fn may_be_ready(&self) -> bool {
        self.reservation.may_be_ready()
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        each(self.reservation.arm());
    }
}

impl<'a, T> Reserving<'a, T> {
    pub(crate) fn reservation_mut(&mut self) -> &mut Reservation<'a, T> {
        &mut self.reservation
    }
}

impl<T> fmt::Debug for Reserving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserving").field("channel", self.end.chan()).finish_non_exhaustive()
    }
}
