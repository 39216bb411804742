//! Follows a journal from a record on, also while it is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::File;
use crate::error::Error;
use crate::record::{HEAD, Lsn, Record, decode};

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 18;

/// Reads durable records in order. Independent of the writer's thread.
pub struct Reader {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: PathBuf,
    pub(crate) durable: Arc<AtomicU64>,
    pub(crate) next: Lsn,
    pub(crate) offset: u64,
    pub(crate) buffer: Vec<u8>,
    pub(crate) at: usize,
}

impl Reader {
    /// The next record, or `None` when all that is durable was read; more may come later.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    #[expect(
        clippy::should_implement_trait,
        reason = "lends from a buffer, which `Iterator` cannot"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        loop {
            if self.durable.load(Ordering::Acquire) < self.next.0 {
                return Ok(None);
            }
            if decode(&self.buffer[self.at..]).is_none() {
                self.fill()?;
            }
            let (record, len, _) = decode(&self.buffer[self.at..]).ok_or_else(|| {
                Error::new(crate::ErrorKind::Corrupt, &self.path, format!("record {}", self.next))
            })?;
            let found = record.lsn;
            self.at += len;
            if found < self.next {
                continue;
            }
            self.next = found.next();
            let start = self.at - len;
            return Ok(decode(&self.buffer[start..]).map(|(record, ..)| record));
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        self.offset += self.at as u64;
        self.at = 0;
        let mut want = READ_BYTES;
        loop {
            self.buffer.resize(want, 0);
            let mut have = 0;
            while have < want {
                let read = self
                    .file
                    .read_at(&mut self.buffer[have..], self.offset + have as u64)
                    .map_err(|error| Error::io(&self.path, "read", &error))?;
                if read == 0 {
                    break;
                }
                have += read;
            }
            self.buffer.truncate(have);
            let len = self
                .buffer
                .get(..4)
                .map_or(0, |len| u32::from_le_bytes(len.try_into().expect("4 bytes")) as usize);
            if have < want || len < HEAD || len <= want {
                return Ok(());
            }
            want = len;
        }
    }
}
