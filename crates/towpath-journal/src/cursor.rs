//! A place in a segment, and what stands there; and the rule that makes records a chain.
//!
//! What always holds: no byte is believed before its checksum has been; a length that is not within the file is read no
//! further than the file.
//!
//! Recovery and readers walk by the same code, so that they cannot disagree about where a journal ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, File, Opening};
use crate::error::{Error, ErrorKind};
use crate::format::{self, FILE_HEAD, FileHead, Found, Head, Magic, RECORD_HEAD};
use crate::record::{Lsn, Record};

/// Bytes read at a time; a longer record is read whole.
const READ_BYTES: usize = 1 << 18;

/// An open segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) head: FileHead,
    /// Where the checksums of its records start from.
    pub(crate) seed: u32,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

impl Segment {
    /// Opens the segment that begins with a record.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        first: Lsn,
        how: Opening,
    ) -> Result<Self, Error> {
        let path = dir.join(format::name(first, "log"));
        let failed = |error: std::io::Error| Error::io(&path, "open the segment", &error);
        let file: Arc<dyn File> = Arc::from(disk.open(&path, how).map_err(failed)?);
        let mut bytes = [0; FILE_HEAD];
        let read = read_full(&*file, &mut bytes, 0).map_err(failed)?;
        let (head, seed) = FileHead::decode(&path, Magic::Segment, &bytes[..read], &[])?;
        let size = file.size().map_err(failed)?;
        let corrupt = |what: String| Err(Error::new(ErrorKind::Corrupt, &path, what));
        if head.lsn != first {
            let what = format!(
                "this segment begins with record {}, so it has another's name: find out who renamed \
                 it, and name it {}",
                head.lsn,
                format::name(head.lsn, "log")
            );
            return corrupt(what);
        }
        if size < head.file_bytes {
            let what = format!(
                "cut at offset {size} of {}, where records of {first} and later may have been: put \
                 the file back from a copy",
                head.file_bytes
            );
            return corrupt(what);
        }
        Ok(Self { head, seed, path, file })
    }

    /// The place of its first record.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor_at(FILE_HEAD as u64)
    }

    pub(crate) fn cursor_at(&self, offset: u64) -> Cursor {
        Cursor { segment: self.clone(), buffer: Vec::new(), base: offset, at: 0 }
    }
}

/// A place in a segment.
pub(crate) struct Cursor {
    pub(crate) segment: Segment,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    base: u64,
    /// Where in the buffer we are.
    at: usize,
}

impl Cursor {
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// What stands here.
    pub(crate) fn look(&mut self) -> Result<Found, Error> {
        self.buffered(RECORD_HEAD)?;
        let length = format::length(&self.buffer[self.at..]).unwrap_or(0);
        if length as u64 <= self.segment.head.file_bytes.saturating_sub(self.offset()) {
            self.buffered(length)?;
        }
        Ok(format::decode(&self.buffer[self.at..], self.segment.seed))
    }

    /// The record that was stepped over last.
    pub(crate) fn record_behind(&self, head: &Head) -> Record<'_> {
        head.record(&self.buffer[self.at - head.step()..])
    }

    /// Goes to the next record.
    pub(crate) fn step(&mut self, bytes: usize) {
        // Padding at the very end of a file may be beyond what was read.
        let have = self.buffer.len().max(self.at + bytes);
        self.buffer.resize(have, 0);
        self.at += bytes;
    }

    /// Looks at the file again the next time, at `offset`: what was buffered may have been written over.
    pub(crate) fn look_again(&mut self, offset: u64) {
        self.buffer.clear();
        (self.base, self.at) = (offset, 0);
    }

    /// Has `bytes` from here on in the buffer, or all there are.
    fn buffered(&mut self, bytes: usize) -> Result<(), Error> {
        if self.buffer.len() - self.at >= bytes {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let left = self.segment.head.file_bytes.saturating_sub(self.base);
        let want = READ_BYTES.max(bytes).min(usize::try_from(left).unwrap_or(usize::MAX));
        let have = self.buffer.len().min(want);
        self.buffer.resize(want, 0);
        let read =
            read_full(&*self.segment.file, &mut self.buffer[have..], self.base + have as u64);
        match read {
            Ok(read) => {
                self.buffer.truncate(have + read);
                Ok(())
            }
            Err(error) => {
                self.buffer.truncate(have);
                let doing = format!("read at offset {}", self.base + have as u64);
                Err(Error::io(&self.segment.path, &doing, &error))
            }
        }
    }
}

/// The rule: numbers go up by one, groups are not interrupted, only a mark changes the epoch, and never downwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    /// The last record that was seen.
    pub(crate) seen: Lsn,
    pub(crate) epoch: u64,
    /// Its group goes on.
    pub(crate) in_group: bool,
}

impl Chain {
    /// At the first record of a segment.
    pub(crate) fn at_start(head: &FileHead) -> Self {
        Self { seen: Lsn(head.lsn.0.saturating_sub(1)), epoch: head.epoch, in_group: false }
    }

    /// Whether this is the next link; then it is taken.
    pub(crate) fn take(&mut self, found: &Found) -> bool {
        match *found {
            Found::Record(head) => {
                let next = self.seen.0.checked_add(1) == Some(head.lsn.0);
                let fits = next && head.epoch == self.epoch;
                if fits {
                    (self.seen, self.in_group) = (head.lsn, head.goes_on);
                }
                fits
            }
            Found::Mark { lsn, epoch, .. } => {
                let fits = lsn == self.seen && epoch >= self.epoch && !self.in_group;
                if fits {
                    self.epoch = epoch;
                }
                fits
            }
            Found::Nothing | Found::Bad => false,
        }
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_full(file: &dyn File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut have = 0;
    while have < buf.len() {
        match file.read_at(&mut buf[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// What lies between a place and the end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// The highest number that a mark there says was durable.
    pub(crate) claim: Lsn,
    /// Behind the last byte that is not zero.
    pub(crate) end: u64,
}

/// Looks for marks, and for anything but zeros, from an offset that is a multiple of 8 to the end of a segment.
pub(crate) fn rest(segment: &Segment, from: u64) -> Result<Rest, Error> {
    let mut rest = Rest { claim: Lsn::ZERO, end: from };
    let zeros = vec![0; READ_BYTES];
    let mut chunk = vec![0; READ_BYTES];
    let mut offset = from;
    while offset < segment.head.file_bytes {
        let read = read_full(&*segment.file, &mut chunk, offset).map_err(|error| {
            Error::io(&segment.path, &format!("read at offset {offset}"), &error)
        })?;
        if chunk[..read] != zeros[..read] {
            let last = chunk[..read].iter().rposition(|byte| *byte != 0).unwrap_or(0);
            rest.end = offset + last as u64 + 1;
            for at in (0..read.saturating_sub(RECORD_HEAD - 1)).step_by(8) {
                let candidate = &chunk[at..at + RECORD_HEAD];
                if format::length(candidate) == Some(RECORD_HEAD)
                    && let Found::Mark { lsn, .. } = format::decode(candidate, segment.seed)
                {
                    rest.claim = rest.claim.max(lsn);
                }
            }
        }
        if read < chunk.len() {
            break;
        }
        // A mark may lie across the end of the chunk.
        offset += (read - (RECORD_HEAD - 8)) as u64;
    }
    Ok(rest)
}
