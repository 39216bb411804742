//! What a journal does on a disk that works.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use towpath_journal::{Checkpoint, Entry, ErrorKind, Lsn, Options, Reader, RealDisk, Writer};

use crate::truth::{Truth, small};

fn check(truth: &mut Truth, writer: &Writer, dir: &Path) {
    truth.check(writer, Arc::new(RealDisk), dir);
}

fn names(dir: &Path, ending: &str) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
}

#[test]
fn what_was_committed_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(Entry { kind: 1, key: b"a", payload: b"one" }).unwrap();
    writer.append_group(&[Entry { kind: 2, key: b"", payload: b"two" }; 2]).unwrap();
    assert_eq!(writer.commit().unwrap(), Lsn(3));
    writer.append(Entry { kind: 3, key: b"", payload: b"not committed" }).unwrap();
    drop(writer);
    let writer = Writer::open(dir.path()).unwrap();
    let mut reader = writer.reader(Lsn(2)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().payload, b"two");
    assert_eq!(reader.position(), Lsn(3));
    assert_eq!(reader.next().unwrap().unwrap().lsn, Lsn(3));
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn each_opening_is_an_epoch() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.append(Entry { kind: 1, key: b"", payload: b"" }).unwrap();
        writer.commit().unwrap();
    }
    let mut reader = Reader::open(dir.path(), Lsn::ZERO).unwrap();
    for epoch in 1..=3 {
        let record = reader.next().unwrap().unwrap();
        assert_eq!((record.epoch, record.lsn), (epoch, Lsn(epoch)));
    }
}

#[test]
fn segments_follow_each_other_and_readers_go_through() {
    let dir = tempfile::tempdir().unwrap();
    let mut truth = Truth::default();
    let mut writer = small().open(dir.path()).unwrap();
    let mut beside = writer.reader(Lsn::ZERO).unwrap();
    let mut apart = Reader::open(dir.path(), Lsn::ZERO).unwrap();
    for round in 0..40 {
        truth.append(&mut writer, 1 + round % 4, round * 7).unwrap();
        if round % 3 == 0 {
            truth.commit(&mut writer).unwrap();
        }
        // Both follow live, and see nothing that is not durable.
        for reader in [&mut beside, &mut apart] {
            while let Some(record) = reader.next().unwrap() {
                assert!(record.lsn <= writer.durable());
            }
            assert_eq!(reader.position(), writer.durable().next());
        }
    }
    truth.commit(&mut writer).unwrap();
    assert!(names(dir.path(), ".log").len() > 5);
    check(&mut truth, &writer, dir.path());
    for from in 1..=truth.len() + 1 {
        for mut reader in
            [writer.reader(Lsn(from)).unwrap(), Reader::open(dir.path(), Lsn(from)).unwrap()]
        {
            let found = reader.next().unwrap().map(|record| record.lsn.0);
            assert_eq!(found, (from <= truth.len()).then_some(from));
        }
    }
    drop(writer);
    check(&mut truth, &small().open(dir.path()).unwrap(), dir.path());
}

#[test]
fn many_records_are_found_from_any_place() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().segment_bytes(8 << 20);
    let mut writer = options.open(dir.path()).unwrap();
    for batch in 0..40_u64 {
        for number in 0..1000 {
            let payload = [(batch * 1000 + number).to_le_bytes(); 32].concat();
            writer.append(Entry { kind: 0, key: b"", payload: &payload }).unwrap();
        }
        writer.commit().unwrap();
    }
    for opened in [true, false] {
        if !opened {
            drop(writer);
            writer = options.open(dir.path()).unwrap();
        }
        for from in (1..40_000).step_by(3_777) {
            let mut reader = writer.reader(Lsn(from)).unwrap();
            let record = reader.next().unwrap().unwrap();
            assert_eq!(record.lsn, Lsn(from));
            assert_eq!(record.payload[..8], (from - 1).to_le_bytes());
        }
    }
}

