//! The disk: what is synced stays, what is not may go, and programs that forget something are found out.

pub(crate) mod log;
mod model;
mod names;

use std::{fs::TryLockError, io};

use towpath_sim::disk::{Crashed, Disk, Faults, File};

fn always(faults: Faults) -> Disk {
    Disk::seeded(faults, 1)
}

fn number(error: io::Error) -> Option<i32> {
    error.raw_os_error()
}

fn is_crashed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Crashed>())
}

/// Writes `bytes` as the whole of a file, safe in every way.
fn keep(disk: &Disk, path: &str, bytes: &[u8]) -> File {
    let file = disk.create(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("/").unwrap();
    file
}

#[test]
fn what_was_written_is_read_at_once() {
    let disk = always(Faults::default());
    let file = disk.create("a").unwrap();
    file.write_all_at(b"hello", 700).unwrap();
    assert_eq!(file.append(b" world").unwrap(), 6);
    assert_eq!(file.len().unwrap(), 711);
    let bytes = disk.open("a").unwrap().read_to_end().unwrap();
    assert!(bytes[..700].iter().all(|byte| *byte == 0));
    assert_eq!(&bytes[700..], b"hello world");
    assert_eq!(file.read_at(&mut [0; 8], 711).unwrap(), 0);
    let error = file.read_exact_at(&mut [0; 8], 709).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn without_faults_a_crash_loses_nothing_but_the_handles() {
    let disk = always(Faults::default());
    let file = disk.create("a").unwrap();
    file.append(b"not synced").unwrap();
    disk.crash();
    assert!(is_crashed(&file.append(b"more").unwrap_err()));
    assert!(is_crashed(&file.sync_data().unwrap_err()));
    assert!(is_crashed(&file.read_at(&mut [0; 8], 0).unwrap_err()));
    assert_eq!(disk.open("a").unwrap().read_to_end().unwrap(), b"not synced");
}

#[test]
fn a_disk_until_the_crash_is_dead_after_it() {
    let disk = always(Faults::default());
    let mounted = disk.until_crash();
    let inner = mounted.clone().until_crash();
    mounted.create("a").unwrap();
    disk.kill();
    for dead in [mounted, inner] {
        assert!(is_crashed(&dead.open("a").unwrap_err()));
        assert!(is_crashed(&dead.create("b").unwrap_err()));
        assert!(is_crashed(&dead.sync_dir("/").unwrap_err()));
    }
    assert!(disk.is_file("a").unwrap());
    disk.until_crash().open("a").unwrap();
}

#[test]
fn a_killed_process_leaves_its_writes_in_the_cache() {
    let disk = always(Faults { lost: 1_000, reordered: 1_000, torn: 1_000, ..Faults::default() });
    let file = disk.create("a").unwrap();
    file.append(b"not synced").unwrap();
    disk.kill();
    assert!(is_crashed(&file.sync_data().unwrap_err()));
    assert_eq!(disk.open("a").unwrap().read_to_end().unwrap(), b"not synced");
}

#[test]
fn zeros_are_behind_a_cut() {
    let disk = always(Faults::default());
    let file = keep(&disk, "a", &[7; 2_000]);
    file.set_len(700).unwrap();
    file.set_len(1_500).unwrap();
    let expected = [vec![7; 700], vec![0; 800]].concat();
    assert_eq!(file.read_to_end().unwrap(), expected);
    file.sync_data().unwrap();
    disk.crash();
    assert_eq!(disk.open("a").unwrap().read_to_end().unwrap(), expected);
}

#[test]
fn a_full_disk_says_so() {
    const ENOSPC: i32 = 28;
    let disk = always(Faults { capacity: Some(2_048), ..Faults::default() });
    let file = disk.create("a").unwrap();
    // What fits is taken, as a real disk does.
    assert_eq!(file.append(&[1; 3_000]).unwrap(), 2_048);
    let error = file.append(&[1]).unwrap_err();
    assert_eq!((error.kind(), number(error)), (io::ErrorKind::StorageFull, Some(ENOSPC)));
    // Places that are taken may be written again.
    file.write_all_at(&[2; 2_048], 0).unwrap();
    assert_eq!(number(disk.create("b").unwrap().allocate(1).unwrap_err()), Some(ENOSPC));
    // Space comes back when the last name and the last handle are gone.
    disk.remove_file("a").unwrap();
    assert_eq!(disk.used_bytes(), 2_048);
    drop(file);
    assert_eq!(disk.used_bytes(), 0);
    let file = disk.open("b").unwrap();
    file.allocate(1_500).unwrap();
    assert_eq!((disk.used_bytes(), file.len().unwrap()), (1_536, 1_500));
    let other = disk.create("c").unwrap();
    assert_eq!(other.append(&[3; 900]).unwrap(), 512);
    file.write_all_at(&[4; 1_536], 0).unwrap();
    file.set_len(10).unwrap();
    assert_eq!(disk.used_bytes(), 1_024);
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let disk = always(Faults::default());
    let file = keep(&disk, "a", b"old");
    disk.set_faults(Faults { write_error: 1_000, ..Faults::default() });
    assert_eq!(number(file.write_at(b"new", 0).unwrap_err()), Some(5));
    assert_eq!(file.read_to_end().unwrap(), b"old");
}

#[test]
fn a_failed_sync_is_told_once_and_what_it_dropped_is_never_written() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = Disk::seeded(Faults::default(), seed);
        let file = keep(&disk, "a", &[1; 2_048]);
        let other = disk.open("a").unwrap();
        file.write_all_at(&[2; 2_048], 0).unwrap();
        disk.set_faults(Faults { sync_error: 1_000, ..Faults::default() });
        assert_eq!(number(file.sync_data().unwrap_err()), Some(5));
        disk.set_faults(Faults::default());
        // The next sync of the same handle knows nothing of it; another handle is told.
        file.sync_data().unwrap();
        assert_eq!(number(other.sync_data().unwrap_err()), Some(5));
        other.sync_data().unwrap();
        disk.crash();
        let bytes = disk.open("a").unwrap().read_to_end().unwrap();
        assert_eq!(bytes.len(), 2_048);
        for sector in bytes.chunks(512) {
            assert!(sector == [1; 512] || sector == [2; 512]);
        }
        lost += u32::from(bytes.contains(&1));
    }
    assert!(lost > 80, "of 100 failed syncs {lost} lost something");
}

