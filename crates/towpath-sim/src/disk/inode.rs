//! One file: what a reader sees, what is safe, and the changes between the two.
//!
//! What always holds: all pending changes applied to `durable`, in order, give `cached`, but for what a failed sync has
//! dropped.
//!
//! Why a write keeps whole sectors: a page cache writes a sector as it is at that moment, so a later write that reaches
//! the disk takes along what earlier ones did to the same sector.

use std::collections::BTreeMap;

use super::content::{Content, SECTOR, Sector, flip, pieces};
use crate::chance::{Ask, Kind, Source};

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) cached: Content,
    durable: Content,
    pending: Vec<Pending>,
    /// What is cached may not be what is durable.
    dirty: bool,
    /// Sectors before this one were set aside by `allocate`.
    reserved: u64,
    /// Sectors it takes, as cached.
    pub(super) charge: u64,
    /// Failed syncs. Each handle is told of each once.
    failures: u64,
    /// Open handles, with the failed syncs that each knows of.
    pub(super) handles: BTreeMap<u64, u64>,
    /// The handle that holds the lock.
    pub(super) lock: Option<u64>,
}

#[derive(Debug)]
struct Pending {
    /// When it was made, counted over the whole disk.
    moment: u64,
    change: Change,
}

#[derive(Debug)]
enum Change {
    /// Sectors, and the length if it grew.
    Data {
        sectors: Vec<(u64, Sector)>,
        grown: Option<u64>,
    },
    Length(u64),
}

impl Change {
    /// The length that it gave the file.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Data { grown, .. } => *grown,
            Self::Length(length) => Some(*length),
        }
    }
}

impl Inode {
    /// Bytes from `offset` on that may be written when `free` sectors are left, `count` at most.
    pub(super) fn room(&self, offset: u64, count: usize, mut free: u64) -> usize {
        for (sector, _, part) in pieces(offset, count) {
            if self.is_new(sector) {
                if free == 0 {
                    return part.start;
                }
                free -= 1;
            }
        }
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64, moment: u64) {
        let new = pieces(offset, bytes.len()).filter(|(sector, ..)| self.is_new(*sector)).count();
        self.charge += new as u64;
        let before = self.cached.len;
        let sectors = self.cached.write(bytes, offset);
        let grown = (self.cached.len > before).then_some(self.cached.len);
        self.change(moment, Change::Data { sectors, grown });
    }

    pub(super) fn set_len(&mut self, len: u64, moment: u64) {
        if len < self.cached.len {
            self.reserved = self.reserved.min(len.div_ceil(SECTOR));
        }
        self.cached.set_len(len);
        self.change(moment, Change::Length(len));
        self.recharge();
    }

    /// Sectors that setting aside everything below `len` would take.
    pub(super) fn missing(&self, len: u64) -> u64 {
        let end = len.div_ceil(SECTOR).max(self.reserved);
        end - self.reserved - self.cached.sectors.range(self.reserved..end).count() as u64
    }

    pub(super) fn allocate(&mut self, len: u64, moment: u64) {
        self.reserved = self.reserved.max(len.div_ceil(SECTOR));
        self.recharge();
        if len > self.cached.len {
            self.cached.set_len(len);
            self.change(moment, Change::Length(len));
        }
    }

    fn change(&mut self, moment: u64, change: Change) {
        self.dirty = true;
        self.pending.push(Pending { moment, change });
    }

