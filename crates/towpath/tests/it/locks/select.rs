//! Locks as arms: the one that wins has what it asked for, and a loser has nothing.

use std::{pin::pin, sync::Arc, task::Poll, thread, time::Duration};

use towpath::{
    after, select, select_blocking,
    sync::{Mutex, Notify, RwLock, Semaphore, WaitGroup},
};

use crate::harness::{Polled, ready, watchdog};

#[test]
fn a_free_lock_wins_and_a_held_one_does_not() {
    let mutex = Mutex::new(1);
    let value = select_blocking! { guard = mutex.lock() => *guard, default => 0 };
    assert_eq!(value, 1);
    let held = ready(mutex.lock());
    let value = select_blocking! { guard = mutex.lock() => *guard, default => 0 };
    assert_eq!(value, 0);
    drop(held);
    assert!(mutex.try_lock().is_some(), "the arm that lost is gone");
}

#[test]
fn a_lock_that_comes_too_late_is_not_taken() {
    for blocking in [false, true] {
        let mutex = Arc::new(Mutex::new(()));
        let held = ready(mutex.clone().lock_owned());
        let timeout = Duration::from_millis(1);
        let locked = if blocking {
            select_blocking! { _ = mutex.lock() => true, _ = after(timeout) => false }
        } else {
            towpath::block_on(async {
                select! { _ = mutex.lock() => true, _ = after(timeout) => false }
            })
        };
        assert!(!locked);
        drop(held);
        assert!(mutex.try_lock().is_some());
    }
}

/// Every kind of arm, waiting in a select, is completed by the other side; the guard is that of the arm.
#[test]
fn each_arm_is_woken_by_what_it_waits_for() {
    let (mutex, lock) = (Arc::new(Mutex::new(())), RwLock::new(()));
    let (semaphore, notify) = (Arc::new(Semaphore::new(0)), Notify::new());
    let group = WaitGroup::new();
    for way in 0..8 {
        let held = ready(mutex.lock());
        let writes = ready(lock.write());
        let work = group.add();
        let mut selecting = Polled::parked(async {
            select! {
                guard = mutex.lock() => { drop(guard); 0 }
                guard = mutex.clone().lock_owned() => { drop(guard); 0 }
                guard = lock.read() => { drop(guard); 1 }
                guard = lock.write() => { drop(guard); 1 }
                permit = semaphore.acquire(2) => { assert_eq!(permit.unwrap().permits(), 2); 2 }
                permit = semaphore.clone().acquire_owned(2) => { drop(permit.unwrap()); 2 }
                () = notify.notified() => 3,
                () = group.wait() => 4,
            }
        });
        assert!(selecting.poll().is_pending());
        let expected = match way {
            0 => {
                drop(held);
                0
            }
            1 => {
                drop(writes);
                1
            }
            2 => {
                semaphore.add_permits(1);
                assert!(!selecting.woken());
                semaphore.add_permits(1);
                2
            }
            3 => {
                notify.notify_one();
                3
            }
            4 => {
                notify.notify_waiters();
                3
            }
            5 => {
                drop(work);
                4
            }
            // Several at once: the first claims the select, the others find nobody.
            6 => {
                drop(held);
                drop(writes);
                notify.notify_one();
                0
            }
            _ => {
                notify.notify_one();
                drop(held);
                semaphore.add_permits(2);
                3
            }
        };
        assert_eq!(selecting.finish(), expected, "way {way}");
        // Nothing is left behind in any of them.
        if matches!(way, 0 | 6 | 7) {
            assert!(mutex.try_lock().is_some(), "way {way}");
        }
        if matches!(way, 1 | 6) {
            assert!(lock.try_write().is_some(), "way {way}");
        }
        if way == 6 {
            ready(notify.notified());
        }
        while semaphore.available_permits() > 0 {
            semaphore.try_acquire(1).unwrap().forget();
        }
    }
}

#[test]
fn a_select_that_was_won_and_is_dropped_passes_it_on() {
    let (mutex, notify) = (Mutex::new(()), Notify::new());
    let held = ready(mutex.lock());
    let selecting = Polled::parked(async {
        select! { guard = mutex.lock() => drop(guard), () = notify.notified() => {} }
    });
    let next = Polled::parked(mutex.lock());
    drop(held);
    assert!(selecting.woken() && !next.woken());
    drop(selecting);
    drop(next.finish());
    notify.notify_one();
    ready(notify.notified());
}

