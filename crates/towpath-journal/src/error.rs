//! What can go wrong with a journal.

use std::path::{Path, PathBuf};
use std::{error, fmt, io};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file system refused.
    Io,
    /// The disk is full.
    Full,
    /// A record that was durable is damaged.
    Corrupt,
    /// A segment that must be there is not.
    Missing,
    /// Another writer has the journal open.
    Locked,
    /// An earlier write or sync failed: what is on the disk is unknown until the journal is opened again.
    Poisoned,
    /// A record or group is larger than a segment may be.
    TooLarge,
    /// What was asked for would promise what is not so: a checkpoint of records that are not durable yet.
    Refused,
    /// The files were written by a version that this one does not know.
    Version,
}

/// An error of the journal, with the file it happened at.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    path: PathBuf,
    what: String,
    not_found: bool,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, path: &Path, what: impl Into<String>) -> Self {
        Self { kind, path: path.to_owned(), what: what.into(), not_found: false }
    }

    pub(crate) fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => {
                let what = format!("{doing}: {error}: make room on this disk, and try again");
                Self::new(ErrorKind::Full, path, what)
            }
            kind => {
                let error = Self::new(ErrorKind::Io, path, format!("{doing}: {error}"));
                Self { not_found: kind == io::ErrorKind::NotFound, ..error }
            }
        }
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later, when somebody has closed the journal or made room.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Locked | ErrorKind::Full)
    }

    /// Whether a file was not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.not_found
    }

    /// The file or directory it happened at.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl error::Error for Error {}