#[test]
fn reads_and_writes_may_be_short_and_go_on() {
    let faults = Faults { short_read: 1_000, short_write: 1_000, ..Faults::default() };
    let disk = Disk::seeded(faults, 3);
    let file = disk.create("a").unwrap();
    let bytes: Vec<u8> = (0..2_000_u32).map(|i| i as u8).collect();
    let taken = file.write_at(&bytes, 0).unwrap();
    assert!((1..2_000).contains(&taken));
    file.write_all_at(&bytes, 0).unwrap();
    let read = file.read_at(&mut vec![0; 2_000], 0).unwrap();
    assert!((1..2_000).contains(&read));
    assert_eq!(file.read_to_end().unwrap(), bytes);
}

#[test]
fn a_flipped_bit_stays_flipped() {
    let disk = always(Faults::default());
    let file = keep(&disk, "a", &[0; 1_024]);
    disk.flip("a", 8 * 600 + 3).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.read_to_end().unwrap()[600], 8);
    disk.crash();
    let bytes = disk.open("a").unwrap().read_to_end().unwrap();
    assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 1);
    assert_eq!(number(disk.flip("a", 8 * 1_024).unwrap_err()), Some(22));
    assert_eq!(number(disk.flip("b", 0).unwrap_err()), Some(2));
}

#[test]
fn a_lock_is_for_one_handle_and_ends_with_it() {
    let disk = always(Faults::default());
    let first = disk.create("lock").unwrap();
    let second = disk.open("lock").unwrap();
    first.try_lock().unwrap();
    first.try_lock().unwrap();
    assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
    second.unlock().unwrap();
    assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
    drop(first);
    second.try_lock().unwrap();
    disk.kill();
    let third = disk.open("lock").unwrap();
    third.try_lock().unwrap();
    // A dead handle takes nothing from the living.
    drop(second);
    assert!(matches!(disk.open("lock").unwrap().try_lock(), Err(TryLockError::WouldBlock)));
}

#[test]
fn the_power_goes_during_the_operation_that_was_named() {
    let disk = always(Faults { lost: 1_000, ..Faults::default() });
    let file = keep(&disk, "a", b"1");
    let before = disk.operations();
    disk.crash_during(before + 2);
    file.append(b"2").unwrap();
    assert!(is_crashed(&file.sync_data().unwrap_err()));
    assert_eq!(disk.operations(), before + 2);
    assert!(is_crashed(&file.sync_data().unwrap_err()));
    disk.open("a").unwrap().sync_data().unwrap();
}

#[tokio::test(start_paused = true)]
async fn operations_take_the_runtimes_time() {
    use std::time::Duration;
    use towpath_sim::disk::Latency;
    let millis = Duration::from_millis;
    let faults = Faults {
        latency: Latency::constant(millis(1)),
        sync_latency: Latency::between(millis(10), millis(20)),
        ..Faults::default()
    };
    let disk = Disk::seeded(faults, 9);
    let taken = towpath::scope(&towpath::Ctx::root(), |s| async move {
        let writer = s.spawn_blocking("writer", move |_| {
            let start = towpath::rt::now();
            let file = disk.create("a")?;
            file.append(b"x")?;
            let written = towpath::rt::now() - start;
            file.sync_data()?;
            Ok::<_, io::Error>((written, towpath::rt::now() - start - written))
        });
        Ok(writer.await?)
    });
    let (written, synced) = taken.await.unwrap();
    assert!(written >= millis(2) && synced >= millis(10), "{written:?} {synced:?}");
}
