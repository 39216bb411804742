//! Locks: one at a time, nobody forgotten, nothing kept by those who have gone.

use std::{pin::pin, sync::Arc, task::Poll};

use loom::{
    // Relaxed throughout, so that a stale value shows where a lock orders too little.
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};
use towpath::{
    select, select_blocking,
    sync::{Barrier, Mutex, Notify, RwLock, RwLockWriteGuard, Semaphore, WaitGroup},
};

use super::{Alarm, block_on, model, poll};

/// Three who lock, on threads and in a task, have the value one after the other. (Each access to it is seen by loom.)
#[test]
fn locks_mutex_excludes() {
    model(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (one, other) = (mutex.clone(), mutex.clone());
        thread::spawn(move || *one.lock_blocking() += 1);
        thread::spawn(move || *block_on(other.lock()) += 1);
        let tried = mutex.try_lock().map(|mut value| *value += 1).is_some();
        let value = *mutex.lock_blocking();
        assert!(value >= u32::from(tried) && value <= 2 + u32::from(tried));
    });
}

/// As `locks_mutex_excludes`, while books are kept: they are under locks of their own.
#[test]
fn locks_named_mutex_excludes() {
    model(|| {
        let mutex = Arc::new(Mutex::new(0).named("fleet"));
        let (one, other) = (mutex.clone(), mutex.clone());
        thread::spawn(move || *one.lock_blocking() += 1);
        thread::spawn(move || *block_on(other.lock()) += 1);
        drop(mutex.try_lock());
    });
}

/// With a name nothing is forgotten either: notices, and permits of several sizes.
#[test]
fn locks_named_wait_is_told() {
    model(|| {
        let shared = Arc::new((Semaphore::new(1).named("berths"), Notify::new().named("bell")));
        let theirs = shared.clone();
        let adds = thread::spawn(move || {
            theirs.0.add_permits(1);
            theirs.1.notify_one();
            drop(theirs.0.acquire_blocking(1).unwrap());
        });
        let both = shared.0.acquire_blocking(2).unwrap();
        shared.1.notified_blocking();
        drop(both);
        adds.join().unwrap();
        assert_eq!(shared.0.available_permits(), 2);
    });
}

/// A select over two locks with names, of which one is given while the other is taken.
#[test]
fn locks_named_select_takes_one() {
    model(|| {
        let locks = Arc::new((Mutex::new(()).named("a"), Mutex::new(()).named("b")));
        let theirs = locks.clone();
        let held = locks.clone();
        let first = held.0.try_lock();
        thread::spawn(move || drop(theirs.1.lock_blocking()));
        let other = locks.clone();
        let selects = thread::spawn(move || {
            select_blocking! { _ = other.0.lock() => {}, _ = other.1.lock() => {} }
        });
        drop(first);
        selects.join().unwrap();
        assert!(locks.0.try_lock().is_some());
    });
}

/// A wait that is dropped, whether it had been given the lock or not, leaves the next one in line to get it.
#[test]
fn locks_cancelled_wait_passes_on() {
    model(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (held, waits) = (mutex.clone().lock_owned_blocking(), mutex.clone());
        thread::spawn(move || *waits.lock_blocking() += 1);
        let canceller = mutex.clone();
        thread::spawn(move || {
            let mut wait = pin!(canceller.lock());
            let alarm = Alarm::new();
            if let Poll::Ready(mut value) = poll(wait.as_mut(), &alarm) {
                *value += 1;
            }
        });
        drop(held);
        *block_on(mutex.lock()) += 1;
    });
}

/// A wait that moves to another task wakes that one.
#[test]
fn locks_wait_moves_between_tasks() {
    model(|| {
        let mutex = Arc::new(Mutex::new(()));
        let held = mutex.clone().lock_owned_blocking();
        thread::spawn(move || drop(held));
        let mut wait = pin!(mutex.lock());
        let (first, second) = (Alarm::new(), Alarm::new());
        for alarm in [&first, &second] {
            if poll(wait.as_mut(), alarm).is_ready() {
                return;
            }
        }
        second.wait();
        assert!(poll(wait, &second).is_ready());
    });
}

/// A reader never meets a writer, nor after it was downgraded; and all get their turn.
#[test]
fn locks_rwlock_excludes() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let (writes, reads) = (lock.clone(), lock.clone());
        thread::spawn(move || {
            let mut value = writes.write_blocking();
            *value += 1;
            let value = RwLockWriteGuard::downgrade(value);
            assert_eq!(*value, 1);
        });
        thread::spawn(move || assert!(*block_on(reads.read()) <= 1));
        assert!(*lock.read_blocking() <= 1);
    });
}

