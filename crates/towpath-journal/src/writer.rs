//! The one that appends.
//!
//! What always holds:
//! - `durable` is raised only when an fdatasync has returned that came after the write of all records up to there.
//! - One batch at a time is between write and sync, and nothing is written behind it before it is durable. So whatever a
//!   crash tears is in the last batch.
//! - After a write or sync failed nothing is written any more: the kernel may have dropped what it was given and call it
//!   clean, and only a fresh look at the file can tell.
//!
//! Why a batch belongs to one segment and one write: then a segment's successor exists only when all in it is durable, and
//! a group is never in two files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cursor::Segment;
use crate::disk::{Disk, File};
use crate::error::{Error, ErrorKind};
use crate::format::{self, FILE_HEAD, RECORD_HEAD};
use crate::open;
use crate::options::Options;
use crate::reader::Reader;
use crate::record::{Entry, Lsn};
use crate::recover::{PLACE_BYTES, segment_head};

/// Zeros that are written in front of the records.
///
/// A sync after writing where something was written before takes 60 % of the time of one that makes a file's blocks known to
/// the file system. So one commit in many pays for a MiB, which takes less than a millisecond.
const ZERO_BYTES: usize = 1 << 20;

/// Room for the mark behind a batch and the last mark of the segment.
pub(crate) const MARKS: u64 = 2 * RECORD_HEAD as u64;

/// A state that stands for every record up to a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last record that is in it.
    pub lsn: Lsn,
    /// The caller's bytes.
    pub state: Vec<u8>,
}

/// What a writer and its readers share.
pub(crate) struct Shared {
    durable: AtomicU64,
    parts: Mutex<VecDeque<Arc<Part>>>,
}

impl Shared {
    pub(crate) fn new(durable: Lsn) -> Self {
        Self { durable: AtomicU64::new(durable.0), parts: Mutex::default() }
    }

