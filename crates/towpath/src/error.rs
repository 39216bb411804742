//! What channel operations answer when they cannot succeed. Every error of a send gives the value back.

use std::{error::Error, fmt};

/// The receivers are gone; here is the value that was to be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// A send that does not wait could not be done; here is the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// No room now (rendezvous: no receiver is waiting).
    Full(T),
    /// The receivers are gone.
    Closed(T),
}

/// A receive that does not wait found nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// Nothing now.
    Empty,
    /// The senders are gone, and everything that was queued has been received.
    Closed,
}

/// The channel is closed, so nothing is tied to it any more; here is what was to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TieError<R>(pub R);

impl<R> TieError<R> {
    /// What was not tied.
    pub fn into_inner(self) -> R {
        self.0
    }
}

/// The receivers are gone, so no place can be reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReserveError;

/// A reservation that does not wait could not be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryReserveError {
    /// No room now (rendezvous: no receiver is waiting).
    Full,
    /// The receivers are gone.
    Closed,
}

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }

    /// Whether trying again later may succeed.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether the receivers are gone for good.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Closed(error.0)
    }
}

const CLOSED: &str = "the channel is closed";
const FULL: &str = "the channel is full";

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl<T> Error for SendError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Gone)
    }
}

impl<R> fmt::Debug for TieError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TieError(..)")
    }
}

impl<R> fmt::Display for TieError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed; release the resource, or tie it to another")
    }
}

impl<R> Error for TieError<R> {}

/// What is behind every error of a sender whose receivers are gone, so that a scope can tell it from others: it often
/// only echoes the failure of the process that had them.
#[derive(Debug)]
pub(crate) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its receivers are gone")
    }
}

impl Error for Gone {}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "Closed(..)" })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { FULL } else { CLOSED })
    }
}

impl<T> Error for TrySendError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.is_closed().then_some(&Gone as _)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty",
            Self::Closed => "the channel is closed: its senders are gone and nothing is left in it",
        })
    }
}

impl Error for TryRecvError {}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl Error for ReserveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Gone)
    }
}

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => FULL,
            Self::Closed => CLOSED,
        })
    }
}

impl Error for TryReserveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        matches!(self, Self::Closed).then_some(&Gone as _)
    }
}
