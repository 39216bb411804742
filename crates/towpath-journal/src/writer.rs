//! The one that appends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::{Disk, File, Opening, RealDisk};
use crate::error::{Error, ErrorKind};
use crate::reader::Reader;
use crate::record::{Entry, Lsn, decode, encode};

/// How a journal is kept.
#[derive(Clone, Debug, Default)]
pub struct Options {}

impl Options {
    /// What suits most.
    pub fn new() -> Self {
        Self::default()
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
        Writer::open_with(disk, dir.as_ref())
    }
}

/// A state that stands for every record up to a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last record that is in it.
    pub lsn: Lsn,
    /// The caller's bytes.
    pub state: Vec<u8>,
}

/// Appends records and makes them durable, one writer to a journal.
pub struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    file: Arc<dyn File>,
    end: u64,
    epoch: u64,
    next: Lsn,
    durable: Arc<AtomicU64>,
    buffer: Vec<u8>,
    poisoned: bool,
}

impl Writer {
    /// Opens a journal with the default [`Options`].
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] when somebody has it open, [`ErrorKind::Corrupt`], [`ErrorKind::Missing`],
    /// [`ErrorKind::Version`], [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Options::new().open(dir)
    }

    fn open_with(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let path = dir.join("log");
        let failed = |error: std::io::Error| Error::io(&path, "open", &error);
        disk.create_dir_all(dir).map_err(failed)?;
        let file: Arc<dyn File> = Arc::from(disk.open(&path, Opening::Either).map_err(failed)?);
        for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            disk.sync_dir(dir).map_err(failed)?;
        }
        if !file.try_lock().map_err(failed)? {
            return Err(Error::new(ErrorKind::Locked, &path, "another writer has it open"));
        }
        let mut bytes = vec![0; file.size().map_err(failed)? as usize];
        let mut have = 0;
        while have < bytes.len() {
            let read = file.read_at(&mut bytes[have..], have as u64).map_err(failed)?;
            if read == 0 {
                break;
            }
            have += read;
        }
        let (mut at, mut end, mut epoch, mut last) = (0, 0, 0, Lsn::ZERO);
        let mut seen = Lsn::ZERO;
        while let Some((record, len, goes_on)) = decode(&bytes[at..have]) {
            if record.lsn != seen.next() {
                break;
            }
            seen = record.lsn;
            at += len;
            epoch = record.epoch;
            if !goes_on {
                (end, last) = (at, record.lsn);
            }
        }
        file.set_len(end as u64).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            path,
            file,
            end: end as u64,
            epoch: epoch + 1,
            next: last.next(),
            durable: Arc::new(AtomicU64::new(last.0)),
            buffer: Vec::new(),
            poisoned: false,
        })
    }

    /// Puts a record behind the others; it is durable after the next [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], [`ErrorKind::Poisoned`].
    pub fn append(&mut self, entry: Entry<'_>) -> Result<Lsn, Error> {
        self.append_group(&[entry])
    }

    /// Puts several records behind the others that survive together or not at all; gives the number of the last.
    ///
    /// # Errors
    /// As [`append`](Self::append); then none of them is in.
    pub fn append_group(&mut self, entries: &[Entry<'_>]) -> Result<Lsn, Error> {
        if self.poisoned {
            return Err(Error::new(ErrorKind::Poisoned, &self.path, "an earlier write failed"));
        }
        for (index, entry) in entries.iter().enumerate() {
            encode(&mut self.buffer, self.next, self.epoch, *entry, index + 1 < entries.len());
            self.next = self.next.next();
        }
        Ok(Lsn(self.next.0 - 1))
    }

    /// Makes everything that was appended durable; gives the number of the last durable record.
    ///
    /// # Errors
    /// [`ErrorKind::Full`], [`ErrorKind::Io`]; afterwards the writer is poisoned.
    pub fn commit(&mut self) -> Result<Lsn, Error> {
        if self.poisoned {
            return Err(Error::new(ErrorKind::Poisoned, &self.path, "an earlier write failed"));
        }
        if !self.buffer.is_empty() {
            let done =
                self.file.write_all_at(&self.buffer, self.end).and_then(|()| self.file.sync_data());
            if let Err(error) = done {
                self.poisoned = true;
                return Err(Error::io(&self.path, "commit", &error));
            }
            self.end += self.buffer.len() as u64;
            self.buffer.clear();
            self.durable.store(self.next.0 - 1, Ordering::Release);
        }
        Ok(self.durable())
    }

    /// The last record that is durable; [`Lsn::ZERO`] when there is none.
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// The number that the next record will get.
    pub fn next(&self) -> Lsn {
        self.next
    }

    /// Reads from a record on, following this writer.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] when retention has removed it.
    pub fn reader(&self, from: Lsn) -> Result<Reader, Error> {
        Ok(Reader {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            durable: Arc::clone(&self.durable),
            next: from.max(Lsn(1)),
            offset: 0,
            buffer: Vec::new(),
            at: 0,
        })
    }

    /// Keeps, durably, a state that stands for every record up to `lsn`, in place of the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Full`], [`ErrorKind::Io`]; the last checkpoint is still there then.
    pub fn checkpoint(&mut self, lsn: Lsn, state: &[u8]) -> Result<(), Error> {
        let (new, path) = (self.dir.join("checkpoint.new"), self.dir.join("checkpoint"));
        let mut bytes = Vec::new();
        encode(&mut bytes, lsn, self.epoch, Entry { kind: 0, key: &[], payload: state }, false);
        let write = || {
            let file = self.disk.open(&new, Opening::Either)?;
            file.set_len(0)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_data()?;
            self.disk.rename(&new, &path)?;
            self.disk.sync_dir(&self.dir)
        };
        write().map_err(|error| Error::io(&path, "checkpoint", &error))
    }

    /// The last checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Io`].
    pub fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let path = self.dir.join("checkpoint");
        let names = self.disk.list(&self.dir).map_err(|error| Error::io(&path, "list", &error))?;
        if !names.iter().any(|name| name == "checkpoint") {
            return Ok(None);
        }
        let read = || {
            let file = self.disk.open(&path, Opening::Existing)?;
            let mut bytes = vec![0; file.size()? as usize];
            let mut have = 0;
            while have < bytes.len() {
                match file.read_at(&mut bytes[have..], have as u64)? {
                    0 => break,
                    read => have += read,
                }
            }
            Ok(bytes)
        };
        let bytes = read().map_err(|error| Error::io(&path, "read", &error))?;
        let (record, ..) = decode(&bytes)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, &path, "checkpoint is damaged"))?;
        Ok(Some(Checkpoint { lsn: record.lsn, state: record.payload.to_vec() }))
    }

    /// Lets go of records before `from`, where whole segments hold nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn retain(&mut self, from: Lsn) -> Result<(), Error> {
        let _ = from; // one segment only so far
        Ok(())
    }
}
