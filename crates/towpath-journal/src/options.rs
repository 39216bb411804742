//! How a journal is kept.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::writer::Writer;

/// Bytes of a segment, unless said otherwise.
///
/// 64 MiB are about 220,000 records of 256 bytes. A new segment costs three syncs, which is then less than a hundredth of
/// the writing; opening reads one segment to its end, 20 ms.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// The least that a segment may have: room for its header, its marks and a small record.
pub const SEGMENT_BYTES_MIN: u64 = 512;

/// Segments that are kept to be written over, unless said otherwise.
///
/// Writing over a file costs half of what writing a new one does, as the file system has nothing to note. Four are what a
/// checkpoint every 256 MiB lets go at once.
pub const SPARES: usize = 4;

/// How a journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(crate) segment_bytes: u64,
    pub(crate) spares: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, spares: SPARES }
    }
}

impl Options {
    /// What suits most.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of each new segment, [`SEGMENT_BYTES`] by default, [`SEGMENT_BYTES_MIN`] at least, in multiples of 512. All
    /// of them are taken from the disk when the segment is made. No group can be larger.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(SEGMENT_BYTES_MIN).next_multiple_of(512);
        self
    }

    /// How many segments that retention let go are kept to be written over, [`SPARES`] by default.
    pub fn spares(mut self, segments: usize) -> Self {
        self.spares = segments;
        self
    }

    /// Opens a journal on the machine's file system, creating it when the directory has none.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Writer, Error> {
        self.open_on(Arc::new(RealDisk), dir)
    }

    /// Opens a journal on any [`Disk`].
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open_on(&self, disk: Arc<dyn Disk>, dir: impl AsRef<Path>) -> Result<Writer, Error> {
        Writer::open_with(disk, dir.as_ref(), self)
    }
}
