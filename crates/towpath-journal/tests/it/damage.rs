//! Files that were changed behind the journal's back: it says so, or what is gone was nobody's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use towpath_journal::{Entry, ErrorKind, Lsn, Options, Reader, Writer};

/// Records of the journal that is damaged here, in segments of 1,024 bytes.
const RECORDS: u64 = 14;

fn payload(lsn: u64) -> Vec<u8> {
    vec![lsn as u8; 100 + lsn as usize]
}

fn options() -> Options {
    Options::new().segment_bytes(1024)
}

/// A journal of a few segments, with a checkpoint.
fn build(dir: &Path) {
    let mut writer = options().open(dir).unwrap();
    for lsn in 1..=RECORDS {
        let payload = payload(lsn);
        let entry = Entry { kind: lsn as u16, key: b"key", payload: &payload };
        assert_eq!(writer.append(entry).unwrap(), Lsn(lsn));
        if lsn % 3 != 0 {
            writer.commit().unwrap();
        }
        if lsn == 4 {
            writer.checkpoint(Lsn(4), b"state").unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.ends_with("lock"));
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Reads to the end or to an error. Each record must be one that was written.
fn read(reader: &mut Reader) -> (u64, Option<ErrorKind>) {
    let mut last = 0;
    loop {
        match reader.next() {
            Ok(Some(record)) => {
                last = record.lsn.0;
                assert_eq!(record.payload, payload(last));
                assert_eq!((record.kind, record.key), (last as u16, &b"key"[..]));
            }
            Ok(None) => return (last, None),
            Err(error) => return (last, Some(error.kind())),
        }
    }
}

/// What became of a journal whose file was changed: an error that names it, or all records.
fn judge(dir: &Path, changed: &Path, how: &str) -> Option<ErrorKind> {
    // From outside, first: it changes nothing.
    let mut outside = None;
    if let Ok(mut reader) = Reader::open(dir, Lsn(1)) {
        let (last, error) = read(&mut reader);
        assert!(last <= RECORDS, "{how}");
        outside = Some((last, error));
    }
    match options().open(dir) {
        Ok(writer) => {
            assert_eq!(writer.durable(), Lsn(RECORDS), "{how}: lost without a word");
            assert_eq!(read(&mut writer.reader(Lsn(1)).unwrap()), (RECORDS, None), "{how}");
            match writer.latest_checkpoint() {
                Ok(Some(checkpoint)) => assert_eq!(checkpoint.state, b"state", "{how}"),
                Ok(None) => panic!("{how}: the checkpoint is lost without a word"),
                Err(error) => assert_eq!(error.path(), changed, "{how}"),
            }
            if let Some((last, error)) = outside {
                // Without its mark, only a writer may say that the last batch is durable.
                assert!(last >= RECORDS - 1 && error.is_none(), "{how}: {last} {error:?}");
            }
            None
        }
        Err(error) => {
            assert_eq!(error.path(), changed, "{how}: {error}");
            let text = error.to_string();
            let advice = ["put", "open it with", "name it"];
            assert!(advice.iter().any(|word| text.contains(word)), "{how}: {text}");
            // Opening changed nothing: the next opening says the same.
            assert_eq!(options().open(dir).err().unwrap().to_string(), text, "{how}");
            Some(error.kind())
        }
    }
}

#[test]
fn a_flipped_bit_is_reported_or_was_in_nobodys_bytes() {
    let (good, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    build(good.path());
    let (mut reported, mut harmless) = (0, 0);
    for file in files(good.path()) {
        let bytes = fs::read(&file).unwrap();
        let changed = dir.path().join(file.file_name().unwrap());
        for at in 0..bytes.len() {
            copy(good.path(), dir.path());
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&changed, bytes).unwrap();
            match judge(dir.path(), &changed, &format!("byte {at} of {}", file.display())) {
                Some(kind) => {
                    assert_eq!(kind, ErrorKind::Corrupt);
                    reported += 1;
                }
                None => harmless += 1,
            }
            fs::remove_dir_all(dir.path()).unwrap();
            fs::create_dir(dir.path()).unwrap();
        }
    }
    // Records, headers, marks; padding, zeros behind the end, the mark behind the last batch.
    assert!(reported > 2_000 && harmless > 100, "{reported} {harmless}");
}

#[test]
fn a_file_cut_at_any_length_is_reported() {
    let (good, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    build(good.path());
    for file in files(good.path()) {
        let bytes = fs::read(&file).unwrap();
        let changed = dir.path().join(file.file_name().unwrap());
        let is_checkpoint = file.extension().is_some_and(|ending| ending == "checkpoint");
        for length in 0..bytes.len() {
            copy(good.path(), dir.path());
            fs::write(&changed, &bytes[..length]).unwrap();
            let found = judge(dir.path(), &changed, &format!("{length} of {}", file.display()));
            // A checkpoint is looked at when it is asked for, which `judge` has done.
            assert_eq!(found, (!is_checkpoint).then_some(ErrorKind::Corrupt), "{length}");
            fs::remove_dir_all(dir.path()).unwrap();
            fs::create_dir(dir.path()).unwrap();
        }
    }
}

#[test]
fn a_file_that_is_gone_is_missed() {
    let (good, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    build(good.path());
    for file in files(good.path()) {
        if file.extension().is_some_and(|ending| ending == "checkpoint") {
            continue; // it may have been let go
        }
        copy(good.path(), dir.path());
        let gone = dir.path().join(file.file_name().unwrap());
        fs::remove_file(&gone).unwrap();
        assert_eq!(judge(dir.path(), &gone, "gone"), Some(ErrorKind::Missing));
        fs::remove_dir_all(dir.path()).unwrap();
        fs::create_dir(dir.path()).unwrap();
    }
}

#[test]
fn segments_that_changed_places_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let logs: Vec<_> = files(dir.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    fs::copy(&logs[0], &logs[1]).unwrap();
    assert_eq!(judge(dir.path(), &logs[1], "a copy"), Some(ErrorKind::Corrupt));
}

#[test]
fn a_version_from_the_future_is_not_called_damage() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    for file in files(dir.path()) {
        let good = fs::read(&file).unwrap();
        let mut bytes = good.clone();
        bytes[8] = 2;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..64]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        fs::write(&file, &bytes).unwrap();
        let error = match options().open(dir.path()) {
            Err(error) => error,
            Ok(writer) => writer.latest_checkpoint().unwrap_err(),
        };
        assert_eq!((error.kind(), error.path()), (ErrorKind::Version, &*file), "{error}");
        assert!(error.to_string().contains("format 2"), "{error}");
        fs::write(&file, good).unwrap();
    }
}

/// Writes the torn batch of a crash behind a journal by hand: garbage with nothing that speaks for it.
#[test]
fn a_torn_tail_is_cut_and_zeroed() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let last = files(dir.path()).into_iter().rfind(|p| p.extension().is_some_and(|e| e == "log"));
    let last = last.unwrap();
    let good = fs::read(&last).unwrap();
    let end = good.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for length in (8..good.len() - end.next_multiple_of(8)).step_by(24) {
        let mut bytes = good.clone();
        let from = end.next_multiple_of(8);
        for (index, byte) in bytes[from..from + length].iter_mut().enumerate() {
            *byte = (index * 31 % 251) as u8 | 1;
        }
        fs::write(&last, &bytes).unwrap();
        let writer = options().open(dir.path()).unwrap();
        assert_eq!(writer.durable(), Lsn(RECORDS));
        drop(writer);
        let after = fs::read(&last).unwrap();
        assert!(after[from + 32..].iter().all(|byte| *byte == 0), "behind the new mark is nothing");
    }
}

#[test]
fn a_writer_in_another_process_is_refused() {
    const DIR: &str = "TOWPATH_JOURNAL_LOCKED";
    if let Some(dir) = std::env::var_os(DIR) {
        let error = Writer::open(dir).err().expect("the other process has it");
        assert_eq!(error.kind(), ErrorKind::Locked);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _writer = Writer::open(dir.path()).unwrap();
    let test = "damage::a_writer_in_another_process_is_refused";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
