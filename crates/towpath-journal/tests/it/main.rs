//! The journal against a real disk and against the simulator's.

mod crash;
#[path = "../support/sim_disk.rs"]
mod sim_disk;

use towpath_journal::{Entry, Lsn, Writer};

#[test]
fn what_was_committed_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(Entry { kind: 1, key: b"a", payload: b"one" }).unwrap();
    writer.append_group(&[Entry { kind: 2, key: b"", payload: b"two" }; 2]).unwrap();
    assert_eq!(writer.commit().unwrap(), Lsn(3));
    drop(writer);
    let writer = Writer::open(dir.path()).unwrap();
    let mut reader = writer.reader(Lsn(2)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().payload, b"two");
    assert_eq!(reader.next().unwrap().unwrap().lsn, Lsn(3));
    assert_eq!(reader.next().unwrap(), None);
}