#[test]
fn a_checkpoint_lets_segments_go_and_they_are_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut truth = Truth::default();
    let mut writer = small().open(dir.path()).unwrap();
    let mut slow = writer.reader(Lsn::ZERO).unwrap();
    assert_eq!(writer.latest_checkpoint().unwrap(), None);
    for round in 0..100 {
        truth.append(&mut writer, 3, 60 + round).unwrap();
        truth.commit(&mut writer).unwrap();
        if round % 10 == 9 {
            truth.checkpoint(&mut writer).unwrap();
            let from = writer.next();
            truth.retain(&mut writer, from).unwrap();
            assert_eq!(names(dir.path(), ".log").len(), 1);
            assert_eq!(names(dir.path(), ".spare").len(), 2);
            assert!(names(dir.path(), ".checkpoint").len() <= 2);
        }
    }
    check(&mut truth, &writer, dir.path());
    // Records that were let go are refused; who was in their file finds it whole, and then nothing behind it.
    assert_eq!(writer.reader(Lsn(1)).err().unwrap().kind(), ErrorKind::Missing);
    assert_eq!(Reader::open(dir.path(), Lsn(1)).err().unwrap().kind(), ErrorKind::Missing);
    let error = loop {
        match slow.next() {
            Ok(record) => assert!(record.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    drop(writer);
    check(&mut truth, &small().open(dir.path()).unwrap(), dir.path());
}

#[test]
fn retention_stops_at_the_checkpoint_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut truth = Truth::default();
    let mut writer = small().open(dir.path()).unwrap();
    for round in 0..30 {
        truth.append(&mut writer, 3, 60).unwrap();
        truth.commit(&mut writer).unwrap();
        if round == 10 {
            truth.checkpoint(&mut writer).unwrap();
        }
    }
    let covered = writer.latest_checkpoint().unwrap().unwrap().lsn;
    let oldest = writer.retain(Lsn(u64::MAX)).unwrap();
    assert!(Lsn(1) < oldest && oldest <= covered.next(), "{oldest} {covered}");
    let oldest = writer.retain_without_checkpoint(Lsn(u64::MAX)).unwrap();
    assert!(oldest > covered && oldest <= writer.durable());
    truth.retained = oldest;
    drop(writer);
    let writer = small().open(dir.path()).unwrap();
    assert_eq!(writer.oldest(), oldest);
    check(&mut truth, &writer, dir.path());
}

#[test]
fn a_damaged_checkpoint_falls_back_while_the_records_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut truth = Truth::default();
    let mut writer = small().open(dir.path()).unwrap();
    for state in [b"first", b"newer"] {
        truth.append(&mut writer, 4, 60).unwrap();
        truth.append(&mut writer, 4, 60).unwrap();
        truth.commit(&mut writer).unwrap();
        let lsn = writer.durable();
        writer.checkpoint(lsn, state).unwrap();
    }
    let newest = names(dir.path(), ".checkpoint").pop().unwrap();
    let path = dir.path().join(newest);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let first = Checkpoint { lsn: Lsn(8), state: b"first".to_vec() };
    assert_eq!(writer.latest_checkpoint().unwrap(), Some(first));
    writer.retain_without_checkpoint(Lsn(16)).unwrap();
    let error = writer.latest_checkpoint().unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, &*path), "{error}");
}

#[test]
fn a_checkpoint_of_what_is_not_durable_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append_group(&[Entry { kind: 2, key: b"", payload: b"two" }; 2]).unwrap();
    assert_eq!(writer.checkpoint(Lsn(1), b"").unwrap_err().kind(), ErrorKind::Refused);
    writer.commit().unwrap();
    writer.checkpoint(Lsn(2), b"").unwrap();
    let error = writer.checkpoint(Lsn(1), b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[test]
fn a_group_that_no_segment_can_hold_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = small().open(dir.path()).unwrap();
    let entry = Entry { kind: 2, key: b"", payload: &[7; 300] };
    assert_eq!(writer.append_group(&[entry; 3]).unwrap_err().kind(), ErrorKind::TooLarge);
    let key = vec![0; 1 << 16];
    let entry = Entry { kind: 2, key: &key, payload: b"" };
    assert_eq!(writer.append(entry).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!((writer.next(), writer.commit().unwrap()), (Lsn(1), Lsn::ZERO));
    drop(writer);
    // With larger segments it fits, also into a journal that has only small ones yet.
    let mut writer = Options::new().segment_bytes(4096).open(dir.path()).unwrap();
    let entry = Entry { kind: 2, key: b"", payload: &[7; 300] };
    writer.append_group(&[entry; 3]).unwrap();
    assert_eq!(writer.commit().unwrap(), Lsn(3));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    let error = Writer::open(dir.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.is_retryable() && error.to_string().contains("Reader::open"), "{error}");
    drop(writer);
    Writer::open(dir.path()).unwrap();
}

#[test]
fn a_full_segment_of_marks_is_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().segment_bytes(512);
    for opening in 1..100 {
        let mut writer = options.open(dir.path()).unwrap();
        if opening % 40 == 0 {
            writer.append(Entry { kind: 1, key: b"", payload: b"x" }).unwrap();
            writer.commit().unwrap();
        }
    }
    let mut reader = Reader::open(dir.path(), Lsn::ZERO).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().epoch, 40);
    assert_eq!(reader.next().unwrap().unwrap().epoch, 80);
    assert_eq!(reader.next().unwrap(), None);
}
