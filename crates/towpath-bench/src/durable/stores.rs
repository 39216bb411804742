//! Who is measured: what takes records and makes them durable.
//!
//! `floor` writes over a file and syncs it: nothing durable on this disk can be faster with one write and one sync to a
//! batch. `append` does the same at the end of a file that grows, as simple logs do. `journal+spares` is the journal in the
//! state it reaches when checkpoints let segments go.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use towpath_journal::{Entry, Lsn, Writer};

/// Bytes in a record.
pub(super) const RECORD_BYTES: usize = 256;

/// What is written over, again and again.
const FLOOR_BYTES: u64 = 128 << 20;

pub(super) const NAMES: &[&str] = &[
    "floor",
    "append",
    "journal",
    "journal+spares",
    "fjall",
    "redb",
    #[cfg(towpath_durable)]
    "SQLite WAL FULL",
];

/// Takes records and makes them durable, in batches.
pub(super) trait Store: Send {
    fn put(&mut self, number: u64, record: &[u8]);
    fn commit(&mut self);
}

pub(super) fn open(name: &str, dir: &Path) -> Result<Box<dyn Store>, String> {
    Ok(match name {
        "floor" => Box::new(Raw::over(dir).map_err(|error| error.to_string())?),
        "append" => Box::new(Raw::growing(dir).map_err(|error| error.to_string())?),
        "journal" => Box::new(Journal::open(dir, false).map_err(|error| error.to_string())?),
        "journal+spares" => Box::new(Journal::open(dir, true).map_err(|error| error.to_string())?),
        "fjall" => Box::new(Fjall::open(dir).map_err(|error| error.to_string())?),
        "redb" => Box::new(Redb::open(dir).map_err(|error| error.to_string())?),
        #[cfg(towpath_durable)]
        "SQLite WAL FULL" => Box::new(Sqlite::open(dir).map_err(|error| error.to_string())?),
        _ => return Err(format!("`{name}` is no store")),
    })
}

struct Raw {
    file: File,
    at: u64,
    wraps: Option<u64>,
    buffer: Vec<u8>,
}

impl Raw {
    fn over(dir: &Path) -> std::io::Result<Self> {
        let mut raw = Self::growing(dir)?;
        for at in 0..FLOOR_BYTES >> 20 {
            raw.file.write_all_at(&vec![0; 1 << 20], at << 20)?;
        }
        raw.file.sync_all()?;
        raw.wraps = Some(FLOOR_BYTES);
        Ok(raw)
    }

    fn growing(dir: &Path) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create_new(true).read(true).write(true).open(dir.join("raw"))?;
        Ok(Self { file, at: 0, wraps: None, buffer: Vec::new() })
    }
}

impl Store for Raw {
    fn put(&mut self, _: u64, record: &[u8]) {
        self.buffer.extend_from_slice(record);
    }

    fn commit(&mut self) {
        if self.wraps.is_some_and(|wraps| self.at + self.buffer.len() as u64 > wraps) {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at).expect("written");
        self.file.sync_data().expect("synced");
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
    }
}

struct Journal {
    writer: Writer,
    lets_go: bool,
}

impl Journal {
    fn open(dir: &Path, lets_go: bool) -> Result<Self, towpath_journal::Error> {
        let mut journal = Self { writer: Writer::open(dir)?, lets_go };
        if lets_go {
            // Two segments, one of which is a spare then.
            for number in 0..2 * (64 << 20) / RECORD_BYTES as u64 {
                journal.put(number, &[0; RECORD_BYTES]);
                if number % 1024 == 0 {
                    journal.commit();
                }
            }
            journal.commit();
        }
        Ok(journal)
    }
}

impl Store for Journal {
    fn put(&mut self, _: u64, record: &[u8]) {
        self.writer.append(Entry { kind: 1, key: b"", payload: record }).expect("appended");
    }

    fn commit(&mut self) {
        self.writer.commit().expect("committed");
        if self.lets_go {
            self.writer.retain_without_checkpoint(Lsn(u64::MAX)).expect("let go");
        }
    }
}

struct Fjall {
    db: fjall::Database,
    records: fjall::Keyspace,
    batch: Option<fjall::OwnedWriteBatch>,
}

impl Fjall {
    fn open(dir: &Path) -> fjall::Result<Self> {
        let db = fjall::Database::builder(dir).open()?;
        let records = db.keyspace("records", fjall::KeyspaceCreateOptions::default)?;
        Ok(Self { db, records, batch: None })
    }
}

impl Store for Fjall {
    fn put(&mut self, number: u64, record: &[u8]) {
        let batch = self
            .batch
            .get_or_insert_with(|| self.db.batch().durability(Some(fjall::PersistMode::SyncData)));
        batch.insert(&self.records, number.to_be_bytes(), record);
    }

    fn commit(&mut self) {
        if let Some(batch) = self.batch.take() {
            batch.commit().expect("committed");
        }
    }
}

const RECORDS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("records");

struct Redb {
    db: redb::Database,
    batch: Vec<(u64, Vec<u8>)>,
}

impl Redb {
    fn open(dir: &Path) -> Result<Self, redb::DatabaseError> {
        Ok(Self { db: redb::Database::create(dir.join("redb"))?, batch: Vec::new() })
    }
}

impl Store for Redb {
    fn put(&mut self, number: u64, record: &[u8]) {
        self.batch.push((number, record.to_vec()));
    }

    fn commit(&mut self) {
        let write = self.db.begin_write().expect("a transaction");
        {
            let mut table = write.open_table(RECORDS).expect("a table");
            for (number, record) in self.batch.drain(..) {
                table.insert(number, &record[..]).expect("inserted");
            }
        }
        write.commit().expect("committed");
    }
}

#[cfg(towpath_durable)]
struct Sqlite {
    db: rusqlite::Connection,
    began: bool,
}

#[cfg(towpath_durable)]
impl Sqlite {
    fn open(dir: &Path) -> rusqlite::Result<Self> {
        let db = rusqlite::Connection::open(dir.join("sqlite"))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute("CREATE TABLE records (number INTEGER PRIMARY KEY, record BLOB)", ())?;
        Ok(Self { db, began: false })
    }
}

#[cfg(towpath_durable)]
impl Store for Sqlite {
    fn put(&mut self, number: u64, record: &[u8]) {
        if !std::mem::replace(&mut self.began, true) {
            self.db.execute_batch("BEGIN IMMEDIATE").expect("begun");
        }
        let mut insert =
            self.db.prepare_cached("INSERT INTO records VALUES (?1, ?2)").expect("prepared");
        insert.execute((number as i64, record)).expect("inserted");
    }

    fn commit(&mut self) {
        if std::mem::take(&mut self.began) {
            self.db.execute_batch("COMMIT").expect("committed");
        }
    }
}
