//! The sending end.

use std::{fmt, panic::Location};

use super::{Closed, Permit, Reserving, SendAll, Sending, SendingFrom};
use crate::{
    error::{ReserveError, SendError, TryReserveError, TrySendError},
    observe::{self, Shown},
    process::Name,
    raw::{ends::SendEnd, reserve::Reservation, ring::Push, turn::Turn, turns::Leaving},
    rt::Op,
};

/// The sending end of a channel: clone it for every sender. When the last one is dropped the channel closes, and
/// receivers get what is queued and then `None`.
pub struct Sender<T> {
    pub(super) end: SendEnd<T>,
    #[cfg(feature = "futures")]
    pub(super) sink: super::streams::SinkState<T>,
}

impl<T> Sender<T> {
    pub(super) fn new(end: SendEnd<T>) -> Self {
        Self {
            end,
            #[cfg(feature = "futures")]
            sink: super::streams::SinkState::default(),
        }
    }

    /// Sends `value`, waiting while there is no room (rendezvous: until a receiver takes it).
    ///
    /// # Errors
    /// [`SendError`] gives the value back when the receivers are gone.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: the value was not sent and goes with the future. To keep it, use
    /// [`reserve`](Self::reserve), or [`send_from`](Self::send_from) in a select.
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) -> Sending<'_, T> {
        Sending::new(&self.end, Some(value))
    }

    /// As [`send`](Self::send), but the value stays in `slot` until it is sent: a select arm that loses, or a future
    /// that is dropped, leaves it there. As an arm of a select it is disabled while `slot` is `None`.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// let (tx, _rx) = towpath::rendezvous();
    /// let mut report = Some("all is well");
    /// towpath::select! {
    ///     sent = tx.send_from(&mut report) => sent.unwrap(),
    ///     default => {}
    /// }
    /// assert_eq!(report, Some("all is well")); // nobody was there to take it
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`SendError`] gives the value back when the receivers are gone.
    #[track_caller]
    pub fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> SendingFrom<'a, T> {
        SendingFrom::new(&self.end, slot)
    }

    /// As [`send`](Self::send), on a thread.
    ///
    /// Waits by spinning for about two microseconds, then yielding, then sleeping. Do not call it inside a task: it
    /// keeps the runtime's worker.
    ///
    /// # Errors
    /// [`SendError`] gives the value back when the receivers are gone.
    #[inline]
    #[track_caller]
    pub fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        Sending::wait(&self.end, value)
    }

    /// Sends `value` if that is possible now.
    ///
    /// # Errors
    /// [`TrySendError`] gives the value back: `Full`, or `Closed` when the receivers are gone.
    #[inline]
    #[track_caller]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.end.chan().begin(Op::TrySend, Location::caller());
        let mut value = Some(value);
        let done = self.end.try_send(&mut value);
        match (done, value) {
            (Push::Full, Some(value)) => Err(TrySendError::Full(value)),
            (Push::Closed, Some(value)) => Err(TrySendError::Closed(value)),
            _ => Ok(()),
        }
    }

    /// Waits until the receivers are gone: until a send would give its value back.
    ///
    /// So whoever makes something only to send it can give up as soon as nobody wants it any more:
    ///
    /// ```
    /// # towpath::block_on(async {
    /// use std::time::Duration;
    /// use towpath::select;
    /// # const PLACES: usize = 1;
    /// let (tx, rx) = towpath::bounded::<u32>(PLACES);
    /// drop(rx);
    /// select! {
    ///     () = tx.closed() => println!("nobody wants it"),
    ///     _ = towpath::after(Duration::from_secs(3600)) => drop(tx.try_send(7)), // a long computation
    /// }
    /// # });
    /// ```
    ///
    /// It does not keep the channel open, and is over once and for all: there is no way back to a channel with receivers.
    /// Whoever waits for it and drops its own receiver only afterwards waits for ever.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    #[track_caller]
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(Leaving::of(&self.end), 1)
    }

    /// As [`closed`](Self::closed), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    #[track_caller]
    pub fn closed_blocking(&self) {
        Turn::wait(Leaving::of(&self.end), 1);
    }

    /// Waits for a place and keeps it; sending on the [`Permit`] then neither waits nor fails for want of room. The
    /// permit's place is given back when it is dropped.
    ///
    /// On a rendezvous channel a place is a receiver that waits. Should it be gone when the permit is used, the next
    /// receiver gets the message.
    ///
    /// # Errors
    /// [`ReserveError`] when the receivers are gone.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing; this is the way to send without losing a value to cancellation.
    #[track_caller]
    pub fn reserve(&self) -> Reserving<'_, T> {
        Reserving { end: &self.end, reservation: Reservation::new(&self.end) }
    }

    /// As [`reserve`](Self::reserve), on a thread.
    ///
    /// # Errors
    /// [`ReserveError`] when the receivers are gone.
    #[track_caller]
    pub fn reserve_blocking(&self) -> Result<Permit<'_, T>, ReserveError> {
        if Reservation::wait(&self.end) { Ok(Permit::new(&self.end)) } else { Err(ReserveError) }
    }

    /// As [`reserve`](Self::reserve), if that is possible now.
    ///
    /// # Errors
    /// `Full`, or `Closed` when the receivers are gone.
    #[track_caller]
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TryReserveError> {
        self.end.chan().begin(Op::TryReserve, Location::caller());
        match self.end.try_reserve() {
            Push::Done => Ok(Permit::new(&self.end)),
            Push::Full => Err(TryReserveError::Full),
            Push::Closed => Err(TryReserveError::Closed),
        }
    }

    /// Sends every value of `values` in order, waiting for room as needed.
    ///
    /// # Errors
    /// [`SendError`] gives back the value that could not be sent; pass `&mut iter` to keep the rest.
    ///
    /// # Cancel safety
    /// Dropped before completion, some first values were sent, at most one that the iterator had yielded is lost
    /// with the future, and the rest stay in the iterator (pass `&mut iter` to keep it).
    #[track_caller]
    pub fn send_all<I: IntoIterator<Item = T>>(&self, values: I) -> SendAll<'_, T, I::IntoIter> {
        SendAll::new(&self.end, values.into_iter())
    }

    /// As [`send_all`](Self::send_all), on a thread.
    ///
    /// # Errors
    /// [`SendError`] gives back the value that could not be sent; pass `&mut iter` to keep the rest.
    #[track_caller]
    pub fn send_all_blocking<I: IntoIterator<Item = T>>(
        &self,
        values: I,
    ) -> Result<(), SendError<T>> {
        values.into_iter().try_for_each(|value| self.send_blocking(value))
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

    /// Whether the receivers are gone, so that every send fails.
    pub fn is_closed(&self) -> bool {
        self.end.chan().is_closed()
    }

    /// Whether `other` sends into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.end.same_channel(&other.end)
    }
}

impl<T: Send + 'static> Sender<T> {
    /// Gives the channel a name, under which observers see it: [`observe`](crate::observe). A second name replaces
    /// the first.
    ///
    /// ```
    /// const ORDERS: usize = 16;
    /// let (tx, rx) = towpath::bounded::<u32>(ORDERS);
    /// let tx = tx.named("orders");
    /// assert_eq!(rx.name().unwrap().as_str(), "orders");
    /// ```
    #[must_use = "the named sender is given back"]
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
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.end.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(self.end.chan()).finish()
    }
}
