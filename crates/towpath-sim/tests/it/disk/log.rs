//! A small log with checksums through thousands of crashes: what it acknowledged is there, and nothing else is. And the
//! same log with something forgotten, which must be found out.

use std::io;

use towpath_sim::disk::{Disk, Faults, File};

/// What a careless author forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Forgotten {
    Nothing,
    /// To sync before saying yes.
    Sync,
    /// To sync the directory when the file is new.
    Directory,
    /// That a failed sync cannot be tried again.
    FailedSync,
    /// To look at the checksum.
    Checksum,
    /// To make what a killed process had written safe before building on it.
    Cached,
}

/// `length | checksum | bytes`, one after the other.
pub(crate) struct Log {
    file: File,
    end: u64,
    forgotten: Forgotten,
    failed: bool,
}

const HEAD: usize = 8;

fn checksum(bytes: &[u8]) -> u32 {
    // FNV-1a; never 0 for the empty record.
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn framed(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u32).to_le_bytes();
    [&length[..], &checksum(record).to_le_bytes(), record].concat()
}

impl Log {
    /// Opens the log and returns what is in it. It is copied to a new file that takes the old one's place: so whatever was
    /// read is safe, however the last one ended.
    pub(crate) fn open(disk: &Disk, forgotten: Forgotten) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let old = match disk.open("log") {
            Ok(file) => file.read_to_end()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let records = parse(&old, forgotten);
        let bytes: Vec<u8> = records.iter().flat_map(|record| framed(record)).collect();
        let end = bytes.len() as u64;
        if forgotten == Forgotten::Cached {
            let file = disk.open_or_create("log")?;
            file.set_len(end)?;
            disk.sync_dir("/")?;
            return Ok((Self { file, end, forgotten, failed: false }, records));
        }
        let file = disk.create("log.new")?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        disk.rename("log.new", "log")?;
        if forgotten != Forgotten::Directory {
            disk.sync_dir("/")?;
        }
        Ok((Self { file, end, forgotten, failed: false }, records))
    }

    /// Returns when the record is safe.
    pub(crate) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let bytes = framed(record);
        let result = self.file.write_all_at(&bytes, self.end).and_then(|()| match self.forgotten {
            Forgotten::Sync => Ok(()),
            Forgotten::FailedSync => self.file.sync_data().or_else(|_| self.file.sync_data()),
            _ => self.file.sync_data(),
        });
        self.failed = result.is_err();
        self.end += bytes.len() as u64;
        result
    }
}

fn parse(mut bytes: &[u8], forgotten: Forgotten) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let Some((record, rest)) = rest.split_at_checked(word(0) as usize) else { break };
        if forgotten != Forgotten::Checksum && checksum(record) != word(4) {
            break;
        }
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}

/// A machine's life: it writes, the power goes during some operation or its process is killed, it comes back. What went
/// wrong, if something did.
fn live(seed: u64, forgotten: Forgotten) -> Result<(), String> {
    let faults = Faults {
        sync_error: 30,
        write_error: 10,
        short_write: 50,
        short_read: 50,
        ..Faults::power_cuts()
    };
    let disk = Disk::seeded(faults, seed);
    // Everything written so far, and how much of it was acknowledged.
    let mut written: Vec<Vec<u8>> = Vec::new();
    let mut acknowledged = 0;
    let mut serial = 0_u32;
    for life in 0..6_u64 {
        // Deterministic, and different from life to life.
        disk.crash_during(disk.operations() + 1 + (seed / 7 + life * 5) % 23);
        let mounted = disk.until_crash();
        let mut run = || -> io::Result<()> {
            let (mut log, found) = Log::open(&mounted, forgotten)?;
            if found.len() < acknowledged || !written.starts_with(&found) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "{} of {acknowledged} acknowledged records in life {life}",
                        found.len()
                    ),
                ));
            }
            written = found;
            acknowledged = written.len();
            for _ in 0..(seed + life) % 9 {
                serial += 1;
                let record = vec![serial as u8; 1 + (serial as usize * 131) % 1_300];
                written.push(record.clone());
                log.append(&record)?;
                acknowledged = written.len();
            }
            Ok(())
        };
        match run() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(error.to_string());
            }
            _ if (seed + life).is_multiple_of(3) => disk.kill(),
            _ => disk.crash(),
        }
    }
    Ok(())
}

/// Lives whose log lost or made up something.
fn caught(forgotten: Forgotten, lives: u64) -> usize {
    (0..lives).filter(|seed| live(*seed, forgotten).is_err()).count()
}

#[test]
fn a_careful_log_keeps_every_promise() {
    for seed in 0..5_000 {
        live(seed, Forgotten::Nothing).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn a_careless_log_is_caught() {
    use Forgotten::*;
    for forgotten in [Sync, Directory, FailedSync, Checksum, Cached] {
        let caught = caught(forgotten, 1_000);
        assert!(caught > 0, "{forgotten:?} went through 1,000 lives");
        println!("{forgotten:?}: {caught} of 1,000");
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in 0..50 {
        assert_eq!(live(seed, Forgotten::Sync), live(seed, Forgotten::Sync));
    }
}
