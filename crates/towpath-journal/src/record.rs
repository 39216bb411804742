//! One record, as users give and get it. Its bytes are in `format.rs`.

use std::fmt;

/// The number of a record: 1 for the first of a journal, one more for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before every record.
    pub const ZERO: Self = Self(0);

    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f) // with width and fill, as numbers have
    }
}

/// What is appended: the caller's kind, a key that may be empty, and bytes the journal does not look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the payload is; the caller's to number.
    pub kind: u16,
    /// Whom it is about; may be empty.
    pub key: &'a [u8],
    /// The content.
    pub payload: &'a [u8],
}

/// What is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// How many times the journal had been opened for writing when it was written.
    pub epoch: u64,
    /// As appended.
    pub kind: u16,
    /// As appended.
    pub key: &'a [u8],
    /// As appended.
    pub payload: &'a [u8],
}
