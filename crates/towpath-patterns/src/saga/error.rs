//! What can go wrong with sagas as such. What goes wrong in one of them is in its records.

use std::sync::Arc;
use std::{error, fmt};

use super::record::Malformed;
use super::state::Misplaced;

/// An error of the coordinator or of a request to it. Its text says what to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A definition cannot be used.
    Definition {
        /// Of which saga.
        saga: Arc<str>,
        /// Why.
        mistake: String,
    },
    /// The journal has a saga of a version that nobody registered.
    Version {
        /// The saga's id.
        id: Arc<str>,
        /// Its definition.
        saga: Arc<str>,
        /// The version that it was started with.
        journal: u32,
        /// The versions that are registered.
        code: Vec<u32>,
    },
    /// The journal has a saga whose steps are not those of its version as registered.
    Changed {
        /// The saga's id.
        id: Arc<str>,
        /// Its definition.
        saga: Arc<str>,
        /// The version.
        version: u32,
    },
    /// A record cannot be read.
    Malformed {
        /// The saga's id.
        id: Arc<str>,
        /// Why.
        cause: Malformed,
    },
    /// A record does not fit those before it.
    Misplaced {
        /// The saga's id.
        id: Arc<str>,
        /// Which.
        cause: Box<Misplaced>,
    },
    /// The journal failed, or is locked by another coordinator.
    Journal(towpath_journal::Error),
    /// No saga of this id is unfinished or was finished lately.
    Unknown {
        /// The id.
        id: Arc<str>,
    },
    /// No definition of this name is registered.
    NoDefinition {
        /// The name.
        saga: Arc<str>,
    },
    /// An id is empty or too long.
    Id {
        /// Its bytes.
        bytes: usize,
    },
    /// An input or a signal is larger than [`PAYLOAD_BYTES_MAX`](super::PAYLOAD_BYTES_MAX).
    Large {
        /// Its bytes.
        bytes: usize,
    },
    /// As many sagas as are allowed are unfinished.
    Full {
        /// How many.
        most: usize,
    },
    /// The coordinator has ended; what was asked for may or may not be in the journal.
    Gone,
}

impl Error {
    /// Whether the same request may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Gone => true,
            Self::Journal(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition { saga, mistake } => {
                write!(f, "saga `{saga}` cannot be used: {mistake}")
            }
            Self::Version { id, saga, journal, code } => write!(
                f,
                "`{id}` was started with version {journal} of saga `{saga}`, and the program has {code:?}: register \
                 version {journal} beside the others until its sagas have ended"
            ),
            Self::Changed { id, saga, version } => write!(
                f,
                "`{id}` was started with version {version} of saga `{saga}`, whose steps have changed since: give the \
                 new steps a new version, and register the old ones beside it"
            ),
            Self::Malformed { id, .. } => write!(f, "a record of `{id}` cannot be read"),
            Self::Misplaced { id, .. } => write!(f, "a record of `{id}` does not fit"),
            Self::Journal(error) => error.fmt(f),
            Self::Unknown { id } => write!(
                f,
                "no saga `{id}` is unfinished or among the finished that are remembered: look into the journal"
            ),
            Self::NoDefinition { saga } => {
                write!(f, "no saga is named `{saga}`: register its definition with the coordinator")
            }
            Self::Id { bytes } => write!(
                f,
                "an id of {bytes} bytes: from 1 to {} are allowed",
                super::coordinator::ID_BYTES_MAX
            ),
            Self::Large { bytes } => write!(
                f,
                "{bytes} bytes are too many for a journal, which takes {}: keep them in a store and pass their name",
                super::coordinator::PAYLOAD_BYTES_MAX
            ),
            Self::Full { most } => write!(
                f,
                "{most} sagas are unfinished, which is all that are allowed: try later, or allow more"
            ),
            Self::Gone => f.write_str("the coordinator has ended: ask again when it is back"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Malformed { cause, .. } => Some(cause),
            Self::Misplaced { cause, .. } => Some(cause),
            Self::Journal(error) => error.source(),
            _ => None,
        }
    }
}

impl From<towpath_journal::Error> for Error {
    fn from(error: towpath_journal::Error) -> Self {
        Self::Journal(error)
    }
}