    pub(crate) fn durable(&self) -> Lsn {
        // Acquire: pairs with the Release in `commit`; who sees the number sees the segment it is in.
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// The segments, oldest first. The lock is held for a few instructions and never while files are used.
    pub(crate) fn parts(&self) -> MutexGuard<'_, VecDeque<Arc<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A segment, as readers find it. Who holds one keeps the file from being written over.
pub(crate) struct Part {
    pub(crate) first: Lsn,
    /// Records and where they are, some way apart.
    pub(crate) places: Mutex<Vec<(Lsn, u64)>>,
}

impl Part {
    /// Where to begin to look for a record.
    pub(crate) fn place(&self, lsn: Lsn) -> u64 {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let after = places.partition_point(|(at, _)| *at <= lsn);
        after.checked_sub(1).map_or(FILE_HEAD as u64, |index| places[index].1)
    }
}

/// What is appended and not written yet, of one segment.
struct Piece {
    first: Lsn,
    last: Lsn,
    seed: u32,
    file_bytes: u64,
    /// Where in the segment its bytes begin.
    base: u64,
    bytes: Vec<u8>,
    /// Where in them each of its places is.
    places: Vec<(Lsn, u64)>,
}

impl Piece {
    /// The bytes behind what is durable begin with a mark that says so.
    fn behind(segment: &Segment, end: u64, durable: Lsn, epoch: u64) -> Self {
        Self {
            first: durable.next(),
            last: durable,
            seed: segment.seed,
            file_bytes: segment.head.file_bytes,
            base: end,
            bytes: format::mark(segment.seed, durable, epoch, false).to_vec(),
            places: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.last < self.first
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }
}

/// Appends records and makes them durable, one writer to a journal.
///
/// Dropping it closes the journal; what was appended and not committed is gone.
pub struct Writer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    /// Holds the lock.
    _lock: Box<dyn File>,
    segment: Segment,
    /// Where the next write goes.
    end: u64,
    /// Up to here something was written before, so that a sync need not tell the file system.
    written: u64,
    pub(crate) epoch: u64,
    next: Lsn,
    pub(crate) shared: Arc<Shared>,
    /// The first is of the current segment, each other one begins another.
    pieces: VecDeque<Piece>,
    pub(crate) spares: Vec<Lsn>,
    poisoned: Option<String>,
}

impl Writer {
    /// Opens a journal with the default [`Options`], creating it when the directory has none.
    ///
    /// What a crash left of a batch is cut off, durably. What was durable is never cut off: if it is not there, that is an
    /// error, and nothing was changed.
    ///
    /// # Errors
    /// - [`ErrorKind::Locked`] when somebody has it open.
    /// - [`ErrorKind::Corrupt`], [`ErrorKind::Missing`] when something that was durable is damaged or gone.
    /// - [`ErrorKind::Version`] when a newer version of this library wrote it.
    /// - [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Options::new().open(dir)
    }

    pub(crate) fn open_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: &Options,
    ) -> Result<Self, Error> {
        let opened = open::open(&*disk, dir, options)?;
        let open::Opened { lock, segment, end, written, epoch, last, parts, spares } = opened;
        let shared = Shared::new(last);
        shared.parts().extend(parts);
        let piece = Piece::behind(&segment, end, last, epoch);
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            options: options.clone(),
            _lock: lock,
            segment,
            end,
            written,
            epoch,
            next: last.next(),
            shared: Arc::new(shared),
            pieces: VecDeque::from([piece]),
            spares,
            poisoned: None,
        })
    }

    /// Puts a record behind the others; it is durable after the next [`commit`](Self::commit).
    ///
    /// # Errors
    /// As [`append_group`](Self::append_group).
    pub fn append(&mut self, entry: Entry<'_>) -> Result<Lsn, Error> {
        self.append_group(&[entry])
    }

    /// Puts several records behind the others that survive together or not at all; gives the number of the last.
    ///
    /// # Errors
    /// Then none of them is in. [`ErrorKind::TooLarge`] when they do not fit into one segment, or a key has 64 KiB or more;
    /// [`ErrorKind::Poisoned`].
    pub fn append_group(&mut self, entries: &[Entry<'_>]) -> Result<Lsn, Error> {
        self.healthy()?;
        let bytes = self.fits(entries)?;
        let piece = self.pieces.back().expect("there is always one");
        if piece.end() + bytes + MARKS > piece.file_bytes {
            // It begins with the group, so its header, from which checksums start, is known.
            let (head, _, seed) = segment_head(self.next, self.epoch, self.options.segment_bytes);
            self.pieces.push_back(Piece {
                first: self.next,
                last: Lsn(self.next.0 - 1),
                seed,
                file_bytes: head.file_bytes,
                base: FILE_HEAD as u64,
                bytes: Vec::new(),
                places: Vec::new(),
            });
        }
        let piece = self.pieces.back_mut().expect("there is always one");
        if piece.places.is_empty() {
            piece.places.push((self.next, piece.end()));
        }
        for (index, entry) in entries.iter().enumerate() {
            let goes_on = index + 1 < entries.len();
            format::encode(&mut piece.bytes, piece.seed, self.next, self.epoch, entry, goes_on);
            piece.last = self.next;
            self.next = self.next.next();
        }
        Ok(piece.last)
    }

    /// The bytes that a group takes, if it may be written.
    fn fits(&self, entries: &[Entry<'_>]) -> Result<u64, Error> {
        let too_large = |what: String| Err(Error::new(ErrorKind::TooLarge, &self.dir, what));
        let room = self.options.segment_bytes - FILE_HEAD as u64 - MARKS;
        let mut bytes = 0_u64;
        for entry in entries {
            if entry.key.len() > usize::from(u16::MAX) {
                let what = format!("a key of {} bytes; 65,535 are the most", entry.key.len());
                return too_large(what);
            }
            bytes += format::record_bytes(entry) as u64;
            if bytes > room || bytes > u64::from(u32::MAX) {
                let what = format!(
                    "a group of {} records needs more than the {room} bytes of a segment: split it, or \
                     open the journal with larger `segment_bytes`",
                    entries.len()
                );
                return too_large(what);
            }
        }
        Ok(bytes)
    }

    /// Makes everything that was appended durable; gives the number of the last durable record.
    ///
    /// # Errors
    /// - [`ErrorKind::Full`] when there is no room for another segment. Nothing is lost: what was appended waits for the
    ///   next commit, once there is room.
    /// - [`ErrorKind::Io`]: whether what was appended since the last commit is durable is not known, and the writer is
    ///   poisoned. Open the journal again to see.
    /// - [`ErrorKind::Poisoned`] ever after.
    pub fn commit(&mut self) -> Result<Lsn, Error> {
        self.healthy()?;
        loop {
            let Some(piece) = self.pieces.front_mut() else { unreachable!("there is always one") };
            if !piece.is_empty() {
                let written = write(&self.segment, piece, &mut self.written);
                written.map_err(|error| self.poison(error))?;
                self.wrote();
            }
            let Some(next) = self.pieces.get(1).map(|piece| piece.first) else { break };
            self.roll(next)?;
            self.pieces.pop_front();
        }
        Ok(self.durable())
    }

    /// After the first piece was written and synced.
    fn wrote(&mut self) {
        let piece = &mut self.pieces[0];
        self.end = piece.end();
        if let Some(part) = self.shared.parts().back() {
            let mut places = part.places.lock().unwrap_or_else(PoisonError::into_inner);
            let far = places.last().map_or(0, |(_, at)| at + PLACE_BYTES);
            places.extend(piece.places.iter().filter(|(_, at)| *at >= far));
        }
        // Release: pairs with the Acquire in `Shared::durable`.
        self.shared.durable.store(piece.last.0, Ordering::Release);
        let bytes = std::mem::take(&mut piece.bytes);
        *piece = Piece::behind(&self.segment, self.end, piece.last, self.epoch);
        // The mark where the next batch will begin, without a sync: a killed process leaves it to the page cache, and who
        // follows from another process sees it now. If this write fails, the batch will bring the mark, or the error.
        drop(self.segment.file.write_all_at(&piece.bytes, self.end));
        // The next batch has about the size of this one.
        let mark = std::mem::replace(&mut piece.bytes, bytes);
        piece.bytes.clear();
        piece.bytes.extend_from_slice(&mark);
    }

    /// Goes on in a new segment, when all in the current one is durable.
    fn roll(&mut self, first: Lsn) -> Result<(), Error> {
        let made = open::create(
            &*self.disk,
            &self.dir,
            &self.options,
            first,
            self.epoch,
            &mut self.spares,
        );
        let (segment, written) = match made {
            Ok(made) => made,
            Err(error) if error.kind() == ErrorKind::Full => return Err(error),
            Err(error) => return Err(self.poison(error)),
        };
        // Now that the next is there, this one says so.
        let sealed = open::seal(&self.segment, self.end, self.durable(), self.epoch);
        sealed.map_err(|error| self.poison(error))?;
        (self.segment, self.end, self.written) = (segment, FILE_HEAD as u64, written);
        self.shared.parts().push_back(Arc::new(Part { first, places: Mutex::default() }));
        Ok(())
    }

    pub(crate) fn healthy(&self) -> Result<(), Error> {
        match &self.poisoned {
            None => Ok(()),
            Some(cause) => {
                let what = format!(
                    "an earlier write failed, and what is on the disk is not known: open the journal \
                     again ({cause})"
                );
                Err(Error::new(ErrorKind::Poisoned, &self.dir, what))
            }
        }
    }

    pub(crate) fn poison(&mut self, error: Error) -> Error {
        self.poisoned.get_or_insert_with(|| error.to_string());
        error
    }

    /// The last record that is durable; [`Lsn::ZERO`] when there is none.
    pub fn durable(&self) -> Lsn {
        self.shared.durable()
    }

    /// The number that the next record will get.
    pub fn next(&self) -> Lsn {
        self.next
    }

    /// The first record that retention has kept; the number of the next when there is none yet.
    pub fn oldest(&self) -> Lsn {
        self.shared.parts().front().map_or(self.next, |part| part.first)
    }

    /// Reads from a record on, following this writer; with [`Lsn::ZERO`], from the oldest on.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] when retention has removed it; [`ErrorKind::Io`].
    pub fn reader(&self, from: Lsn) -> Result<Reader, Error> {
        Reader::beside(&self.disk, &self.dir, &self.shared, from)
    }

    /// Makes readers where the writer is not: it may belong to a thread of its own.
    pub fn readers(&self) -> Readers {
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        Readers { disk, dir, shared: Arc::clone(&self.shared) }
    }
}

/// Makes readers that follow a writer. A clone does the same.
#[derive(Clone)]
pub struct Readers {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shared: Arc<Shared>,
}

impl Readers {
    /// As [`Writer::reader`].
    ///
    /// # Errors
    /// As there.
    pub fn reader(&self, from: Lsn) -> Result<Reader, Error> {
        Reader::beside(&self.disk, &self.dir, &self.shared, from)
    }

    /// As [`Writer::durable`]: the last number, when the writer is gone.
    pub fn durable(&self) -> Lsn {
        self.shared.durable()
    }
}

/// Writes a piece and makes it durable.
fn write(segment: &Segment, piece: &Piece, written: &mut u64) -> Result<(), Error> {
    let end = piece.end();
    let mut write = || {
        segment.file.write_all_at(&piece.bytes, piece.base)?;
        if end > *written {
            let ahead = (end + ZERO_BYTES as u64).min(piece.file_bytes);
            zero(&*segment.file, end, ahead)?;
            *written = ahead;
        }
        segment.file.sync_data()
    };
    write().map_err(|error| {
        let doing = format!("write record {} and later at offset {}", piece.first, piece.base);
        Error::io(&segment.path, &doing, &error)
    })
}

/// Writes zeros.
pub(crate) fn zero(file: &dyn File, mut from: u64, to: u64) -> std::io::Result<()> {
    let zeros = vec![0; ZERO_BYTES.min((to - from.min(to)) as usize)];
    while from < to {
        let bytes = zeros.len().min((to - from) as usize);
        file.write_all_at(&zeros[..bytes], from)?;
        from += bytes as u64;
    }
    Ok(())
}

/// How many bytes to write in front of the records of a new segment.
pub(crate) fn first_zeros(file_bytes: u64) -> u64 {
    (FILE_HEAD + ZERO_BYTES).min(file_bytes as usize) as u64
}
