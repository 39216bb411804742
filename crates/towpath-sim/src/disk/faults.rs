//! What may go wrong with a disk, and how often.

use std::time::Duration;

/// What may go wrong with a [`Disk`](super::Disk). The default is a disk on which nothing does: it never fails, and in a
/// power cut it happens to have written everything.
///
/// Chances are in parts per thousand: 0 is never, 1,000 is always.
///
/// ```
/// use towpath_sim::disk::Faults;
///
/// let cruel = Faults { sync_error: 5, ..Faults::power_cuts() };
/// assert_eq!(cruel.write_error, 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// In a power cut: all changes after some moment are lost, if they were not synced.
    pub lost: u16,
    /// In a power cut: of a change that is written while the power goes, only some sectors of 512 bytes are new, and
    /// perhaps not the file's length. The last change before it, or each if they are also `reordered`.
    pub torn: u16,
    /// In a power cut: each change that was not synced is there or not, whatever came before or after it.
    pub reordered: u16,
    /// A write fails with `EIO` and changes nothing.
    pub write_error: u16,
    /// A sync fails with `EIO`. What was to be written is, in some sectors, and counts as written in all: the next sync
    /// succeeds and does not write it, as on Linux (Rebello et al., "Can Applications Recover from fsync Failures?",
    /// 2020).
    pub sync_error: u16,
    /// A write takes only the first part of its bytes.
    pub short_write: u16,
    /// A read yields fewer bytes than there are.
    pub short_read: u16,
    /// Bytes that fit, in whole sectors; beyond them `ENOSPC`. `None`: no limit.
    pub capacity: Option<u64>,
    /// How long a read, a write or a change of names takes.
    pub latency: Latency,
    /// How long a sync takes.
    pub sync_latency: Latency,
}

impl Faults {
    /// Power cuts as cruel as POSIX allows, and nothing else.
    pub fn power_cuts() -> Self {
        Self { lost: 500, torn: 500, reordered: 500, ..Self::default() }
    }
}

/// The shortest and the longest that something takes. The default is no time at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Never less.
    pub shortest: Duration,
    /// Never more.
    pub longest: Duration,
}

impl Latency {
    /// Always the same.
    pub const fn constant(duration: Duration) -> Self {
        Self { shortest: duration, longest: duration }
    }

    /// Anything between the two, ends included.
    ///
    /// # Panics
    /// When `longest` is less than `shortest`.
    pub const fn between(shortest: Duration, longest: Duration) -> Self {
        assert!(longest.as_nanos() >= shortest.as_nanos(), "the longest is below the shortest");
        Self { shortest, longest }
    }
}
