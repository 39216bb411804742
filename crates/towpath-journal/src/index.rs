//! Which records are about a key: an index beside a journal, that can be thrown away.
//!
//! What always holds:
//! - The journal is right. The index says how far it has read, in the same batch as what it read, so after a crash it goes on
//!   where it was; and it remembers the last record it read, so one of another journal is found out.
//! - An index that cannot be opened, or does not fit, is removed and made again from the journal.
//!
//! Why it is never synced: what a crash takes from it, the journal gives again.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use crate::error::{Error, ErrorKind};
use crate::reader::Reader;
use crate::record::Lsn;
use crate::writer::Readers;

/// Records that are read before they are written into the index.
///
/// A batch is in memory until then; 1,024 are as many as a commit of the journal brings.
const BATCH: usize = 1024;

/// The layout of the index. Another one is not read but made again.
const LAYOUT: u64 = 1;

/// How far the index has read: layout, number and epoch of the last record. No entry has this key, as the empty key has none.
///
/// It lies among the entries: what loses some of them and not this would be a store that loses part of a batch.
const POSITION: [u8; 2] = [0, 0];

/// Finds the records of a key. It follows a journal when told to, see [`catch_up`](Self::catch_up).
///
/// ```
/// use towpath_journal::{Entry, Index, Lsn, Writer};
///
/// # fn main() -> Result<(), towpath_journal::Error> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let (journal, index) = (dir.path().join("journal"), dir.path().join("index"));
/// let mut writer = Writer::open(journal)?;
/// for key in [b"left", b"back", b"left"] {
///     writer.append(Entry { kind: 1, key, payload: b"" })?;
/// }
/// writer.commit()?;
/// let index = Index::open(index, &writer.readers())?;
/// assert_eq!(index.find(b"left")?, [Lsn(1), Lsn(3)]);
/// # Ok(()) }
/// ```
pub struct Index {
    dir: PathBuf,
    db: Database,
    records: Keyspace,
    readers: Readers,
    reader: Reader,
}

impl Index {
    /// Opens an index in a directory of its own, or makes it, and reads what the journal has.
    ///
    /// # Errors
    /// Those of [`Reader::next`]; [`ErrorKind::Io`] when the index can neither be opened nor made.
    pub fn open(dir: impl AsRef<Path>, readers: &Readers) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let mut index = match Self::open_as_it_is(dir, readers) {
            Ok(index) => index,
            Err(_) => {
                // Whatever is wrong with it: the journal has everything.
                match fs::remove_dir_all(dir) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::io(dir, "remove a damaged index", &error));
                    }
                    _ => Self::open_as_it_is(dir, readers)?,
                }
            }
        };
        index.catch_up()?;
        Ok(index)
    }

    fn open_as_it_is(dir: &Path, readers: &Readers) -> Result<Self, Error> {
        let failed = |error: fjall::Error| broken(dir, "open", &error);
        let db = Database::builder(dir).open().map_err(failed)?;
        let records = db.keyspace("records", KeyspaceCreateOptions::default).map_err(failed)?;
        let last = match records.get(POSITION).map_err(failed)? {
            None => None,
            Some(bytes) => {
                let number = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
                match [number(0), number(8), number(16)].map(|b| b.map(u64::from_be_bytes)) {
                    [Some(LAYOUT), Some(lsn), Some(epoch)] => Some((Lsn(lsn), epoch)),
                    _ => return Err(broken(dir, "open", &"of another layout")),
                }
            }
        };
        let reader = match last {
            None => readers.reader(Lsn::ZERO)?,
            Some((lsn, epoch)) => {
                let mut reader = readers.reader(lsn)?;
                let known = reader.next()?.is_some_and(|found| found.epoch == epoch);
                if !known {
                    return Err(broken(dir, "open", &"of another journal"));
                }
                reader
            }
        };
        Ok(Self { dir: dir.to_owned(), db, records, readers: readers.clone(), reader })
    }

    /// Reads what has become durable since; gives the last record that was read.
    ///
    /// # Errors
    /// Those of [`Reader::next`], [`ErrorKind::Io`]. If retention has overtaken the index ([`ErrorKind::Missing`]), open it again.
    pub fn catch_up(&mut self) -> Result<Lsn, Error> {
        loop {
            let mut batch = self.db.batch();
            let mut last = None;
            for _ in 0..BATCH {
                let Some(record) = self.reader.next()? else { break };
                if !record.key.is_empty() {
                    batch.insert(&self.records, entry(record.key, record.lsn), []);
                }
                last = Some((record.lsn, record.epoch));
            }
            let Some((lsn, epoch)) = last else {
                return Ok(Lsn(self.reader.position().0.saturating_sub(1)));
            };
            let position = [LAYOUT, lsn.0, epoch].map(u64::to_be_bytes).concat();
            batch.insert(&self.records, POSITION, position);
            batch.commit().map_err(|error| broken(&self.dir, "write", &error))?;
        }
    }

    /// The records of a key, in order, as far as the index has read; `[]` for the empty key, which is no key. Some may have
    /// been let go by retention since.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn find(&self, key: &[u8]) -> Result<Vec<Lsn>, Error> {
        if key.is_empty() {
            return Ok(Vec::new());
        }
        let prefix = entry(key, Lsn::ZERO);
        let found = self.records.prefix(&prefix[..prefix.len() - 8]).map(|item| {
            let entry = item.key().map_err(|error| broken(&self.dir, "read", &error))?;
            number(&entry).ok_or_else(|| broken(&self.dir, "read", &"an entry is damaged"))
        });
        found.collect()
    }

    /// Forgets records before `oldest`, as retention has. Looks at every entry.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn forget(&mut self, oldest: Lsn) -> Result<(), Error> {
        for item in self.records.iter() {
            let entry = item.key().map_err(|error| broken(&self.dir, "read", &error))?;
            if number(&entry).is_some_and(|lsn| lsn < oldest) {
                self.records.remove(entry).map_err(|error| broken(&self.dir, "write", &error))?;
            }
        }
        Ok(())
    }

    /// Makes readers of the journal that this is the index of.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }
}

/// Length of the key, key, number: so that no key is the beginning of another, and numbers are in order.
fn entry(key: &[u8], lsn: Lsn) -> Vec<u8> {
    let mut entry = Vec::with_capacity(2 + key.len() + 8);
    entry.extend_from_slice(&(key.len() as u16).to_be_bytes());
    entry.extend_from_slice(key);
    entry.extend_from_slice(&lsn.0.to_be_bytes());
    entry
}

/// The number in an entry; `None` of the position.
fn number(entry: &[u8]) -> Option<Lsn> {
    entry.last_chunk().map(|bytes| Lsn(u64::from_be_bytes(*bytes)))
}

fn broken(dir: &Path, doing: &str, why: &dyn Display) -> Error {
    let what = format!("{doing} the index: {why}: remove the directory, and it is made again");
    Error::new(ErrorKind::Io, dir, what)
}
