//! Small files that change as a whole: checkpoints, and where the journal starts.
//!
//! What always holds: under its name such a file is there whole, the old one or the new one, whatever happens; it is
//! written under another name, made durable, renamed, and then the name is made durable.

use std::io;
use std::path::Path;

use crate::cursor::read_full;
use crate::disk::{Disk, Opening};
use crate::error::{Error, ErrorKind};
use crate::format::{self, FILE_HEAD, FileHead, Magic};
use crate::record::Lsn;
use crate::writer::Checkpoint;

/// Notes, durably, the first record that is kept.
pub(crate) fn write_start(
    disk: &dyn Disk,
    dir: &Path,
    first: Lsn,
    epoch: u64,
) -> Result<(), Error> {
    write(disk, dir, "start", Magic::Start, first, epoch, &[])
}

pub(crate) fn read_start(disk: &dyn Disk, dir: &Path) -> Result<Lsn, Error> {
    let (lsn, _) = read(disk, dir, "start", Magic::Start)?;
    Ok(lsn.max(Lsn(1)))
}

pub(crate) fn write_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    lsn: Lsn,
    epoch: u64,
    state: &[u8],
) -> Result<(), Error> {
    write(disk, dir, &format::name(lsn, "checkpoint"), Magic::Checkpoint, lsn, epoch, state)
}

pub(crate) fn read_checkpoint(disk: &dyn Disk, dir: &Path, lsn: Lsn) -> Result<Checkpoint, Error> {
    let name = format::name(lsn, "checkpoint");
    let (found, state) = read(disk, dir, &name, Magic::Checkpoint)?;
    if found != lsn {
        let what = format!("this is the checkpoint of record {found} under another's name");
        return Err(Error::new(ErrorKind::Corrupt, &dir.join(name), what));
    }
    Ok(Checkpoint { lsn, state })
}

fn write(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    magic: Magic,
    lsn: Lsn,
    epoch: u64,
    body: &[u8],
) -> Result<(), Error> {
    let (path, new) = (dir.join(name), dir.join(format!("{name}.new")));
    let head = FileHead { lsn, epoch, file_bytes: (FILE_HEAD + body.len()) as u64 };
    let mut bytes = head.encode(magic, body).0.to_vec();
    bytes.extend_from_slice(body);
    let write = || -> io::Result<()> {
        let file = disk.open(&new, Opening::Either)?;
        file.set_len(0)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        drop(file);
        disk.rename(&new, &path)?;
        disk.sync_dir(dir)
    };
    write().map_err(|error| Error::io(&path, "write", &error))
}

fn read(disk: &dyn Disk, dir: &Path, name: &str, magic: Magic) -> Result<(Lsn, Vec<u8>), Error> {
    let path = dir.join(name);
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(&path, Opening::ReadOnly)?;
        let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; size];
        let have = read_full(&*file, &mut bytes, 0)?;
        bytes.truncate(have);
        Ok(bytes)
    };
    let mut bytes = read().map_err(|error| Error::io(&path, "read", &error))?;
    let body = bytes.get(FILE_HEAD..).unwrap_or_default();
    let (head, _) = FileHead::decode(&path, magic, &bytes, body)?;
    // What is cut off or hung on does not check; this is for who makes a file by hand.
    if head.file_bytes != bytes.len() as u64 {
        let what = format!("{} bytes where {} were written", bytes.len(), head.file_bytes);
        return Err(Error::new(ErrorKind::Corrupt, &path, what));
    }
    Ok((head.lsn, bytes.split_off(FILE_HEAD)))
}
