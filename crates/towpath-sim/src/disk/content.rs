//! The bytes of one file, in sectors of 512: the unit that a disk writes whole or not at all.
//!
//! What always holds: a sector that is absent is zeros; bytes beyond the length are zeros.

use std::{collections::BTreeMap, sync::Arc};

/// Bytes in a sector.
pub(super) const SECTOR: u64 = 512;

/// One sector, shared between what is cached, what waits to be written, and what is written.
pub(super) type Sector = Arc<[u8; SECTOR as usize]>;

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) len: u64,
    pub(super) sectors: BTreeMap<u64, Sector>,
}

impl Content {
    /// Reads into `buf` from `offset` on; fewer bytes at the end of the file.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = self.len.saturating_sub(offset);
        let count = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        for (sector, within, part) in pieces(offset, count) {
            let into = &mut buf[part];
            match self.sectors.get(&sector) {
                Some(data) => into.copy_from_slice(&data[within..within + into.len()]),
                None => into.fill(0),
            }
        }
        count
    }

    /// Writes `bytes` at `offset`, and returns the sectors as they are now.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Vec<(u64, Sector)> {
        let mut written = Vec::new();
        for (sector, within, part) in pieces(offset, bytes.len()) {
            let mut data = self.sectors.get(&sector).map_or([0; SECTOR as usize], |data| **data);
            data[within..within + part.len()].copy_from_slice(&bytes[part]);
            let data = Arc::new(data);
            self.sectors.insert(sector, data.clone());
            written.push((sector, data));
        }
        self.len = self.len.max(offset + bytes.len() as u64);
        written
    }

    /// Makes the file `len` bytes long. What is cut off is gone: made longer again, the file has zeros there.
    pub(super) fn set_len(&mut self, len: u64) {
        let shorter = len < self.len;
        self.len = len;
        if shorter {
            self.trim();
        }
    }

    /// Clears what lies beyond the length.
    pub(super) fn trim(&mut self) {
        self.sectors.split_off(&self.len.div_ceil(SECTOR));
        let within = (self.len % SECTOR) as usize;
        if let Some(data) = self.sectors.get_mut(&(self.len / SECTOR)) {
            Arc::make_mut(data)[within..].fill(0);
        }
    }

    /// Inverts one bit, if there is a sector with it.
    pub(super) fn flip(&mut self, bit: u64) {
        if let Some(data) = self.sectors.get_mut(&(bit / 8 / SECTOR)) {
            flip(data, bit);
        }
    }
}

/// Inverts one bit of the sector that holds the file's bit number `bit`.
pub(super) fn flip(sector: &mut Sector, bit: u64) {
    Arc::make_mut(sector)[(bit / 8 % SECTOR) as usize] ^= 1 << (bit % 8);
}

/// Sector, place in it, and place among the `count` bytes, of each part that lies in one sector.
pub(super) fn pieces(
    offset: u64,
    count: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == count {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % SECTOR) as usize;
        let length = (SECTOR as usize - within).min(count - done);
        let part = done..done + length;
        done += length;
        Some((at / SECTOR, within, part))
    })
}
