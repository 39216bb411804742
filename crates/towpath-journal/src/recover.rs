//! What a journal's files hold, found without changing them.
//!
//! What always holds: a record is given up only if nothing says that it was durable; whatever says so makes it an error.
//! Those that may say so: a mark behind it in its segment, a later segment, a checkpoint. What a crash tears off has none
//! of them behind it, as they are written when the record is durable and not before.
//!
//! What this cannot see: damage to the batch that was written last, if the power went before the mark behind it was
//! written by the page cache. That looks like a batch that was torn, down to the last bit.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cursor::{Chain, Segment, rest};
use crate::disk::{Disk, Opening};
use crate::error::{Error, ErrorKind};
use crate::format::{self, FILE_HEAD, FileHead, Found, Magic};
use crate::record::Lsn;
use crate::small;

/// Every so many bytes of a segment recovery and the writer note where a record is, for readers that begin there.
pub(crate) const PLACE_BYTES: u64 = 1 << 20;

/// The names in a journal's directory.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) segments: BTreeSet<Lsn>,
    pub(crate) spares: BTreeSet<Lsn>,
    pub(crate) checkpoints: BTreeSet<Lsn>,
    pub(crate) start: bool,
    /// Files that were not finished.
    pub(crate) unfinished: Vec<String>,
}

impl Names {
    pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Self, Error> {
        let mut names = Self::default();
        let list = disk.list(dir).map_err(|error| Error::io(dir, "list the directory", &error))?;
        for name in list {
            if let Some(lsn) = format::number(&name, "log") {
                names.segments.insert(lsn);
            } else if let Some(lsn) = format::number(&name, "spare") {
                names.spares.insert(lsn);
            } else if let Some(lsn) = format::number(&name, "checkpoint") {
                names.checkpoints.insert(lsn);
            } else if name == "start" {
                names.start = true;
            } else if name.ends_with(".new") {
                names.unfinished.push(name);
            }
        }
        Ok(names)
    }
}

/// A segment that was read to its end.
pub(crate) struct Scan {
    pub(crate) segment: Segment,
    /// The last record of the last whole group.
    pub(crate) last: Lsn,
    pub(crate) epoch: u64,
    /// Behind that group, and behind marks that follow it.
    pub(crate) end: u64,
    /// Where the last mark is: what begins there may have been seen without being durable.
    pub(crate) last_mark: u64,
    /// The last mark says that the next segment is there.
    pub(crate) sealed: bool,
    /// Records and where they are, some way apart.
    pub(crate) places: Vec<(Lsn, u64)>,
}

impl Scan {
    fn of(segment: Segment) -> Result<Self, Error> {
        let mut chain = Chain::at_start(&segment.head);
        let mut cursor = segment.cursor();
        let start = FILE_HEAD as u64;
        let mut scan = Self {
            segment,
            last: chain.seen,
            epoch: chain.epoch,
            end: start,
            last_mark: start,
            sealed: false,
            places: Vec::new(),
        };
        let mut place = 0;
        while !scan.sealed {
            let found = cursor.look()?;
            if !chain.take(&found) {
                break;
            }
            let at = cursor.offset();
            match found {
                Found::Record(head) => {
                    if at >= place {
                        scan.places.push((head.lsn, at));
                        place = at + PLACE_BYTES;
                    }
                    cursor.step(head.step());
                }
                Found::Mark { seal, .. } => {
                    (scan.last_mark, scan.sealed) = (at, seal);
                    cursor.step(format::RECORD_HEAD);
                }
                Found::Nothing | Found::Bad => break,
            }
            if !chain.in_group {
                (scan.last, scan.epoch, scan.end) = (chain.seen, chain.epoch, cursor.offset());
            }
        }
        scan.places.retain(|(lsn, _)| *lsn <= scan.last);
        Ok(scan)
    }

    fn next(&self) -> Lsn {
        self.last.next()
    }
}

/// A journal's segments, and where they end.
pub(crate) struct Recovered {
    pub(crate) scans: Vec<Scan>,
    /// Behind the last byte of the last segment that is not zero.
    pub(crate) written: u64,
    /// The one before the last was not sealed: the crash came in between.
    pub(crate) unsealed: bool,
}

