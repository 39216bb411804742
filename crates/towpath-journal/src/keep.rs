//! Checkpoints and retention: what stands for the past, and letting go of it.
//!
//! What always holds:
//! - A checkpoint is of durable records only, and replaces the last one when it is durable itself. The one before it is kept.
//! - The first record that is kept is noted, durably, before anything is removed. So a segment that is gone and should not
//!   be is told from one that was let go.

use std::io;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::format;
use crate::record::Lsn;
use crate::recover::Names;
use crate::small;
use crate::writer::{Checkpoint, Writer};

/// Checkpoints that are kept: the last, and one to fall back on.
const CHECKPOINTS: usize = 2;

impl Writer {
    /// Keeps, durably, a state that stands for every record up to `lsn`, in place of the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] when a record up to `lsn` is not durable yet, or there is a later checkpoint;
    /// [`ErrorKind::Full`], [`ErrorKind::Io`], [`ErrorKind::Poisoned`]. The last checkpoint is still there then.
    pub fn checkpoint(&mut self, lsn: Lsn, state: &[u8]) -> Result<(), Error> {
        self.healthy()?;
        let before = self.checkpoints()?;
        let last = before.last().copied().unwrap_or_default();
        if lsn > self.durable() || lsn < last {
            let what = format!(
                "a checkpoint of record {lsn}: records up to {} are durable and the last checkpoint is of \
                 {last}; commit first, and give the later state",
                self.durable()
            );
            return Err(Error::new(ErrorKind::Refused, &self.dir, what));
        }
        small::write_checkpoint(&*self.disk, &self.dir, lsn, self.epoch, state)?;
        let keep = CHECKPOINTS - usize::from(last < lsn || before.is_empty());
        for old in before.iter().rev().skip(keep) {
            let path = self.dir.join(format::name(*old, "checkpoint"));
            // One too many does no harm, and the next call tries again.
            drop(self.disk.remove(&path));
        }
        Ok(())
    }

    /// The last checkpoint. If it is damaged, the one before it, as long as all records after that are still there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Version`], [`ErrorKind::Io`].
    pub fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let mut damaged = None;
        for lsn in self.checkpoints()?.into_iter().rev() {
            let covered = lsn.next() >= self.oldest();
            match small::read_checkpoint(&*self.disk, &self.dir, lsn) {
                Ok(checkpoint) if damaged.is_none() || covered => return Ok(Some(checkpoint)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    damaged.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    fn checkpoints(&self) -> Result<Vec<Lsn>, Error> {
        Ok(Names::list(&*self.disk, &self.dir)?.checkpoints.into_iter().collect())
    }

    /// Lets go of records before `from`, but of none that the last checkpoint does not stand for, and of whole segments
    /// only. Gives the first record that is kept.
    ///
    /// Segments that are let go are written over later ([`Options::spares`](crate::Options::spares)), but not while a reader
    /// of this process is in one.
    ///
    /// # Errors
    /// Those of [`latest_checkpoint`](Self::latest_checkpoint); [`ErrorKind::Io`], and then the writer is poisoned.
    pub fn retain(&mut self, from: Lsn) -> Result<Lsn, Error> {
        let covered = self.latest_checkpoint()?.map_or(Lsn::ZERO, |checkpoint| checkpoint.lsn);
        self.retain_without_checkpoint(from.min(covered.next()))
    }

    /// As [`retain`](Self::retain), for those who need no checkpoint: the records are gone, and nothing stands for them.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], and then the writer is poisoned; [`ErrorKind::Poisoned`].
    pub fn retain_without_checkpoint(&mut self, from: Lsn) -> Result<Lsn, Error> {
        self.healthy()?;
        let gone: Vec<_> = {
            let mut parts = self.shared.parts();
            let mut gone = Vec::new();
            // A segment can go when the next one begins before `from` or there. The last one stays.
            while parts.get(1).is_some_and(|next| next.first <= from) {
                gone.extend(parts.pop_front());
            }
            gone
        };
        let oldest = self.oldest();
        if gone.is_empty() {
            return Ok(oldest);
        }
        small::write_start(&*self.disk, &self.dir, oldest, self.epoch)
            .map_err(|error| self.poison(error))?;
        let let_go = || -> io::Result<Vec<Lsn>> {
            let mut spares = self.spares.clone();
            for part in gone {
                let path = self.dir.join(format::name(part.first, "log"));
                // No reader can come to it any more: it is not in the list.
                let unread = Arc::strong_count(&part) == 1;
                if unread && spares.len() < self.options.spares {
                    let spare = self.dir.join(format::name(part.first, "spare"));
                    self.disk.rename(&path, &spare)?;
                    spares.push(part.first);
                } else {
                    self.disk.remove(&path)?;
                }
            }
            // Before a spare is written over, nothing may lead to it by its old name.
            self.disk.sync_dir(&self.dir)?;
            Ok(spares)
        };
        let done = let_go().map_err(|error| Error::io(&self.dir, "let segments go", &error));
        self.spares = done.map_err(|error| self.poison(error))?;
        Ok(oldest)
    }
}
