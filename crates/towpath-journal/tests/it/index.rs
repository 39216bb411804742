//! The index, against looking through the whole journal.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use towpath_journal::{Entry, Index, Lsn, Options, Writer};

fn key(number: u64) -> Vec<u8> {
    // Some keys begin like others.
    b"customer"[..(number % 4) as usize * 2]
        .iter()
        .copied()
        .chain([b'0' + (number % 7) as u8])
        .collect()
}

fn append(writer: &mut Writer, count: u64) {
    for _ in 0..count {
        let number = writer.next().0;
        let key = if number.is_multiple_of(11) { vec![] } else { key(number) };
        writer.append(Entry { kind: 1, key: &key, payload: &[1; 50] }).unwrap();
    }
    writer.commit().unwrap();
}

fn check(index: &Index, writer: &Writer) {
    let mut by_key = BTreeMap::<Vec<u8>, Vec<Lsn>>::new();
    let mut reader = writer.reader(Lsn::ZERO).unwrap();
    while let Some(record) = reader.next().unwrap() {
        if !record.key.is_empty() {
            by_key.entry(record.key.to_vec()).or_default().push(record.lsn);
        }
    }
    assert!(by_key.len() > 10);
    for (key, found) in by_key {
        assert_eq!(index.find(&key).unwrap(), found);
    }
    assert_eq!(index.find(b"nobody").unwrap(), []);
    assert_eq!(index.find(b"").unwrap(), []);
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn it_finds_what_the_journal_has_however_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, at) = (dir.path().join("journal"), dir.path().join("index"));
    let mut writer = Options::new().segment_bytes(1 << 16).open(&journal).unwrap();
    append(&mut writer, 2_000);
    let mut index = Index::open(&at, &writer.readers()).unwrap();
    check(&index, &writer);
    append(&mut writer, 100);
    assert_eq!(index.catch_up().unwrap(), Lsn(2_100));
    assert_eq!(index.catch_up().unwrap(), Lsn(2_100));
    check(&index, &writer);
    // It goes on where it was.
    drop(index);
    append(&mut writer, 50);
    index = Index::open(&at, &writer.readers()).unwrap();
    check(&index, &writer);
    // Each of its files gone or spoilt in turn: it is made again, or does without.
    drop(index);
    for file in files(&at) {
        for spoil in [true, false] {
            if file.exists() {
                if spoil {
                    fs::write(&file, b"spoilt").unwrap()
                } else {
                    fs::remove_file(&file).unwrap()
                }
            }
            check(&Index::open(&at, &writer.readers()).unwrap(), &writer);
        }
    }
    // Retention forgets, in the journal and here.
    let mut index = Index::open(&at, &writer.readers()).unwrap();
    let oldest = writer.retain_without_checkpoint(Lsn(1_500)).unwrap();
    assert!(oldest > Lsn(1));
    index.forget(oldest).unwrap();
    check(&index, &writer);
}

#[test]
fn an_index_of_another_journal_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("index");
    let mut first = Writer::open(dir.path().join("first")).unwrap();
    append(&mut first, 500);
    drop(Index::open(&at, &first.readers()).unwrap());
    // One that is shorter, and one that was opened more often.
    let mut second = Writer::open(dir.path().join("second")).unwrap();
    append(&mut second, 100);
    check(&Index::open(&at, &second.readers()).unwrap(), &second);
    drop(first);
    drop(Writer::open(dir.path().join("third")).unwrap());
    let mut third = Writer::open(dir.path().join("third")).unwrap();
    append(&mut third, 200);
    check(&Index::open(&at, &third.readers()).unwrap(), &third);
}
