//! WaitGroup: the end of all work, seen by all who wait for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use towpath::sync::WaitGroup;

use crate::harness::{Polled, ready, watchdog};

#[test]
fn without_work_nobody_waits() {
    let group = WaitGroup::new();
    ready(group.wait());
    group.wait_blocking();
    drop(group.add());
    ready(group.wait());
}

#[test]
fn all_who_wait_are_told_when_the_last_work_is_done() {
    let group = WaitGroup::new();
    let (one, two) = (group.add(), group.clone().add());
    assert_eq!(group.working(), 2);
    let waits = [Polled::parked(group.wait()), Polled::parked(group.wait())];
    drop(one);
    assert!(waits.iter().all(|wait| !wait.woken()));
    drop(two);
    waits.into_iter().for_each(Polled::finish);
}

#[test]
fn who_waits_does_not_miss_an_end_though_new_work_has_begun() {
    let group = WaitGroup::new();
    let work = group.add();
    let (parked, unpolled) = (Polled::parked(group.wait()), group.wait());
    drop(work);
    let _more = group.add();
    parked.finish();
    drop(Polled::parked(unpolled)); // it waits from when it is polled
}

#[test]
fn a_panic_is_an_end_of_work() {
    let group = WaitGroup::new();
    let work = group.add();
    let wait = Polled::parked(group.wait());
    assert!(
        catch_unwind(AssertUnwindSafe(move || {
            let _work = work;
            panic!("over");
        }))
        .is_err()
    );
    wait.finish();
}

#[test]
fn a_dropped_wait_leaves_no_trace() {
    let group = WaitGroup::new();
    let work = group.add();
    drop(Polled::parked(group.wait()));
    let wait = Polled::parked(group.wait());
    drop(work);
    wait.finish();
}

#[test]
fn what_was_done_is_seen() {
    watchdog(60, || {
        for _ in 0..200 {
            let group = WaitGroup::new();
            let done = AtomicUsize::new(0);
            thread::scope(|s| {
                for _ in 0..3 {
                    let work = group.add();
                    s.spawn(|| {
                        done.fetch_add(1, Ordering::Relaxed);
                        drop(work);
                    });
                }
                s.spawn(|| {
                    towpath::block_on(group.wait());
                    assert_eq!(done.load(Ordering::Relaxed), 3);
                });
                group.wait_blocking();
                assert_eq!(done.load(Ordering::Relaxed), 3);
            });
        }
    });
}

#[test]
fn what_it_prints() {
    let group = WaitGroup::default();
    let work = group.add();
    assert_eq!(format!("{group:?} {work:?}"), "WaitGroup { working: 1 } Working(..)");
}
