//! How far a file was read, kept over restarts.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
};

use serde::{Deserialize, Serialize};
use towpath::BoxError;
use towpath_journal::{Lsn, Writer};
use towpath_patterns::log::{Append, Log};

use super::split::Mark;

/// Bytes at the beginning of a file by which it is known again.
const HEAD_BYTES: usize = 256;

/// Places after which the journal is told what it does not need any more. Each is some 100 bytes, once a second.
const CHECKPOINT_PLACES: u64 = 1000;

/// How far a file was read, and which it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Messages and bad records before it.
    pub(crate) count: u64,
    pub(crate) end: u64,
    pub(crate) next_line: u64,
    head: Head,
    pub(crate) inode: u64,
}

/// The beginning of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    bytes: usize,
    hash: u64,
}

impl Head {
    /// Of as much as there is, up to a limit.
    fn read(file: &mut impl Read, most: usize) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(most);
        file.take(most as u64).read_to_end(&mut bytes)?;
        // FNV-1a: it tells files apart, and nobody gains by two that it does not.
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Ok(Self { bytes: bytes.len(), hash })
    }
}

/// The number by which the system knows a file whatever it is called.
pub(crate) fn inode(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ino()
}

impl Place {
    /// The beginning of a file.
    pub(crate) fn begin(file: &mut File) -> io::Result<Self> {
        let head = Head::read(file, HEAD_BYTES)?;
        Ok(Self { head, inode: inode(&file.metadata()?), next_line: 1, ..Self::default() })
    }

    /// Whether this file begins as the one whose place this is.
    pub(crate) fn is_of(&self, file: &mut File) -> io::Result<bool> {
        Ok(Head::read(file, self.head.bytes)? == self.head)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { line: self.next_line, end: self.end, next_line: self.next_line }
    }
}

/// Where places are kept.
pub(crate) struct Keeper {
    log: Log,
    kept: u64,
}

impl Keeper {
    /// The last place that was kept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn last(writer: &Writer) -> Result<Option<Place>, BoxError> {
        let checkpoint = writer.latest_checkpoint()?;
        let mut last = checkpoint.as_ref().map(|it| it.state.clone());
        let from = checkpoint.map_or(writer.oldest(), |it| Lsn(it.lsn.0 + 1));
        let mut reader = writer.reader(from.max(writer.oldest()))?;
        while let Some(record) = reader.next()? {
            last = Some(record.payload.to_vec());
        }
        // One that cannot be read is one of another version: the file begins anew.
        Ok(last.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(crate) fn new(log: Log) -> Self {
        Self { log, kept: 0 }
    }

    /// Keeps a place, durably.
    ///
    /// # Errors
    /// The journal failed.
    pub(crate) async fn keep(&mut self, place: &Place) -> Result<(), BoxError> {
        let payload = serde_json::to_vec(place)?;
        let record = Append { kind: 1, key: Vec::new(), payload: payload.clone() };
        let lsn = self.log.append(record).await?;
        self.kept += 1;
        if self.kept.is_multiple_of(CHECKPOINT_PLACES) {
            self.log.checkpoint(lsn, payload).await?;
            self.log.retain(lsn).await?;
        }
        Ok(())
    }
}
