//! Mutex: one at a time, first come, first served, whatever is dropped when.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    thread,
};

use towpath::sync::{Mutex, MutexGuard, OwnedMutexGuard};

use crate::{
    harness::{Polled, Task, ready, watchdog},
    memory,
};

#[test]
fn a_free_mutex_is_locked_in_every_way() {
    let mutex = Arc::new(Mutex::new(0));
    *ready(mutex.lock()) += 1;
    *mutex.lock_blocking() += 1;
    *mutex.try_lock().unwrap() += 1;
    *ready(mutex.clone().lock_owned()) += 1;
    *mutex.clone().lock_owned_blocking() += 1;
    *mutex.clone().try_lock_owned().unwrap() += 1;
    let mut mutex = Arc::into_inner(mutex).unwrap();
    *mutex.get_mut() += 1;
    assert_eq!(mutex.into_inner(), 7);
}

#[test]
fn a_held_mutex_is_locked_in_no_way() {
    let mutex = Arc::new(Mutex::new(()));
    let guard = ready(mutex.lock());
    assert!(mutex.try_lock().is_none());
    assert!(mutex.clone().try_lock_owned().is_none());
    let mut waits = [Polled::parked(mutex.lock()), Polled::parked(mutex.lock())];
    assert!(waits.iter_mut().all(|wait| wait.poll().is_pending()));
    let _owned = Polled::parked(mutex.clone().lock_owned());
    drop(guard);
}

#[test]
fn first_come_first_served() {
    let mutex = Mutex::new(());
    let mut held = Some(ready(mutex.lock()));
    let waits: Vec<_> = (0..10).map(|_| Polled::parked(mutex.lock())).collect();
    for (i, wait) in waits.into_iter().enumerate() {
        assert!(!wait.woken(), "{i} has yet to wait");
        drop(held.take());
        assert!(wait.woken(), "{i} is next");
        assert!(mutex.try_lock().is_none(), "nobody comes between");
        held = Some(wait.finish());
    }
    drop(held);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_wait_that_is_dropped_leaves_the_line() {
    // Each of three, dropped before or after it was given the lock.
    for dropped in 0..3 {
        for given in [false, true] {
            let mutex = Mutex::new(());
            let mut guard = Some(ready(mutex.lock()));
            let mut waits: Vec<_> = (0..3).map(|_| Polled::parked(mutex.lock())).collect();
            let mut left = 3;
            if given {
                for _ in 0..dropped {
                    drop(guard.take());
                    guard = Some(waits.remove(0).finish());
                    left -= 1;
                }
                drop(guard.take());
                assert!(waits[0].woken());
                drop(waits.remove(0));
            } else {
                drop(waits.remove(dropped));
                assert!(waits.iter().all(|wait| !wait.woken()));
            }
            left -= 1;
            assert_eq!(waits.len(), left);
            drop(guard);
            for wait in waits {
                drop(wait.finish());
            }
            assert!(mutex.try_lock().is_some(), "dropped {dropped}, given {given}");
        }
    }
}

#[test]
fn a_panic_in_the_guard_releases_and_leaves_no_poison() {
    let mutex = Mutex::new(1);
    let wait = Polled::new(mutex.lock());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = mutex.lock_blocking();
        *guard = 2;
        panic!("the guard is dropped on the way");
    }));
    assert!(panicked.is_err());
    assert_eq!(*mutex.lock_blocking(), 2);
    drop(wait);
}

#[test]
fn a_wait_that_panics_away_passes_the_lock_on() {
    let mutex = Mutex::new(());
    let guard = ready(mutex.lock());
    let first = Polled::parked(mutex.lock());
    let second = Polled::parked(mutex.lock());
    drop(guard);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _first = first;
        panic!("it had been given the lock");
    }));
    assert!(panicked.is_err());
    drop(second.finish());
}

