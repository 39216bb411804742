//! A real disk that is full: a small file system in memory, mounted by a child process in a namespace of its own.
//!
//! Where namespaces are not allowed, it says so and goes on; the simulated disk has the same test in `crash.rs`.

use std::process::Command;

use towpath_journal::{Entry, ErrorKind, Lsn, Options};

const DIR: &str = "TOWPATH_JOURNAL_FULL";

#[test]
fn a_real_disk_that_is_full_says_so_and_loses_nothing() {
    if let Some(dir) = std::env::var_os(DIR) {
        fill(dir.as_ref());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=3m none \"$0\" && exec \"$1\" --exact \"$2\" --nocapture";
    let child = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .arg("full::a_real_disk_that_is_full_says_so_and_loses_nothing")
        .env(DIR, dir.path())
        .output();
    let said = match child {
        Ok(child) => String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned(),
        Err(error) => error.to_string(),
    };
    let refused = ["unshare", "mount:", "No such file", "not permitted"];
    if !said.contains("1 test") && refused.iter().any(|word| said.contains(word)) {
        println!("skipped: no file system can be mounted here: {said}");
        return;
    }
    assert!(said.contains("1 passed"), "{said}");
}

fn fill(dir: &std::path::Path) {
    let options = Options::new().segment_bytes(1 << 20);
    let mut writer = options.open(dir).unwrap();
    let entry = Entry { kind: 1, key: b"", payload: &[7; 10_000] };
    let (full, acknowledged) = loop {
        writer.append(entry).unwrap();
        let acknowledged = writer.durable();
        if let Err(error) = writer.commit() {
            break (error, acknowledged);
        }
    };
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");
    assert!(full.to_string().contains("make room"), "{full}");
    assert!(acknowledged > Lsn(100));
    // A checkpoint has no room either, and the journal is none the worse.
    let error = writer.checkpoint(acknowledged, &vec![0; 4 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    drop(writer);
    let mut writer = options.open(dir).unwrap();
    assert_eq!(writer.durable(), acknowledged);
    // Room is made by letting go, and it goes on.
    writer.retain_without_checkpoint(acknowledged).unwrap();
    for _ in 0..300 {
        writer.append(entry).unwrap();
        writer.commit().unwrap();
        writer.retain_without_checkpoint(Lsn(u64::MAX)).unwrap();
    }
}