/// Reads a journal. `None`: there is none yet.
///
/// # Errors
/// `Missing`, `Corrupt`, `Version`, `Io`, each with what to do.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    names: &Names,
) -> Result<Option<Recovered>, Error> {
    let start = if names.start { Some(small::read_start(disk, dir)?) } else { None };
    let from = start.unwrap_or(Lsn(1));
    let mut scans: Vec<Scan> = Vec::new();
    let kept: Vec<Lsn> = names.segments.iter().copied().filter(|first| *first >= from).collect();
    match (start, kept.first()) {
        (None, None) if names.checkpoints.is_empty() => return Ok(None),
        (None, Some(first)) if *first > from => return Err(no_start(dir)),
        (_, first) if first != Some(&from) => return Err(missing(dir, from)),
        _ => {}
    }
    for (index, first) in kept.iter().enumerate() {
        if let Some(before) = scans.last()
            && before.next() != *first
            && before.sealed
        {
            return Err(missing(dir, before.next()));
        }
        let scan = Scan::of(Segment::open(disk, dir, *first, Opening::Existing)?)?;
        if let Some(before) = scans.last()
            && scan.segment.head.epoch < before.epoch
        {
            let what = format!(
                "made in epoch {}, before the segment in front of it ended in epoch {}: these are files \
                 of two journals; put back those that belong together",
                scan.segment.head.epoch, before.epoch
            );
            return Err(Error::new(ErrorKind::Corrupt, &scan.segment.path, what));
        }
        // A later segment was made when all in this one was durable.
        if let Some(next) = kept.get(index + 1)
            && !scan.sealed
            && scan.next() != *next
        {
            return Err(damaged(&scan, Lsn(next.0.saturating_sub(1))));
        }
        scans.push(scan);
    }
    let unsealed = scans.iter().rev().nth(1).is_some_and(|scan| !scan.sealed);
    let Some(last) = scans.last() else { return Ok(None) };
    if last.sealed {
        return Err(missing(dir, last.next()));
    }
    let rest = rest(&last.segment, last.end)?;
    let checkpoint = names.checkpoints.last().copied().unwrap_or_default();
    let claim = rest.claim.max(checkpoint);
    if claim > last.last {
        return Err(damaged(last, claim));
    }
    // The first segment was made and `start` was not: nobody was told of anything yet. But if there are records, there
    // was a `start` before them.
    if start.is_none() && last.last > Lsn::ZERO {
        return Err(no_start(dir));
    }
    Ok(Some(Recovered { written: rest.end, scans, unsealed }))
}

fn no_start(dir: &Path) -> Error {
    let what = "the file is gone: put it back from a copy, or, if no segment is gone with it, take this \
                journal's records to a new one with `Reader::open`";
    Error::new(ErrorKind::Missing, &dir.join("start"), what)
}

fn missing(dir: &Path, first: Lsn) -> Error {
    let what = format!(
        "the segment that begins with record {first} is gone, and what follows cannot stand without it: \
         put the file back from a copy"
    );
    Error::new(ErrorKind::Missing, &dir.join(format::name(first, "log")), what)
}

/// A record that was durable up to `claim` does not check.
pub(crate) fn damaged(scan: &Scan, claim: Lsn) -> Error {
    damaged_at(&scan.segment, scan.end, scan.next(), claim)
}

pub(crate) fn damaged_at(segment: &Segment, offset: u64, lsn: Lsn, claim: Lsn) -> Error {
    let what = format!(
        "damaged at offset {offset}, at record {lsn} or a mark in front of it, and all up to record \
         {claim} had been made durable: put the file back from a copy; everything before record {lsn} \
         can be read with `Reader::open`"
    );
    Error::new(ErrorKind::Corrupt, &segment.path, what)
}

/// A header for a new segment.
pub(crate) fn segment_head(first: Lsn, epoch: u64, file_bytes: u64) -> (FileHead, [u8; 64], u32) {
    let head = FileHead { lsn: first, epoch, file_bytes };
    let (bytes, seed) = head.encode(Magic::Segment, &[]);
    (head, bytes, seed)
}