#[test]
fn a_wait_that_has_moved_wakes_its_new_task_only() {
    let mutex = Mutex::new(());
    let guard = ready(mutex.lock());
    let mut wait = pin!(mutex.lock());
    let (old, new) = (Task::new(), Task::new());
    assert!(old.poll(wait.as_mut()).is_pending());
    assert!(new.poll(wait.as_mut()).is_pending());
    drop(guard);
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    assert!(new.poll(wait).is_ready());
}

#[test]
fn an_owned_guard_outlives_every_other_handle() {
    let mutex = Arc::new(Mutex::new(String::from("kept")));
    let guard: OwnedMutexGuard<String> = ready(mutex.lock_owned());
    let kept = thread::spawn(move || guard.clone()).join().unwrap();
    assert_eq!(kept, "kept");
}

#[test]
fn a_mutex_of_something_unsized() {
    let mutex: Arc<Mutex<[u8]>> = Arc::new(Mutex::new([1, 2, 3]));
    ready(mutex.lock()).reverse();
    let guard: OwnedMutexGuard<[u8]> = ready(mutex.lock_owned());
    assert_eq!(*guard, [3, 2, 1]);
}

#[test]
fn what_it_prints() {
    let mutex = Mutex::new(5);
    assert_eq!(format!("{mutex:?}"), "Mutex(5)");
    let guard: MutexGuard<'_, u8> = ready(mutex.lock());
    assert_eq!(format!("{mutex:?} {guard:?} {guard}"), "Mutex(<locked>) 5 5");
    assert_eq!(format!("{:?}", mutex.lock()), "Locking(..)");
}

#[test]
fn a_thread_and_a_task_take_turns() {
    watchdog(60, || {
        let mutex = Mutex::new(0);
        let rounds = 2_000;
        thread::scope(|s| {
            s.spawn(|| (0..rounds).for_each(|_| *mutex.lock_blocking() += 1));
            s.spawn(|| {
                towpath::block_on(async {
                    for _ in 0..rounds {
                        let mut guard = mutex.lock().await;
                        *guard += 1;
                        crate::harness::yield_now().await;
                    }
                });
            });
        });
        assert_eq!(mutex.into_inner(), 2 * rounds);
    });
}

#[test]
fn waits_that_were_cancelled_leave_no_memory_behind() {
    let mutex = Mutex::new(());
    let guard = ready(mutex.lock());
    let task = Task::new();
    let cancel = || {
        let mut wait = pin!(mutex.lock());
        assert!(task.poll(wait.as_mut()).is_pending());
    };
    cancel();
    let allocations = memory::allocations(|| (0..100_000).for_each(|_| cancel()));
    assert_eq!(allocations, 0);
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_wait_polled_again_after_its_end_panics() {
    let mutex = Mutex::new(());
    let mut wait = Polled::new(mutex.lock());
    assert!(wait.poll().is_ready());
    assert!(catch_unwind(AssertUnwindSafe(|| wait.poll().is_ready())).is_err());
}

#[test]
fn a_task_that_is_polled_without_being_woken_keeps_its_place() {
    let mutex = Mutex::new(());
    let guard = ready(mutex.lock());
    let mut first = Polled::parked(mutex.lock());
    let second = Polled::parked(mutex.lock());
    for _ in 0..3 {
        assert!(first.poll().is_pending());
    }
    drop(guard);
    assert!(first.woken() && !second.woken());
    let first: Poll<_> = first.poll();
    assert!(first.is_ready());
    drop(first);
    drop(second.finish());
}

/// A wait may be given up for a while: pinned somewhere, polled now and then by different tasks.
#[test]
fn a_boxed_wait_outlives_its_first_task() {
    let mutex = Arc::new(Mutex::new(()));
    let guard = ready(mutex.clone().lock_owned());
    let mut wait: Pin<Box<dyn Future<Output = OwnedMutexGuard<()>> + Send>> =
        Box::pin(mutex.clone().lock_owned());
    assert!(Task::new().poll(wait.as_mut()).is_pending());
    let taken = thread::spawn(move || towpath::block_on(wait));
    drop(guard);
    watchdog(60, || drop(taken.join().unwrap()));
    assert!(mutex.try_lock().is_some());
}
