//! RwLock: readers together, a writer alone, and neither side starves.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use towpath::sync::{RwLock, RwLockWriteGuard};

use crate::harness::{Polled, ready, watchdog};

#[test]
fn readers_together_a_writer_alone() {
    let mut lock = RwLock::new(0);
    {
        let (one, two) = (ready(lock.read()), lock.read_blocking());
        let three = lock.try_read().unwrap();
        assert_eq!((*one, *two, *three), (0, 0, 0));
        assert!(lock.try_write().is_none());
    }
    {
        let mut writes = ready(lock.write());
        *writes += 1;
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
    }
    *lock.write_blocking() += 1;
    *lock.try_write().unwrap() += 1;
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 4);
}

#[test]
fn a_reader_that_comes_after_a_waiting_writer_waits_behind_it() {
    let lock = RwLock::new(());
    let reads = ready(lock.read());
    let writer = Polled::parked(lock.write());
    let reader = Polled::parked(lock.read());
    assert!(lock.try_read().is_none(), "also one that does not wait");
    drop(reads);
    assert!(writer.woken() && !reader.woken());
    let writes = writer.finish();
    assert!(!reader.woken());
    drop(writes);
    drop(reader.finish());
}

#[test]
fn readers_in_a_row_go_together_up_to_the_next_writer() {
    let lock = RwLock::new(());
    let writes = ready(lock.write());
    let readers: Vec<_> = (0..3).map(|_| Polled::parked(lock.read())).collect();
    let writer = Polled::parked(lock.write());
    let late = Polled::parked(lock.read());
    drop(writes);
    assert!(readers.iter().all(Polled::woken));
    assert!(!writer.woken() && !late.woken());
    let mut reading: Vec<_> = readers.into_iter().map(Polled::finish).collect();
    while reading.pop().is_some() {
        assert_eq!(writer.woken(), reading.is_empty(), "{} still read", reading.len());
    }
    drop(writer.finish());
    drop(late.finish());
}

#[test]
fn a_waiting_writer_that_is_dropped_lets_readers_go_on() {
    let lock = RwLock::new(());
    let reads = ready(lock.read());
    let writer = Polled::parked(lock.write());
    let readers = [Polled::parked(lock.read()), Polled::parked(lock.read())];
    drop(writer);
    readers.into_iter().for_each(|reader| drop(reader.finish()));
    assert!(lock.try_read().is_some());
    drop(reads);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_writer_that_is_dropped_with_the_lock_in_hand_passes_it_on() {
    let lock = RwLock::new(());
    let reads = ready(lock.read());
    let writer = Polled::parked(lock.write());
    let next = Polled::parked(lock.write());
    drop(reads);
    assert!(writer.woken());
    drop(writer);
    drop(next.finish());
    assert!(lock.try_write().is_some());
}

#[test]
fn downgrading_lets_readers_join_and_no_writer_between() {
    let lock = RwLock::new(0);
    let mut writes = ready(lock.write());
    let reader = Polled::parked(lock.read());
    let writer = Polled::parked(lock.write());
    *writes = 1;
    let reads = RwLockWriteGuard::downgrade(writes);
    assert_eq!((*reads, *reader.finish()), (1, 1));
    assert!(!writer.woken(), "one still reads");
    drop(reads);
    drop(writer.finish());
}

#[test]
fn a_panic_in_a_guard_releases() {
    let lock = RwLock::new(0);
    assert!(
        catch_unwind(AssertUnwindSafe(|| {
            let _reads = lock.read_blocking();
            panic!("while reading");
        }))
        .is_err()
    );
    assert!(
        catch_unwind(AssertUnwindSafe(|| {
            *lock.write_blocking() = 1;
            let _writes = lock.write_blocking();
            panic!("while writing");
        }))
        .is_err()
    );
    assert_eq!(*lock.try_write().unwrap(), 1);
}

/// Readers that overlap all the time would keep a writer out for ever if they could overtake it.
#[test]
fn a_stream_of_readers_does_not_starve_a_writer() {
    watchdog(60, || {
        let lock = RwLock::new(false);
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    let mut reads = lock.read_blocking();
                    while !*reads {
                        // The next before the last goes, if it can be had at once: there is always a reader.
                        if let Some(next) = lock.try_read() {
                            reads = next;
                        } else {
                            drop(reads);
                            reads = lock.read_blocking();
                        }
                    }
                });
            }
            s.spawn(|| *lock.write_blocking() = true);
        });
    });
}

#[test]
fn what_it_prints() {
    let lock = RwLock::from("free");
    assert_eq!(format!("{lock:?}"), "RwLock(\"free\")");
    let _reads = ready(lock.read());
    assert_eq!(format!("{lock:?}"), "RwLock(\"free\")");
    drop(_reads);
    let _writes = ready(lock.write());
    assert_eq!(format!("{lock:?} {_writes}"), "RwLock(<locked>) free");
}