/// A writer that waits behind a reader and gives up lets the next reader in, though nobody has released anything.
#[test]
fn locks_rwlock_cancelled_writer() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let (writes, impatient) = (lock.clone(), lock.clone());
        let reads = lock.read_blocking();
        thread::spawn(move || {
            let mut wait = pin!(impatient.write());
            // It may come when all have gone, and then it writes.
            drop(poll(wait.as_mut(), &Alarm::new()));
        });
        let again = block_on(lock.read());
        thread::spawn(move || *writes.write_blocking() += 1);
        assert_eq!((*reads, *again), (0, 0));
        drop((reads, again));
    });
}

/// Permits given back one by one by two threads add up for the one who wants both, and who sees what both did.
#[test]
fn locks_semaphore_adds_up() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let done = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        for i in 0..2 {
            let permit = semaphore.clone().acquire_owned_blocking(1).unwrap();
            let done = done.clone();
            thread::spawn(move || {
                done[i].store(1, Relaxed);
                drop(permit);
            });
        }
        assert_eq!(block_on(semaphore.acquire(2)).unwrap().permits(), 2);
        assert_eq!([0, 1].map(|i| done[i].load(Relaxed)), [1, 1]);
    });
}

/// Closing reaches one who waits and one who comes; a permit that was given before is good and comes back.
#[test]
fn locks_semaphore_close() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (waits, adds) = (semaphore.clone(), semaphore.clone());
        thread::spawn(move || {
            if let Ok(permit) = waits.acquire_blocking(1) {
                permit.forget();
                assert_eq!(waits.available_permits(), 0);
            }
        });
        thread::spawn(move || adds.add_permits(1));
        semaphore.close();
        assert!(block_on(semaphore.acquire(1)).is_err());
    });
}

/// A notice is not lost between finding none and waiting; and what came before it is seen.
#[test]
fn locks_notify_one_is_not_lost() {
    model(|| {
        let shared = Arc::new((Notify::new(), AtomicUsize::new(0)));
        let theirs = shared.clone();
        thread::spawn(move || {
            theirs.1.store(1, Relaxed);
            theirs.0.notify_one();
        });
        shared.0.notified_blocking();
        assert_eq!(shared.1.load(Relaxed), 1);
    });
}

/// A notice given to one who leaves goes to another.
#[test]
fn locks_notify_one_is_passed_on() {
    model(|| {
        let notify = Arc::new(Notify::new());
        let (tells, leaves) = (notify.clone(), notify.clone());
        thread::spawn(move || tells.notify_one());
        thread::spawn(move || {
            let mut wait = pin!(leaves.notified());
            if poll(wait.as_mut(), &Alarm::new()).is_ready() {
                leaves.notify_one();
            }
        });
        block_on(notify.notified());
    });
}

/// A call to all reaches those made before it, polled or not, and ends no later wait.
#[test]
fn locks_notify_waiters_reaches_all() {
    model(|| {
        let notify = Arc::new(Notify::new());
        let theirs = notify.clone();
        let first = notify.notified();
        let mut second = pin!(notify.notified());
        assert!(poll(second.as_mut(), &Alarm::new()).is_pending());
        thread::spawn(move || theirs.notify_waiters());
        block_on(first);
        block_on(second);
        assert!(poll(pin!(notify.notified()), &Alarm::new()).is_pending());
    });
}

/// In each of two rounds both are there before either goes on, and one leads.
#[test]
fn locks_barrier_generations() {
    model(|| {
        let shared = Arc::new((Barrier::new(2), AtomicUsize::new(0), AtomicUsize::new(0)));
        let theirs = shared.clone();
        let round =
            |(barrier, here, leaders): &(Barrier, AtomicUsize, AtomicUsize), number, task| {
                here.fetch_add(1, Relaxed);
                let result = if task { block_on(barrier.wait()) } else { barrier.wait_blocking() };
                assert!(here.load(Relaxed) >= 2 * number, "one was missing");
                if result.is_leader() {
                    assert!(leaders.fetch_add(1, Relaxed) < number, "two lead");
                }
            };
        thread::spawn(move || (1..=2).for_each(|number| round(&theirs, number, true)));
        (1..=2).for_each(|number| round(&shared, number, false));
    });
}

/// One who leaves before the barrier opens has not been there; one who leaves afterwards has.
#[test]
fn locks_barrier_cancelled() {
    model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let theirs = barrier.clone();
        thread::spawn(move || {
            let mut wait = pin!(theirs.wait());
            let _ = poll(wait.as_mut(), &Alarm::new());
        });
        let alarm = Alarm::new();
        let mut first = pin!(barrier.wait());
        if poll(first.as_mut(), &alarm).is_pending() {
            // It has opened with the other meanwhile, and this one stands there alone; or this one opens it.
            let mut second = pin!(barrier.wait());
            let led = poll(second.as_mut(), &alarm).is_ready();
            assert!(poll(first, &alarm).is_ready() || !led);
        }
    });
}

