//! Opening for writing: what recovery found is made durable and whole, and a new epoch begins. And how segments are made.
//!
//! What always holds: when `open` returns, everything it says is durable is so. What it found need not have been: after a
//! failed fsync a file's pages can be read and are not on the disk. So what no mark speaks for is written once more, and
//! synced, before the mark that says it is durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::cursor::{Segment, read_full};
use crate::disk::{Disk, File, Opening};
use crate::error::{Error, ErrorKind};
use crate::format::{self, FILE_HEAD, RECORD_HEAD};
use crate::options::Options;
use crate::record::Lsn;
use crate::recover::{Names, Recovered, Scan, recover, segment_head};
use crate::small;
use crate::writer::{MARKS, Part, first_zeros, zero};

/// What a writer begins with.
pub(crate) struct Opened {
    pub(crate) lock: Box<dyn File>,
    pub(crate) segment: Segment,
    /// Where the mark of the new epoch is, which the first batch will write again.
    pub(crate) end: u64,
    pub(crate) written: u64,
    pub(crate) epoch: u64,
    pub(crate) last: Lsn,
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) spares: Vec<Lsn>,
}

pub(crate) fn open(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<Opened, Error> {
    let failed = |error: io::Error| Error::io(dir, "open the journal", &error);
    disk.create_dir_all(dir).map_err(failed)?;
    let lock = lock(disk, dir)?;
    // A process that was killed may have left names that are not durable, and what follows builds on them.
    disk.sync_dir(dir).map_err(failed)?;
    let names = Names::list(disk, dir)?;
    if !names.start {
        for above in dir.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match disk.sync_dir(above) {
                // A directory that we may pass through and not read was there before us.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced.map_err(failed)?,
            }
        }
    }
    let recovered = recover(disk, dir, &names)?;
    let mut spares = tidy(disk, dir, options, &names)?;
    let mut parts = Vec::new();
    let (mut place, mut epoch, mut last) = (None, 1, Lsn::ZERO);
    if let Some(Recovered { mut scans, written, unsealed }) = recovered {
        if unsealed && let Some(before) = scans.iter().rev().nth(1) {
            seal(&before.segment, before.end, before.last, before.epoch)?;
        }
        parts.extend(scans.iter_mut().map(|scan| {
            let places = Mutex::new(std::mem::take(&mut scan.places));
            Arc::new(Part { first: scan.segment.head.lsn, places })
        }));
        let scan = scans.pop().expect("a journal that was recovered has a segment");
        (epoch, last) = (scan.epoch.saturating_add(1), scan.last);
        make_durable(&scan, written)?;
        place = Some((scan, written));
    }
    // The segment goes on if it has records, or may have as many as a new one, and has room for the mark.
    let goes_on = place.as_ref().is_some_and(|(scan, _)| {
        let head = &scan.segment.head;
        let is_empty = scan.last < head.lsn;
        scan.end + MARKS <= head.file_bytes
            && (!is_empty || head.file_bytes == options.segment_bytes)
    });
    let (segment, end, written) = match place {
        Some((scan, written)) if goes_on => (scan.segment, scan.end, written),
        place => {
            let first = last.next();
            let (segment, written) = create(disk, dir, options, first, epoch, &mut spares)?;
            match place {
                // One without records had the same name, and is replaced.
                Some((scan, _)) if scan.last < scan.segment.head.lsn => drop(parts.pop()),
                Some((scan, _)) => seal(&scan.segment, scan.end, scan.last, scan.epoch)?,
                None => {}
            }
            parts.push(Arc::new(Part { first, places: Mutex::default() }));
            (segment, FILE_HEAD as u64, written)
        }
    };
    // The epoch is durable before anything is written in it.
    let mark = format::mark(segment.seed, last, epoch, false);
    let begin = || {
        segment.file.write_all_at(&mark, end)?;
        segment.file.sync_data()
    };
    begin().map_err(|error| Error::io(&segment.path, "begin an epoch", &error))?;
    if !names.start {
        small::write_start(disk, dir, Lsn(1), epoch)?;
    }
    Ok(Opened { lock, segment, end, written, epoch, last, parts, spares })
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn File>, Error> {
    let path = dir.join("lock");
    let failed = |error: io::Error| Error::io(&path, "lock", &error);
    let lock = disk.open(&path, Opening::Either).map_err(failed)?;
    if lock.try_lock().map_err(failed)? {
        return Ok(lock);
    }
    let what = "another writer, perhaps in another process, has this journal open: end it, or open \
                another directory; to read beside it, use `Reader::open`";
    Err(Error::new(ErrorKind::Locked, &path, what))
}

/// Removes what earlier processes left unfinished, and returns the spares.
fn tidy(disk: &dyn Disk, dir: &Path, options: &Options, names: &Names) -> Result<Vec<Lsn>, Error> {
    let remove = |name: &str| {
        let path = dir.join(name);
        disk.remove(&path).map_err(|error| Error::io(&path, "remove", &error))
    };
    names.unfinished.iter().try_for_each(|name| remove(name))?;
    let start = if names.start { small::read_start(disk, dir)? } else { Lsn::ZERO };
    for first in names.segments.iter().filter(|first| **first < start) {
        remove(&format::name(*first, "log"))?;
    }
    let mut spares: Vec<_> = names.spares.iter().copied().collect();
    for spare in spares.drain(spares.len().min(options.spares)..) {
        remove(&format::name(spare, "spare"))?;
    }
    Ok(spares)
}

/// Has all that was found on the disk, and zeros behind it.
fn make_durable(scan: &Scan, written: u64) -> Result<(), Error> {
    let file = &*scan.segment.file;
    let redo = || {
        let mut bytes = vec![0; (scan.end - scan.last_mark) as usize];
        let read = read_full(file, &mut bytes, scan.last_mark)?;
        // Nothing can have cut it since the scan; what was read is what is written.
        file.write_all_at(&bytes[..read], scan.last_mark)?;
        zero(file, scan.end, written)?;
        let only_a_mark = bytes.len() <= RECORD_HEAD && written <= scan.end;
        if only_a_mark { Ok(()) } else { file.sync_data() }
    };
    redo().map_err(|error| {
        let doing = format!("write once more what begins at offset {}", scan.last_mark);
        Error::io(&scan.segment.path, &doing, &error)
    })
}

/// Writes the last mark of a segment, whose successor is there.
pub(crate) fn seal(segment: &Segment, end: u64, durable: Lsn, epoch: u64) -> Result<(), Error> {
    let mark = format::mark(segment.seed, durable, epoch, true);
    let write = || {
        segment.file.write_all_at(&mark, end)?;
        segment.file.sync_data()
    };
    write().map_err(|error| Error::io(&segment.path, "write the last mark", &error))
}

/// Makes a segment, or makes one of a spare; also gives up to where something was written into it before.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
    first: Lsn,
    epoch: u64,
    spares: &mut Vec<Lsn>,
) -> Result<(Segment, u64), Error> {
    let path = dir.join(format::name(first, "log"));
    let (head, bytes, seed) = segment_head(first, epoch, options.segment_bytes);
    let mut make = || {
        let (file, from, written) = match spare(disk, dir, head.file_bytes, spares)? {
            Some((file, from)) => (file, from, head.file_bytes),
            None => {
                let from = dir.join(format!("{}.new", format::name(first, "log")));
                let file = disk.open(&from, Opening::Either)?;
                file.set_len(0)?;
                file.allocate(head.file_bytes)?;
                let zeros = first_zeros(head.file_bytes);
                zero(&*file, FILE_HEAD as u64, zeros)?;
                (file, from, zeros)
            }
        };
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        disk.rename(&from, &path)?;
        disk.sync_dir(dir)?;
        Ok((Arc::from(file), written))
    };
    let (file, written) =
        make().map_err(|error: io::Error| Error::io(&path, "make a segment", &error))?;
    Ok((Segment { head, seed, path, file }, written))
}

/// A spare of the right size; others are removed.
fn spare(
    disk: &dyn Disk,
    dir: &Path,
    file_bytes: u64,
    spares: &mut Vec<Lsn>,
) -> io::Result<Option<(Box<dyn File>, PathBuf)>> {
    while let Some(spare) = spares.pop() {
        let path = dir.join(format::name(spare, "spare"));
        let file = disk.open(&path, Opening::Existing)?;
        if file.size()? == file_bytes {
            return Ok(Some((file, path)));
        }
        drop(file);
        disk.remove(&path)?;
    }
    Ok(None)
}
