//! A disk as a value: names, files, and the order in which they changed. No waiting and no locks.
//!
//! What always holds: what `cached` names say is what a program sees; `durable` names with all of `changes` applied give
//! `cached`.

use std::{collections::BTreeMap, io};

use super::{
    faults::{Faults, Latency},
    inode::Inode,
    names::{self, Change, Entry, Names},
};
use crate::{
    chance::{Ask, Kind, Source},
    disk::content::SECTOR,
};

/// The numbers that Linux gives errors.
pub(super) mod errno {
    pub(in crate::disk) const ENOENT: i32 = 2;
    pub(in crate::disk) const EIO: i32 = 5;
    pub(in crate::disk) const EEXIST: i32 = 17;
    pub(in crate::disk) const ENOTDIR: i32 = 20;
    pub(in crate::disk) const EISDIR: i32 = 21;
    pub(in crate::disk) const EINVAL: i32 = 22;
    pub(in crate::disk) const EFBIG: i32 = 27;
    pub(in crate::disk) const ENOSPC: i32 = 28;
    pub(in crate::disk) const ENOTEMPTY: i32 = 39;
}

pub(super) fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// How a file is opened.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) source: Source,
    /// Counts crashes: what was opened before the last is dead.
    pub(super) generation: u64,
    /// Changes and syncs that were asked for.
    pub(super) operations: u64,
    /// The power goes during this operation.
    pub(super) cut_during: Option<u64>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    next_handle: u64,
    moment: u64,
    cached: Names,
    durable: Names,
    changes: Vec<(u64, Change)>,
}

impl State {
    pub(super) fn new(faults: Faults, source: Source) -> Self {
        Self {
            faults,
            source,
            generation: 0,
            operations: 0,
            cut_during: None,
            inodes: BTreeMap::new(),
            next_inode: 0,
            next_handle: 0,
            moment: 0,
            cached: Names::default(),
            durable: Names::default(),
            changes: Vec::new(),
        }
    }

    /// Counts an operation. True: the power goes during it.
    pub(super) fn begin(&mut self) -> bool {
        self.operations += 1;
        let now = self.cut_during == Some(self.operations);
        if now {
            self.cut_during = None;
        }
        now
    }

    fn now(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn fails(&mut self, per_mille: u16) -> io::Result<()> {
        let fails = self.source.happens(Kind::Disk, per_mille);
        if fails { Err(errno(errno::EIO)) } else { Ok(()) }
    }

    /// How long an operation takes.
    pub(super) fn latency(&mut self, latency: Latency) -> std::time::Duration {
        self.source.between(Kind::Disk, latency.shortest, latency.longest)
    }

    // Names.

    pub(super) fn open(&mut self, path: &str, how: Opening) -> io::Result<(u64, u64)> {
        let path = names::normal(path)?;
        let inode = match self.cached.get(&path) {
            Some(Entry::Directory) => return Err(errno(errno::EISDIR)),
            Some(Entry::File(_)) if how.exclusive => return Err(errno(errno::EEXIST)),
            Some(Entry::File(inode)) => {
                if how.truncate && self.inode(inode)?.cached.len > 0 {
                    self.set_len(inode, 0)?;
                }
                inode
            }
            None if how.create => {
                self.cached.parent_of(&path)?;
                self.next_inode += 1;
                let inode = self.next_inode;
                self.inodes.insert(inode, Inode::default());
                self.change(Change::Link { path, entry: Entry::File(inode) });
                inode
            }
            None => return Err(errno(errno::ENOENT)),
        };
        self.next_handle += 1;
        let handle = self.next_handle;
        self.inode_mut(inode)?.open(handle);
        Ok((inode, handle))
    }

    pub(super) fn close(&mut self, inode: u64, handle: u64) {
        if let Some(file) = self.inodes.get_mut(&inode) {
            file.handles.remove(&handle);
            if file.lock == Some(handle) {
                file.lock = None;
            }
            self.collect(inode);
        }
    }

    pub(super) fn create_dir(&mut self, path: &str) -> io::Result<()> {
        let path = names::normal(path)?;
        if self.cached.get(&path).is_some() {
            return Err(errno(errno::EEXIST));
        }
        self.cached.parent_of(&path)?;
        self.change(Change::Link { path, entry: Entry::Directory });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str, directory: bool) -> io::Result<()> {
        let path = names::normal(path)?;
        match (self.cached.get(&path), directory) {
            (None, _) => return Err(errno(errno::ENOENT)),
            (Some(Entry::Directory), false) => return Err(errno(errno::EISDIR)),
            (Some(Entry::File(_)), true) => return Err(errno(errno::ENOTDIR)),
            (Some(Entry::Directory), true) if path.is_empty() => {
                return Err(errno(errno::EINVAL));
            }
            (Some(Entry::Directory), true) if !self.cached.list(&path).is_empty() => {
                return Err(errno(errno::ENOTEMPTY));
            }
            (Some(entry), _) => {
                self.change(Change::Unlink { path });
                self.collect_entry(entry);
            }
        }
        Ok(())
    }

    /// Moves a file, over another if need be. Directories stay where they are.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (names::normal(from)?, names::normal(to)?);
        let inode = match self.cached.get(&from) {
            Some(Entry::File(inode)) => inode,
            Some(Entry::Directory) => return Err(errno(errno::EISDIR)),
            None => return Err(errno(errno::ENOENT)),
        };
        self.cached.parent_of(&to)?;
        let replaced = self.cached.get(&to);
        if replaced == Some(Entry::Directory) {
            return Err(errno(errno::EISDIR));
        }
        if from != to {
            self.change(Change::Rename { from, to, inode });
            if let Some(replaced) = replaced {
                self.collect_entry(replaced);
            }
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let path = names::normal(path)?;
        match self.cached.get(&path) {
            Some(Entry::Directory) => Ok(self.cached.list(&path)),
            Some(Entry::File(_)) => Err(errno(errno::ENOTDIR)),
            None => Err(errno(errno::ENOENT)),
        }
    }

    pub(super) fn entry(&self, path: &str) -> io::Result<Option<Entry>> {
        Ok(self.cached.get(&names::normal(path)?))
    }

    pub(super) fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        let path = names::normal(path)?;
        if self.cached.get(&path) != Some(Entry::Directory) {
            return Err(errno(errno::ENOENT));
        }
        self.fails(self.faults.sync_error)?;
        let changes = std::mem::take(&mut self.changes);
        let (synced, left) = changes.into_iter().partition(|(_, change)| change.touches(&path));
        self.changes = left;
        let synced: Vec<(u64, Change)> = synced;
        synced.iter().for_each(|(_, change)| self.durable.apply(change));
        let known: Vec<u64> = self.inodes.keys().copied().collect();
        known.into_iter().for_each(|inode| self.collect(inode));
        Ok(())
    }

