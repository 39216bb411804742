//! Any sequence of operations against the list of what was appended; and any bytes as a segment.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use towpath_journal::{ErrorKind, Lsn, Options, Reader, RealDisk, Writer, format};
use towpath_sim::disk::{Disk, Faults};

use crate::bytes::journal_recover;
use crate::sim_disk::sim_disk;
use crate::truth::{Truth, small};

#[derive(Clone, Debug)]
enum Operation {
    Append(usize),
    Group(usize, usize),
    Commit,
    Reopen,
    Crash,
    Checkpoint,
    /// From so many records before the end.
    Retain(u64),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => (0..200_usize).prop_map(Operation::Append),
        3 => ((1..4_usize), (0..200_usize)).prop_map(|(count, size)| Operation::Group(count, size)),
        4 => Just(Operation::Commit),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::Crash),
        1 => Just(Operation::Checkpoint),
        1 => (0..10_u64).prop_map(Operation::Retain),
    ];
    proptest::collection::vec(operation, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_journal_is_the_list_of_what_was_appended(script in operations(), seed in any::<u64>()) {
        let dir = Path::new("j");
        let disk = Disk::seeded(Faults::power_cuts(), seed);
        let open = || small().open_on(sim_disk(&disk), dir).unwrap();
        let mut truth = Truth::default();
        let mut writer = open();
        for operation in script {
            match operation {
                Operation::Append(size) => {
                    truth.append(&mut writer, 1, size).unwrap();
                }
                Operation::Group(count, size) => {
                    truth.append(&mut writer, count, size).unwrap();
                }
                Operation::Commit => truth.commit(&mut writer).unwrap(),
                Operation::Reopen | Operation::Crash => {
                    if matches!(operation, Operation::Crash) {
                        disk.crash();
                    }
                    drop(writer);
                    writer = open();
                    truth.check(&writer, sim_disk(&disk), dir);
                }
                Operation::Checkpoint => truth.checkpoint(&mut writer).unwrap(),
                Operation::Retain(back) => {
                    let from = Lsn(truth.len().saturating_sub(back) + 1);
                    truth.retain(&mut writer, from).unwrap();
                }
            }
        }
        truth.commit(&mut writer).unwrap();
        drop(writer);
        truth.check(&open(), sim_disk(&disk), dir);
    }

    /// The property of the fuzz target of the same name.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048), whole in any::<bool>()) {
        journal_recover(&bytes, whole);
    }

    /// Good segments with some bytes exchanged, and the checksums made good again: so that what is behind them is reached.
    #[test]
    fn a_forged_segment_is_read_or_refused(
        forged in proptest::collection::vec((64..1024_usize, any::<u8>()), 1..6),
        lsn in prop_oneof![Just(1), Just(u64::MAX), any::<u64>()],
        epoch in prop_oneof![Just(1), Just(u64::MAX)],
        length in prop_oneof![Just(1024), Just(0), Just(64), Just(100), 0..2000_u64],
    ) {
        let disk = Disk::seeded(Faults::default(), 0);
        let mut writer = small().open_on(sim_disk(&disk), "").unwrap();
        let mut truth = Truth::default();
        for size in 0..8 {
            truth.append(&mut writer, 2, size).unwrap();
            truth.commit(&mut writer).unwrap();
        }
        let file = disk.open("00000000000000000001.log").unwrap();
        let mut bytes = file.read_to_end().unwrap();
        for (at, value) in forged {
            bytes[at] = value;
        }
        bytes[16..24].copy_from_slice(&lsn.to_le_bytes());
        bytes[24..32].copy_from_slice(&epoch.to_le_bytes());
        bytes[32..40].copy_from_slice(&length.to_le_bytes());
        journal_recover(&bytes, true);
    }

    #[test]
    fn a_record_has_the_checksum_it_says(bytes in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<u32>()) {
        crate::bytes::journal_record(&bytes, seed);
    }
}

#[test]
fn a_journal_of_a_real_disk_is_what_the_format_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut truth = Truth::default();
    let mut writer = small().open(dir.path()).unwrap();
    truth.append(&mut writer, 2, 33).unwrap();
    truth.commit(&mut writer).unwrap();
    truth.check(&writer, Arc::new(RealDisk), dir.path());
    let bytes = fs::read(dir.path().join("00000000000000000001.log")).unwrap();
    let seed = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
    // Behind the header is the mark of the first epoch.
    assert_eq!(format::record(&bytes[64..], seed), None);
    let (record, step) = format::record(&bytes[96..], seed).unwrap();
    assert_eq!((record.lsn, record.epoch, step % 8), (Lsn(1), 1, 0));
    let (record, _) = format::record(&bytes[96 + step..], seed).unwrap();
    assert_eq!(record.lsn, Lsn(2));
    assert_eq!(format::record(&bytes[96..], seed ^ 1), None, "it belongs to its segment");
}

#[test]
fn a_directory_without_a_journal_has_nothing_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let error = Reader::open(dir.path(), Lsn::ZERO).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let none = dir.path().join("none");
    assert_eq!(Reader::open(&none, Lsn::ZERO).err().unwrap().kind(), ErrorKind::Io);
    // And is made when somebody writes.
    drop(Writer::open(&none).unwrap());
    assert_eq!(Reader::open(&none, Lsn::ZERO).unwrap().next().unwrap(), None);
    assert_eq!(Options::new().segment_bytes(1), Options::new().segment_bytes(512));
}
