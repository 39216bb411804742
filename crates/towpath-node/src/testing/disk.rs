//! The simulator's disk as a disk of journals, so that the tests of a network file have what they write in a world of their own. The
//! tests of other crates have it by `#[path]`, as theirs could not depend on the node.
//!
//! What always holds: the journal meets here what it meets on a machine, with the same code: no operation is made safer or simpler on the
//! way.

use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use towpath_journal::{Disk, File, Opening};
use towpath_sim::disk;

/// The simulator's disk, to hand to `Options::open_on`.
pub(crate) fn sim_disk(disk: &disk::Disk) -> Arc<dyn Disk> {
    Arc::new(SimDisk(disk.clone()))
}

struct SimDisk(disk::Disk);

/// Paths of the simulator are text.
fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut above: Vec<_> = path.ancestors().collect();
        above.reverse();
        for dir in above.into_iter().map(text) {
            match self.0.create_dir(dir?) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.read_dir(text(path)?)
    }

    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn File>> {
        let path = text(path)?;
        let file = match how {
            Opening::ReadOnly | Opening::Existing => self.0.open(path),
            Opening::New => self.0.create_new(path),
            Opening::Either => self.0.open_or_create(path),
        };
        Ok(Box::new(SimFile(file?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(text(from)?, text(to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(text(path)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(text(path)?)
    }
}

struct SimFile(disk::File);

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
