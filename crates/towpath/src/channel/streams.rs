//! `Stream` for receivers and `Sink` for senders (feature `futures`).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_sink::Sink;

use super::{Receiver, Sender};
use crate::{error::SendError, raw::compose::KeptReservation};

/// Yields the messages, and ends when the senders are gone and nothing is left.
///
/// Needs `T: Send` only where the receiver itself crosses threads.
impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), None)
    }
}

/// The reservation that a sink keeps between polls, and whether it holds a place now.
pub(super) struct SinkState<T> {
    kept: Option<Pin<Box<KeptReservation<T>>>>,
    holds_place: bool,
}

impl<T> Default for SinkState<T> {
    fn default() -> Self {
        Self { kept: None, holds_place: false }
    }
}

impl<T> Drop for SinkState<T> {
    fn drop(&mut self) {
        if let (true, Some(kept)) = (self.holds_place, &self.kept) {
            kept.unreserve();
        }
    }
}

/// `poll_ready` keeps a place in the channel for this sender until `start_send` uses it. Nothing is buffered beside
/// the channel, so flushing and closing are immediate; the channel closes when its senders are dropped.
impl<T> Sink<T> for Sender<T> {
    type Error = SendError<()>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        let this = self.get_mut();
        if this.sink.holds_place {
            return Poll::Ready(Ok(()));
        }
        let kept = this.sink.kept.get_or_insert_with(|| KeptReservation::new(&this.end));
        kept.as_mut().poll(cx).map(|place| {
            this.sink.holds_place = place;
            if place { Ok(()) } else { Err(SendError(())) }
        })
    }

    fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), SendError<()>> {
        let this = self.get_mut();
        assert!(
            std::mem::take(&mut this.sink.holds_place),
            "`start_send` without a `poll_ready` that answered `Ready(Ok(()))`"
        );
        this.end.send_reserved(value).map_err(|_| SendError(()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        Poll::Ready(Ok(()))
    }
}
