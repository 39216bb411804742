//! The format, byte for byte: a small journal as `tests/golden/v1.txt` shows it.
//!
//! A change of what is written changes the file, and needs a new version; a version that was once released must be read
//! for ever, so its file stays, and is read here. `TOWPATH_BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use towpath_journal::{Entry, Lsn, Options, Reader, format};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.txt");

fn options() -> Options {
    Options::new().segment_bytes(512)
}

/// Two lives, a group, a checkpoint, a retention, several segments.
fn build(dir: &Path) {
    let mut writer = options().open(dir).unwrap();
    writer.append(Entry { kind: 1, key: b"order-7", payload: b"created" }).unwrap();
    writer.commit().unwrap();
    let step = |payload| Entry { kind: 2, key: b"order-7", payload };
    writer.append_group(&[step(b"reserved"), step(b"paid")]).unwrap();
    writer.commit().unwrap();
    writer.checkpoint(Lsn(2), b"state after 2").unwrap();
    drop(writer);
    let mut writer = options().open(dir).unwrap();
    writer.append(Entry { kind: 3, key: b"", payload: &[0xab; 200] }).unwrap();
    writer.append(Entry { kind: 4, key: b"k", payload: &[0xcd; 150] }).unwrap();
    writer.commit().unwrap();
    writer.checkpoint(Lsn(4), b"state after 4").unwrap();
    writer.append(Entry { kind: u16::MAX, key: b"", payload: b"" }).unwrap();
    writer.append(Entry { kind: 5, key: b"", payload: &[0xef; 300] }).unwrap();
    writer.commit().unwrap();
    writer.retain(Lsn(5)).unwrap();
}

/// Files as text: 16 bytes to a line, lines of zeros left out.
fn dump(dir: &Path) -> String {
    let mut text = String::new();
    let names: BTreeMap<_, _> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    for (name, path) in names {
        let bytes = fs::read(path).unwrap();
        writeln!(text, "{name}: {} bytes", bytes.len()).unwrap();
        for (index, line) in bytes.chunks(16).enumerate() {
            if line.iter().any(|byte| *byte != 0) {
                let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                let plain = |byte: &u8| {
                    if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }
                };
                let plain: String = line.iter().map(plain).collect();
                writeln!(text, "  {:04x}  {:47}  {plain}", index * 16, hex.join(" ")).unwrap();
            }
        }
    }
    text
}

/// The files of a dump.
fn restore(text: &str, dir: &Path) {
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("  ") {
            let at = usize::from_str_radix(&line[..4], 16).unwrap();
            let bytes = &mut files.last_mut().unwrap().1;
            for (index, byte) in line[6..53].split_whitespace().enumerate() {
                bytes[at + index] = u8::from_str_radix(byte, 16).unwrap();
            }
        } else {
            let (name, bytes) = line.split_once(": ").unwrap();
            let bytes = bytes.strip_suffix(" bytes").unwrap().parse().unwrap();
            files.push((name, vec![0; bytes]));
        }
    }
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn what_is_written_is_the_golden_file() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let text = dump(dir.path());
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        fs::create_dir_all(Path::new(GOLDEN).parent().unwrap()).unwrap();
        fs::write(GOLDEN, &text).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap();
    assert!(golden == text, "the format changed, and needs a new version:\n{text}");
    assert_eq!(format::VERSION, 1);
}

#[test]
fn the_golden_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    restore(&fs::read_to_string(GOLDEN).unwrap(), dir.path());
    let mut reader = Reader::open(dir.path(), Lsn::ZERO).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        found.push((record.lsn.0, record.epoch, record.kind, record.payload.len()));
    }
    let expected = [(5, 2, 4, 150), (6, 2, u16::MAX, 0), (7, 2, 5, 300)];
    assert_eq!(found[found.len() - 2..], expected[1..], "{found:?}");
    let mut writer = options().open(dir.path()).unwrap();
    assert_eq!(writer.latest_checkpoint().unwrap().unwrap().state, b"state after 4");
    writer.append(Entry { kind: 6, key: b"", payload: b"goes on" }).unwrap();
    assert_eq!(writer.commit().unwrap(), Lsn(8));
}