/// Who waits is told by the last to be done, and sees what all have done.
#[test]
fn locks_wait_group_sees_all() {
    model(|| {
        let group = WaitGroup::new();
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let (work, done) = (group.add(), done.clone());
            thread::spawn(move || {
                done.fetch_add(1, Relaxed);
                drop(work);
            });
        }
        block_on(group.wait());
        assert_eq!(done.load(Relaxed), 2);
    });
}

/// New work that begins while the last ends: a wait made now does not end before this work does.
#[test]
fn locks_wait_group_begins_again() {
    model(|| {
        let group = WaitGroup::new();
        let first = group.add();
        thread::spawn(move || drop(first));
        let again = group.add();
        let mut wait = pin!(group.wait());
        assert!(poll(wait.as_mut(), &Alarm::new()).is_pending());
        drop(again);
        block_on(wait);
    });
}

/// A select over two held locks that are released takes one; the other can be taken by somebody else.
#[test]
fn locks_select_one_commit() {
    for task in [false, true] {
        model(move || {
            let (a, b) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
            for mutex in [&a, &b] {
                let held = mutex.clone().lock_owned_blocking();
                thread::spawn(move || drop(held));
            }
            let first = if task {
                block_on(async {
                    select! {
                        mut value = a.lock() => { *value += 1; true }
                        mut value = b.lock() => { *value += 1; false }
                    }
                })
            } else {
                select_blocking! {
                    mut value = a.lock() => { *value += 1; true }
                    mut value = b.lock() => { *value += 1; false }
                }
            };
            let values = (*a.lock_blocking(), *b.lock_blocking());
            assert_eq!(values, if first { (1, 0) } else { (0, 1) });
        });
    }
}

/// A losing lock arm passes the lock on to the one behind it.
#[test]
fn locks_select_loser_passes_on() {
    model(|| {
        let shared = Arc::new((Mutex::new(0), Notify::new()));
        let (locks, tells) = (shared.clone(), shared.clone());
        thread::spawn(move || {
            let held = locks.0.lock_blocking();
            locks.1.notify_one();
            drop(held);
        });
        thread::spawn(move || *tells.0.lock_blocking() += 1);
        select_blocking! {
            mut value = shared.0.lock() => *value += 1,
            () = shared.1.notified() => {}
        }
        assert!(*shared.0.lock_blocking() <= 2);
    });
}

/// A select told by a call to all, and won by another line at the same time: one of the two, and no trace of the other.
#[test]
fn locks_select_called_and_claimed() {
    model(|| {
        let shared = Arc::new((Semaphore::new(0), Semaphore::new(0)));
        let (closes, adds) = (shared.clone(), shared.clone());
        thread::spawn(move || closes.0.close());
        thread::spawn(move || adds.1.add_permits(1));
        let closed = select_blocking! {
            permit = shared.0.acquire(1) => permit.is_err(),
            permit = shared.1.acquire(1) => { permit.unwrap().forget(); false }
        };
        if closed {
            drop(shared.1.acquire_blocking(1).unwrap());
        } else {
            assert_eq!(shared.1.available_permits(), 0);
        }
    });
}

/// A wait that stands in line already becomes an arm while it is told.
#[test]
fn locks_select_takes_over_a_place() {
    model(|| {
        let shared = Arc::new((Notify::new(), Notify::new()));
        let theirs = shared.clone();
        let mut notified = pin!(shared.0.notified());
        assert!(!notified.as_mut().enable());
        thread::spawn(move || theirs.0.notify_one());
        block_on(async {
            select! { () = notified.as_mut() => {}, () = shared.1.notified() => unreachable!() }
        });
    });
}

/// A select that is dropped while it is being given a lock gives it back.
#[test]
fn locks_select_cancelled_has_no_effect() {
    model(|| {
        let (mutex, notify) = (Arc::new(Mutex::new(())), Notify::new());
        let held = mutex.clone().lock_owned_blocking();
        thread::spawn(move || drop(held));
        {
            let selecting = pin!(async {
                select! { guard = mutex.lock() => drop(guard), () = notified(&notify) => {} }
            });
            let _ = poll(selecting, &Alarm::new());
        }
        drop(block_on(mutex.lock()));
    });
}

fn notified(notify: &Notify) -> towpath::sync::Notified<'_> {
    notify.notified()
}