#[test]
fn a_loser_in_line_lets_those_behind_it_go_on() {
    let (semaphore, notify) = (Semaphore::new(2), Notify::new());
    let selecting = Polled::parked(async {
        select! { permit = semaphore.acquire(3) => drop(permit), () = notify.notified() => {} }
    });
    let behind = Polled::parked(semaphore.acquire(1));
    notify.notify_one();
    selecting.finish();
    drop(behind.finish().unwrap());
    assert_eq!(semaphore.available_permits(), 2);
}

/// Between winning elsewhere and leaving, its place in line is passed over.
#[test]
fn a_select_that_has_gone_another_way_is_passed_over() {
    let (mutex, notify) = (Mutex::new(()), Notify::new());
    let held = ready(mutex.lock());
    let selecting = Polled::parked(async {
        select! { guard = mutex.lock() => drop(guard), () = notify.notified() => {} }
    });
    let behind = Polled::parked(mutex.lock());
    notify.notify_one();
    drop(held); // the select has been won and not run yet
    drop(behind.finish());
    selecting.finish();
    assert!(mutex.try_lock().is_some());
}

#[test]
fn two_arms_on_one_lock_take_it_once() {
    let mutex = Mutex::new(0);
    let held = ready(mutex.lock());
    let mut selecting = Polled::parked(async {
        select! { mut guard = mutex.lock() => *guard += 1, mut guard = mutex.lock() => *guard += 1 }
    });
    drop(held);
    assert!(selecting.poll().is_ready());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn closing_and_a_call_to_all_end_the_arms_of_threads() {
    watchdog(60, || {
        let (semaphore, notify) = (Semaphore::new(0), Notify::new());
        for close in [false, true] {
            thread::scope(|s| {
                let waits = s.spawn(|| {
                    select_blocking! {
                        permit = semaphore.acquire(1) => { assert!(permit.is_err()); true }
                        () = notify.notified() => false,
                    }
                });
                if close {
                    semaphore.close()
                } else {
                    notify.notify_one()
                }
                assert_eq!(waits.join().unwrap(), close);
            });
        }
    });
}

/// A wait that has its place in line already keeps it when it becomes an arm.
#[test]
fn an_enabled_wait_becomes_an_arm() {
    let (notify, mutex) = (Notify::new(), Mutex::new(()));
    let held = ready(mutex.lock());
    let mut notified = pin!(notify.notified());
    assert!(!notified.as_mut().enable());
    let behind = Polled::parked(notify.notified());
    let mut selecting = Polled::parked(async {
        select! { () = notified.as_mut() => true, _ = mutex.lock() => false }
    });
    notify.notify_one();
    assert!(!behind.woken(), "it came later");
    assert_eq!(selecting.poll(), Poll::Ready(true));
    drop((selecting, held));
}

#[test]
fn a_wait_that_was_done_before_it_became_an_arm_wins() {
    let notify = Notify::new();
    // Told in line; told by a call; kept for it.
    for way in 0..3 {
        let mut notified = pin!(notify.notified());
        if way == 2 {
            notify.notify_one();
        }
        assert_eq!(notified.as_mut().enable(), way == 2);
        match way {
            0 => notify.notify_one(),
            1 => notify.notify_waiters(),
            _ => {}
        }
        assert!(select_blocking! { () = notified.as_mut() => true, default => false });
        drop(Polled::parked(notify.notified()));
    }
}

#[test]
fn an_enabled_wait_in_a_select_that_does_not_wait_keeps_its_place() {
    let notify = Notify::new();
    let mut notified = pin!(notify.notified());
    notified.as_mut().enable();
    assert!(!select_blocking! { () = notified.as_mut() => true, default => false });
    notify.notify_one();
    assert!(select_blocking! { () = notified.as_mut() => true, default => false });
}

#[test]
fn a_disabled_lock_takes_no_part() {
    let mutex = Mutex::new(());
    let locked = select_blocking! {
        _ = mutex.lock(), if false => true,
        _ = after(Duration::ZERO) => false,
    };
    assert!(!locked);
}