    /// Everything is on the disk now, but for what a failed sync has dropped.
    pub(super) fn sync(&mut self) {
        self.dirty = self.failures > 0;
        for Pending { change, .. } in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, change);
        }
    }

    /// What a failed sync does: some sectors are on the disk, and nobody will write the others. A reader may go on seeing
    /// them, or not.
    pub(super) fn fail_sync(&mut self, source: &mut Source) {
        self.failures += 1;
        let mut kept = Vec::new();
        for Pending { moment, change } in std::mem::take(&mut self.pending) {
            // Lengths are in the file system's own journal, which has not failed.
            if let Some(length) = change.length() {
                kept.push(Pending { moment, change: Change::Length(length) });
            }
            if let Change::Data { sectors, .. } = change {
                for (sector, data) in sectors {
                    if source.below(Kind::Disk, 2) == 1 {
                        self.durable.sectors.insert(sector, data);
                    }
                }
            }
        }
        self.pending = kept;
        if source.below(Kind::Disk, 2) == 1 {
            // The pages count as clean, so memory may be taken from them.
            let mut seen = Content { len: self.cached.len, ..self.durable.clone() };
            seen.trim();
            self.cached = seen;
            self.recharge();
        }
    }

    /// Whether a sync failed that this handle was not told of; now it is.
    pub(super) fn tell_failure(&mut self, handle: u64) -> bool {
        let failures = self.failures;
        self.handles
            .get_mut(&handle)
            .is_some_and(|told| std::mem::replace(told, failures) < failures)
    }

    /// Opens a handle; it will be told of syncs that fail from now on.
    pub(super) fn open(&mut self, handle: u64) {
        self.handles.insert(handle, self.failures);
    }

    /// A bit changes where it lies.
    pub(super) fn flip(&mut self, bit: u64) {
        self.cached.flip(bit);
        self.durable.flip(bit);
        for pending in &mut self.pending {
            if let Change::Data { sectors, .. } = &mut pending.change {
                let hit = sectors.iter_mut().filter(|(sector, _)| *sector == bit / 8 / SECTOR);
                hit.for_each(|(_, data)| flip(data, bit));
            }
        }
    }

    /// When its pending changes were made.
    pub(super) fn moments(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().map(|pending| pending.moment)
    }

    /// The power goes. Of the pending changes those survive that `survives` says, whole or torn.
    pub(super) fn power_cut(
        &mut self,
        source: &mut Source,
        survives: &dyn Fn(u64) -> bool,
        torn: &dyn Fn(u64) -> bool,
    ) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let mut left = Vec::new();
        // A length that survives takes along those before it: the file system writes them in order.
        let mut lengths = 0;
        for (index, Pending { moment, change }) in pending.into_iter().enumerate() {
            let length = change.length();
            let (data, whole) = match change {
                _ if !survives(moment) => (None, false),
                Change::Data { sectors, grown } if torn(moment) => {
                    let (sectors, grown) = tear(source, sectors, grown, self.durable.len);
                    let whole = grown.is_some();
                    (Some(Change::Data { sectors, grown }), whole)
                }
                change => (Some(change), true),
            };
            if whole && length.is_some() {
                lengths = index + 1;
            }
            left.push((data, length));
        }
        for (index, (change, length)) in left.into_iter().enumerate() {
            match (change, length) {
                (Some(change), _) => {
                    let grown = change.length();
                    apply(&mut self.durable, change);
                    if let (None, Some(length), true) = (grown, length, index < lengths) {
                        self.durable.set_len(length);
                    }
                }
                (None, Some(length)) if index < lengths => self.durable.set_len(length),
                (None, _) => {}
            }
        }
        // A write beyond a length that did not survive.
        self.durable.trim();
        self.cached = self.durable.clone();
        // Space that was set aside is part of the length.
        self.reserved = self.reserved.min(self.cached.len.div_ceil(SECTOR));
        self.failures = 0;
        self.recharge();
    }

    /// Its process was killed: its handles are gone, and what it wrote is cached as before.
    pub(super) fn forget_handles(&mut self) {
        self.handles.clear();
        self.lock = None;
    }

    fn is_new(&self, sector: u64) -> bool {
        sector >= self.reserved && !self.cached.sectors.contains_key(&sector)
    }

    fn recharge(&mut self) {
        let beyond = self.cached.sectors.range(self.reserved..).count();
        self.charge = self.reserved + beyond as u64;
    }
}

fn apply(content: &mut Content, change: Change) {
    match change {
        Change::Data { sectors, grown } => {
            content.sectors.extend(sectors);
            if let Some(length) = grown {
                content.len = length;
            }
        }
        Change::Length(length) => content.set_len(length),
    }
}

/// What is left of a write that the power cut in the middle: some sectors, and a length from the old to the new.
fn tear(
    source: &mut Source,
    mut sectors: Vec<(u64, Sector)>,
    grown: Option<u64>,
    before: u64,
) -> (Vec<(u64, Sector)>, Option<u64>) {
    if source.below(Kind::Crash, 2) == 0 {
        let lost = source.below(Kind::Crash, sectors.len() as u64 + 1) as usize;
        sectors.truncate(sectors.len() - lost);
    } else {
        sectors.retain(|_| source.below(Kind::Crash, 2) == 0);
    }
    let grown = grown.and_then(|grown| match source.below(Kind::Crash, 3) {
        0 => Some(grown),
        1 => None,
        _ => {
            let end = sectors.last().map_or(0, |(sector, _)| (sector + 1) * SECTOR);
            (end > before).then(|| grown.min(end))
        }
    });
    (sectors, grown)
}