    fn change(&mut self, change: Change) {
        let moment = self.now();
        self.cached.apply(&change);
        self.changes.push((moment, change));
    }

    fn collect_entry(&mut self, entry: Entry) {
        if let Entry::File(inode) = entry {
            self.collect(inode);
        }
    }

    /// Forgets a file that no name leads to, not even after a crash, and that nobody has open.
    fn collect(&mut self, inode: u64) {
        let unused = self.inodes.get(&inode).is_some_and(|file| file.handles.is_empty());
        let named = |names: &Names| names.files().any(|file| file == inode);
        let to_be = |(_, change): &(u64, Change)| change.file() == Some(inode);
        if unused
            && !named(&self.cached)
            && !named(&self.durable)
            && !self.changes.iter().any(to_be)
        {
            self.inodes.remove(&inode);
        }
    }

    // Files.

    pub(super) fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes.get(&inode).ok_or_else(|| errno(errno::EIO))
    }

    pub(super) fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| errno(errno::EIO))
    }

    pub(super) fn read(&mut self, inode: u64, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.inode(inode)?.cached.len.saturating_sub(offset);
        let mut count = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if count > 1 && self.source.happens(Kind::Disk, self.faults.short_read) {
            count -= 1 + self.source.below(Kind::Disk, count as u64 - 1) as usize;
        }
        Ok(self.inode(inode)?.cached.read(&mut buf[..count], offset))
    }

    /// Writes at `offset`, or at the end.
    pub(super) fn write(
        &mut self,
        inode: u64,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> io::Result<usize> {
        let offset = match offset {
            Some(offset) => offset,
            None => self.inode(inode)?.cached.len,
        };
        if bytes.is_empty() {
            return Ok(0);
        }
        offset.checked_add(bytes.len() as u64).ok_or_else(|| errno(errno::EFBIG))?;
        self.fails(self.faults.write_error)?;
        let mut count = bytes.len();
        if count > 1 && self.source.happens(Kind::Disk, self.faults.short_write) {
            count -= 1 + self.source.below(Kind::Disk, count as u64 - 1) as usize;
        }
        if let Some(free) = self.free() {
            count = self.inode(inode)?.room(offset, count, free);
            if count == 0 {
                return Err(errno(errno::ENOSPC));
            }
        }
        let moment = self.now();
        self.inode_mut(inode)?.write(&bytes[..count], offset, moment);
        Ok(count)
    }

    pub(super) fn set_len(&mut self, inode: u64, len: u64) -> io::Result<()> {
        let moment = self.now();
        self.inode_mut(inode)?.set_len(len, moment);
        Ok(())
    }

    pub(super) fn allocate(&mut self, inode: u64, len: u64) -> io::Result<()> {
        if self.free().is_some_and(|free| self.inodes[&inode].missing(len) > free) {
            return Err(errno(errno::ENOSPC));
        }
        let moment = self.now();
        self.inode_mut(inode)?.allocate(len, moment);
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: u64, handle: u64) -> io::Result<()> {
        let fails = self.source.happens(Kind::Disk, self.faults.sync_error);
        let Self { inodes, source, .. } = self;
        let file = inodes.get_mut(&inode).ok_or_else(|| errno(errno::EIO))?;
        if fails {
            file.fail_sync(source)
        } else {
            file.sync()
        }
        if file.tell_failure(handle) { Err(errno(errno::EIO)) } else { Ok(()) }
    }

    pub(super) fn flip(&mut self, path: &str, bit: u64) -> io::Result<()> {
        let Some(Entry::File(inode)) = self.entry(path)? else {
            return Err(errno(errno::ENOENT));
        };
        let file = self.inode_mut(inode)?;
        if bit / 8 >= file.cached.len {
            return Err(errno(errno::EINVAL));
        }
        file.flip(bit);
        Ok(())
    }

    /// Sectors in use by files that a name leads to or that are open.
    pub(super) fn used(&self) -> u64 {
        let mut named: Vec<u64> = self.cached.files().collect();
        named.sort_unstable();
        let counts = |inode: &u64, file: &Inode| {
            !file.handles.is_empty() || named.binary_search(inode).is_ok()
        };
        let files = self.inodes.iter().filter(|(inode, file)| counts(inode, file));
        files.map(|(_, file)| file.charge).sum()
    }

    /// Sectors that are left; `None`: no limit.
    fn free(&self) -> Option<u64> {
        self.faults.capacity.map(|bytes| (bytes / SECTOR).saturating_sub(self.used()))
    }

    // Crashes.

    /// The process is gone, and the machine runs on: everything written is still seen.
    pub(super) fn kill(&mut self) {
        self.generation += 1;
        for file in self.inodes.values_mut() {
            file.forget_handles();
        }
        let known: Vec<u64> = self.inodes.keys().copied().collect();
        known.into_iter().for_each(|inode| self.collect(inode));
    }

    /// The power goes, and comes back.
    pub(super) fn power_cut(&mut self) {
        let survivors = self.survivors();
        for (moment, change) in std::mem::take(&mut self.changes) {
            if survivors.contains(moment) {
                self.durable.apply(&change);
            }
        }
        self.durable.drop_orphans();
        self.cached = self.durable.clone();
        let Self { inodes, source, .. } = self;
        for file in inodes.values_mut() {
            let torn = |moment| survivors.is_torn(moment);
            file.power_cut(source, &|moment| survivors.contains(moment), &torn);
        }
        self.kill();
    }

    /// Decides which changes survive. Asks about each only where faults say so.
    fn survivors(&mut self) -> Survivors {
        let names = self.changes.iter().map(|(moment, _)| *moment);
        let data = self.inodes.values().flat_map(Inode::moments);
        let mut moments: Vec<u64> = names.chain(data).collect();
        moments.sort_unstable();
        let Self { faults, source, .. } = self;
        if !moments.is_empty() && source.happens(Kind::Crash, faults.lost) {
            let lost = source.below(Kind::Crash, moments.len() as u64 + 1) as usize;
            moments.truncate(moments.len() - lost);
        }
        let reordered = !moments.is_empty() && source.happens(Kind::Crash, faults.reordered);
        if reordered {
            moments.retain(|_| source.below(Kind::Crash, 2) == 0);
        }
        let mut torn = Vec::new();
        if !moments.is_empty() && source.happens(Kind::Crash, faults.torn) {
            torn = if reordered {
                let mut torn = moments.clone();
                torn.retain(|_| source.below(Kind::Crash, 2) == 1);
                torn
            } else {
                moments[moments.len() - 1..].to_vec()
            };
        }
        Survivors { moments, torn }
    }
}

/// The changes that survive a power cut, by their moments, in order.
struct Survivors {
    moments: Vec<u64>,
    torn: Vec<u64>,
}

impl Survivors {
    fn contains(&self, moment: u64) -> bool {
        self.moments.binary_search(&moment).is_ok()
    }

    fn is_torn(&self, moment: u64) -> bool {
        self.torn.binary_search(&moment).is_ok()
    }
}
