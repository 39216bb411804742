//! The simulator's disk with something that happens at one operation: the process is killed there, or that operation fails.
//! So a test can try every operation in turn.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use towpath_journal::{Disk, File, Opening};
use towpath_sim::disk::{self, Faults};

use crate::sim_disk::sim_disk;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The process is dead from this operation on, and the machine runs on.
    Killed,
    /// The operation fails: a write changes nothing, a sync loses what it was given.
    Fails,
}

/// A disk on which `what` happens at operation number `point`, and how many operations there were.
pub(crate) fn at(disk: &disk::Disk, point: u64, what: What) -> (Arc<dyn Disk>, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let point = Point { disk: disk.clone(), count: Arc::clone(&count), point, what };
    (Arc::new(PointDisk { inner: sim_disk(disk), point }), count)
}

#[derive(Clone)]
struct Point {
    disk: disk::Disk,
    count: Arc<AtomicU64>,
    point: u64,
    what: What,
}

impl Point {
    fn pass<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        match self.what {
            What::Killed if number >= self.point => Err(io::Error::other("killed")),
            What::Fails if number == self.point => {
                let faults =
                    Faults { write_error: 1_000, sync_error: 1_000, ..Faults::power_cuts() };
                self.disk.set_faults(faults);
                let result = operation();
                self.disk.set_faults(Faults::power_cuts());
                result
            }
            _ => operation(),
        }
    }
}

struct PointDisk {
    inner: Arc<dyn Disk>,
    point: Point,
}

impl Disk for PointDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.point.pass(|| self.inner.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn File>> {
        let open = || self.inner.open(path, how);
        let inner = if how == Opening::ReadOnly { open() } else { self.point.pass(open) }?;
        Ok(Box::new(PointFile { inner, point: self.point.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.point.pass(|| self.inner.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.point.pass(|| self.inner.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.point.pass(|| self.inner.sync_dir(path))
    }
}

struct PointFile {
    inner: Box<dyn File>,
    point: Point,
}

impl File for PointFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.point.pass(|| self.inner.write_all_at(bytes, offset))
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.point.pass(|| self.inner.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.point.pass(|| self.inner.allocate(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.point.pass(|| self.inner.sync_data())
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }
}
