//! The seam to the file system: what the journal asks of it, and the real one.
//!
//! Few and blunt operations, each of which can be made to fail in a test. Calls are per batch, never per record, so
//! that trait objects cost nothing.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It must be there, and nothing will be written.
    ReadOnly,
    /// It must be there.
    Existing,
    /// It must not be there yet.
    New,
    /// It is created when absent; its content stays.
    Either,
}

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Creates a directory and those above it; no error when it is there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in any order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Opens a file.
    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn File>>;
    /// Gives a file another name, at once also for others.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Reads at a place; short reads are allowed, 0 is the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of it at a place.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Bytes in the file.
    fn size(&self) -> io::Result<u64>;
    /// Cuts the file, or lets zeros follow.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves room so that writes below `len` cannot meet a full disk; the file is `len` long afterwards.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Locks the file against other openers, without waiting: `false` when somebody has it.
    fn try_lock(&self) -> io::Result<bool>;
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(how != Opening::ReadOnly);
        options.create_new(how == Opening::New).create(how == Opening::Either);
        Ok(Box::new(RealFile { file: options.open(path)?, locked: AtomicBool::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }
}

struct RealFile {
    file: fs::File,
    locked: AtomicBool,
}

impl Drop for RealFile {
    /// The lock belongs to all copies of the open file, and a process that another thread is just forking off has one until
    /// it begins its program. So closing is not enough.
    fn drop(&mut self) {
        // Relaxed: whoever drops the file is the only one who has it.
        if self.locked.load(Ordering::Relaxed) {
            drop(self.file.unlock());
        }
    }
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            // A file system that cannot promise room tells of a full disk at the write.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(len),
            done => done.map_err(io::Error::from),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => {
                self.locked.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
