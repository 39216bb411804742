//! Why a call has no answer, as a typed value that says what to do.

use std::{error, fmt, time::Duration};

use towpath::Cause;

/// Why a call has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Refused {
    /// More was asked for than can be done in time. Nobody has worked on it.
    Overloaded {
        /// In which time what is here now will have been done, by what a call takes at present.
        retry_after: Duration,
    },
    /// Its deadline has passed. If it was in hand, its work was told to stop, and may have had effects.
    Late,
    /// Whoever called has left: its context ended, and not by its deadline. As for effects: as with [`Late`](Self::Late).
    Left,
    /// Its handler panicked, or returned without an answer. It may have had effects.
    Died,
    /// The gateway takes no more, or has stopped with this call in the line or in hand.
    Stopped,
}

impl Refused {
    /// Why a call is over whose context has ended.
    pub(super) fn of(cause: &Cause) -> Self {
        if matches!(cause, Cause::DeadlineExceeded) { Self::Late } else { Self::Left }
    }

    /// Whether the same call may succeed when it is made again later, and nobody has worked on this one.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded { .. })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded { retry_after } => {
                write!(f, "too much to do; try again in {retry_after:?}, not earlier")
            }
            Self::Late => f.write_str("no answer before the deadline; allow more time, or ask for less"),
            Self::Left => f.write_str("the caller has left before the answer; nothing is left to do"),
            Self::Died => f.write_str(
                "the handler ended without an answer; look for its panic, or for a path that drops the call",
            ),
            Self::Stopped => f.write_str("the gateway is stopping; ask another one"),
        }
    }
}

impl error::Error for Refused {}
