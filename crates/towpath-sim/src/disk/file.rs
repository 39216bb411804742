//! An open file.

use std::{fmt, fs::TryLockError, io};

use super::{Disk, state::errno, state::errno as numbers};

/// An open file of a [`Disk`]; dropping it closes it. The methods are those of `std::fs::File`, so that code can be
/// written over both; errors carry the numbers that Linux gives.
///
/// After a crash every operation fails with [`Crashed`](super::Crashed).
pub struct File {
    disk: Disk,
    generation: u64,
    inode: u64,
    handle: u64,
}

impl File {
    pub(super) fn new(disk: Disk, generation: u64, (inode, handle): (u64, u64)) -> Self {
        Self { disk, generation, inode, handle }
    }

    /// Reads from `offset` on; returns how many bytes there were, 0 at the end of the file. It may be fewer than fit, as
    /// from any file; [`read_exact_at`](Self::read_exact_at) goes on.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.wait(|faults| faults.latency);
        self.disk.look(Some(self.generation), |state| state.read(self.inode, buf, offset))
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before; what `buf` then holds is not said. `Crashed`.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }

    /// Writes at `offset`; returns how many bytes were taken, which may be fewer. The file grows if need be. After a
    /// power cut nothing of it is sure before a [`sync_data`](Self::sync_data).
    ///
    /// # Errors
    /// `ENOSPC` when nothing fits on the disk, `EIO` by chance, `EFBIG` beyond 2^64 bytes, `Crashed`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.wait(|faults| faults.latency);
        self.disk
            .change(Some(self.generation), |state| state.write(self.inode, bytes, Some(offset)))
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at); some of the bytes may have been written.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            done += self.write_at(&bytes[done..], offset + done as u64)?;
        }
        Ok(())
    }

    /// Writes at the end, wherever that is now; returns how many bytes were taken, which may be fewer.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.wait(|faults| faults.latency);
        self.disk.change(Some(self.generation), |state| state.write(self.inode, bytes, None))
    }

    /// Cuts the file, or makes it longer by zeros.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.wait(|faults| faults.latency);
        self.disk.change(Some(self.generation), |state| state.set_len(self.inode, len))
    }

    /// Sets space aside for the first `len` bytes, as `fallocate` does, and makes the file that long if it is shorter.
    /// Later writes there do not fail for want of space.
    ///
    /// # Errors
    /// `ENOSPC`, and then nothing has changed; `Crashed`.
    pub fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.wait(|faults| faults.latency);
        self.disk.change(Some(self.generation), |state| state.allocate(self.inode, len))
    }

    /// Returns when the file's bytes and its length are safe. Its name is not: see [`Disk::sync_dir`].
    ///
    /// # Errors
    /// `EIO`: some of what was written since the last sync is not safe and never will be, for the next sync knows
    /// nothing of it. Write it again, elsewhere. Every handle that was open is told once. `Crashed`.
    pub fn sync_data(&self) -> io::Result<()> {
        self.disk.wait(|faults| faults.sync_latency);
        self.disk.sync(Some(self.generation), |state| state.sync(self.inode, self.handle))
    }

    /// As [`sync_data`](Self::sync_data): this disk keeps nothing else about a file.
    ///
    /// # Errors
    /// As there.
    pub fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    /// Locks the file for this handle, as `flock` does. Closing the handle unlocks, and so does any crash.
    ///
    /// # Errors
    /// `WouldBlock` while another handle has the lock; `Crashed`.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        let lock = self.disk.look(Some(self.generation), |state| {
            let file = state.inode_mut(self.inode)?;
            Ok(*file.lock.get_or_insert(self.handle) == self.handle)
        });
        match lock {
            Ok(true) => Ok(()),
            Ok(false) => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error)),
        }
    }

    /// Gives the lock back, if this handle has it.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn unlock(&self) -> io::Result<()> {
        self.disk.look(Some(self.generation), |state| {
            let file = state.inode_mut(self.inode)?;
            if file.lock == Some(self.handle) {
                file.lock = None;
            }
            Ok(())
        })
    }

    /// Bytes in the file.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn len(&self) -> io::Result<u64> {
        self.disk.look(Some(self.generation), |state| Ok(state.inode(self.inode)?.cached.len))
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Everything from the start to the end.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at); `EFBIG` when memory cannot hold it.
    pub fn read_to_end(&self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len()?).map_err(|_| errno(numbers::EFBIG))?;
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.disk.close(self.generation, self.inode, self.handle);
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("inode", &self.inode).finish_non_exhaustive()
    }
}
