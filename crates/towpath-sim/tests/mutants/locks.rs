//! Locks let in as many as they say, in turn; what is not used goes on to the next; nobody is left behind.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use towpath::{
    rt,
    sync::{AcquireError, Barrier, Mutex, Notify, Semaphore},
};
use towpath_sim::yield_point;

use crate::{check, now, park};

#[test]
fn a_mutex_excludes() {
    check(|| async {
        let mutex = Arc::new(Mutex::new(Cell::new(0)));
        let tasks = [(); 3].map(|()| {
            let mutex = mutex.clone();
            rt::spawn(async move {
                let guard = mutex.lock().await;
                let seen = guard.get();
                yield_point();
                guard.set(seen + 1);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(mutex.lock().await.get(), 3);
    });
}

#[test]
fn a_semaphore_lets_in_what_it_has() {
    check(|| async {
        let (semaphore, inside) = (Arc::new(Semaphore::new(2)), Arc::new(AtomicUsize::new(0)));
        let tasks = [(); 4].map(|()| {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            rt::spawn(async move {
                let _permit = semaphore.acquire(1).await.unwrap();
                assert!(inside.fetch_add(1, SeqCst) < 2);
                yield_point();
                inside.fetch_sub(1, SeqCst);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn all_permits_come_back() {
    check(|| async {
        let semaphore = Semaphore::new(2);
        for _ in 0..3 {
            drop(semaphore.acquire(2).await.unwrap());
        }
    });
}

/// Who wants much is not overtaken by who wants little; when it leaves, those behind it pass, and those who come.
#[test]
fn nobody_overtakes_the_line() {
    check(|| async {
        let semaphore = Semaphore::new(2);
        let held = semaphore.acquire(1).await.unwrap();
        let much = park(semaphore.acquire(2)).await;
        assert!(semaphore.try_acquire(1).is_err(), "somebody waits");
        drop(much);
        assert!(semaphore.try_acquire(1).is_ok(), "nobody waits any more");
        let much = park(semaphore.acquire(2)).await;
        let little = park(semaphore.acquire(1)).await;
        drop(much);
        assert!(little.await.is_ok());
        drop(held);
    });
}

/// What a wait was given and did not use goes to the next.
#[test]
fn a_dropped_wait_passes_its_permit_on() {
    check(|| async {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.lock().await;
        let first = park(mutex.lock()).await;
        let theirs = mutex.clone();
        let second = rt::spawn(async move { drop(theirs.lock().await) });
        yield_point();
        drop(guard);
        drop(first);
        second.await.unwrap();
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_closed_semaphore_tells_all() {
    check(|| async {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiting = [(); 3].map(|()| {
            let semaphore = semaphore.clone();
            rt::spawn(async move { semaphore.acquire(1).await.map(drop) })
        });
        yield_point();
        semaphore.close();
        for task in waiting {
            assert_eq!(task.await.unwrap(), Err(AcquireError));
        }
    });
}

#[test]
fn a_notice_is_kept_for_the_next() {
    check(|| async {
        let notify = Arc::new(Notify::new());
        let theirs = notify.clone();
        let waiting = rt::spawn(async move { theirs.notified().await });
        notify.notify_one();
        waiting.await.unwrap();
    });
}

#[test]
fn a_notice_to_all_reaches_all() {
    check(|| async {
        let notify = Arc::new(Notify::new());
        let (mut one, mut two) = (park(notify.notified()).await, park(notify.notified()).await);
        let mut late = Box::pin(notify.notified());
        let theirs = notify.clone();
        let told = rt::spawn(async move { theirs.notify_waiters() });
        one.as_mut().await;
        two.as_mut().await;
        told.await.unwrap();
        assert_eq!(now(&mut late).await, Some(()), "it was made before");
    });
}

#[test]
fn a_barrier_opens_for_all() {
    check(|| async {
        let (barrier, here) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
        let tasks = [(); 3].map(|()| {
            let (barrier, here) = (barrier.clone(), here.clone());
            rt::spawn(async move {
                here.fetch_add(1, SeqCst);
                barrier.wait().await;
                assert_eq!(here.load(SeqCst), 3);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
    });
}
