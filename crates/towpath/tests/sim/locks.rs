//! Every lock of `towpath::sync`, by tasks and threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use towpath::{
    rt::{sleep, spawn, spawn_blocking},
    select,
    sync::{Barrier, Mutex, Notify, RwLock, RwLockWriteGuard, Semaphore, WaitGroup},
};
use towpath_sim::yield_point;

const MILLI: Duration = Duration::from_millis(1);

#[towpath::test]
async fn a_mutex_lets_in_one_task_or_thread() {
    let lock = Arc::new(Mutex::new(0));
    let task = lock.clone();
    let task = spawn(async move {
        for _ in 0..2 {
            let mut guard = task.lock().await;
            let before = *guard;
            sleep(MILLI).await;
            *guard = before + 1;
        }
    });
    let thread = lock.clone();
    let thread = spawn_blocking(move || {
        for _ in 0..2 {
            let mut guard = thread.lock_blocking();
            let before = *guard;
            yield_point();
            *guard = before + 1;
        }
    });
    if let Some(mut guard) = lock.clone().try_lock_owned() {
        *guard += 10;
    }
    task.await.unwrap();
    thread.await.unwrap();
    let last = *lock.lock().await;
    assert!([4, 14].contains(&last), "{last}");
}

/// Of readers there may be several, of writers one, and not both.
#[towpath::test]
async fn readers_share_and_writers_do_not() {
    let lock = Arc::new(RwLock::new(()));
    let inside = Arc::new(AtomicUsize::new(0));
    const WRITER: usize = 100;
    let watched = inside.clone();
    towpath_sim::always("a writer is alone", move || {
        let now = watched.load(Relaxed);
        now <= WRITER
    });
    let tasks = [false, true, false, true].map(|writes| {
        let (lock, inside) = (lock.clone(), inside.clone());
        spawn(async move {
            if writes {
                let guard = lock.write().await;
                inside.fetch_add(WRITER, Relaxed);
                yield_point();
                inside.fetch_sub(WRITER, Relaxed);
                let shared = RwLockWriteGuard::downgrade(guard);
                inside.fetch_add(1, Relaxed);
                yield_point();
                inside.fetch_sub(1, Relaxed);
                drop(shared);
            } else {
                let _guard = lock.read().await;
                inside.fetch_add(1, Relaxed);
                sleep(MILLI).await;
                inside.fetch_sub(1, Relaxed);
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    drop(spawn_blocking(move || {
        drop(lock.read_blocking());
        drop(lock.write_blocking());
    }));
}

#[towpath::test]
async fn a_semaphore_lets_in_as_many_as_it_has_permits() {
    let permits = Arc::new(Semaphore::new(2));
    let inside = Arc::new(AtomicUsize::new(0));
    let watched = inside.clone();
    towpath_sim::always("at most two permits are out", move || watched.load(Relaxed) <= 2);
    let tasks = [1, 2, 1].map(|count| {
        let (permits, inside) = (permits.clone(), inside.clone());
        spawn(async move {
            let _held = permits.acquire(count).await.unwrap();
            inside.fetch_add(count, Relaxed);
            sleep(MILLI).await;
            inside.fetch_sub(count, Relaxed);
        })
    });
    let (theirs, inside) = (permits.clone(), inside.clone());
    let thread = spawn_blocking(move || {
        let _held = theirs.acquire_blocking(2).unwrap();
        inside.fetch_add(2, Relaxed);
        yield_point();
        inside.fetch_sub(2, Relaxed);
    });
    for task in tasks {
        task.await.unwrap();
    }
    thread.await.unwrap();
    assert_eq!(permits.available_permits(), 2);
}

#[towpath::test]
async fn a_closed_semaphore_lets_nobody_in() {
    let permits = Arc::new(Semaphore::new(0));
    let waits = [1, 2].map(|count| {
        let permits = permits.clone();
        spawn(async move { permits.acquire(count).await.is_ok() })
    });
    let closer = permits.clone();
    let closer = spawn_blocking(move || closer.close());
    let mut came = 0;
    for wait in waits {
        came += u32::from(wait.await.unwrap());
    }
    closer.await.unwrap();
    assert_eq!(came, 0);
}

/// A condition and a notice, in the order that loses nothing.
#[towpath::test]
async fn a_notice_is_not_missed() {
    let state = Arc::new((Mutex::new(false), Notify::new()));
    let waiters = [0, 1].map(|_| {
        let state = state.clone();
        spawn(async move {
            loop {
                let notified = state.1.notified();
                if *state.0.lock().await {
                    return;
                }
                notified.await;
            }
        })
    });
    *state.0.lock().await = true;
    state.1.notify_waiters();
    for waiter in waiters {
        waiter.await.unwrap();
    }
}

#[towpath::test]
async fn a_notice_that_comes_early_is_kept() {
    let notify = Arc::new(Notify::new());
    let thread = notify.clone();
    let thread = spawn_blocking(move || thread.notified_blocking());
    let task = notify.clone();
    let task = spawn(async move { task.notify_one() });
    thread.await.unwrap();
    task.await.unwrap();
}

#[towpath::test]
async fn a_barrier_lets_everybody_go_together_and_again() {
    const PARTIES: usize = 3;
    let barrier = Arc::new(Barrier::new(PARTIES));
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut parties = Vec::new();
    for party in 0..PARTIES {
        let (barrier, arrived) = (barrier.clone(), arrived.clone());
        let mut leads = 0;
        parties.push(if party == 0 {
            spawn_blocking(move || {
                for round in 1..=2 {
                    arrived.fetch_add(1, Relaxed);
                    leads += u32::from(barrier.wait_blocking().is_leader());
                    assert!(arrived.load(Relaxed) >= round * PARTIES);
                }
                leads
            })
        } else {
            spawn(async move {
                for round in 1..=2 {
                    arrived.fetch_add(1, Relaxed);
                    leads += u32::from(barrier.wait().await.is_leader());
                    assert!(arrived.load(Relaxed) >= round * PARTIES);
                }
                leads
            })
        });
    }
    let mut leads = 0;
    for party in parties {
        leads += party.await.unwrap();
    }
    assert_eq!(leads, 2, "one leads in each round");
}

#[towpath::test]
async fn a_wait_group_waits_for_all_work() {
    let group = WaitGroup::new();
    let done = Arc::new(AtomicUsize::new(0));
    for number in 0..3 {
        let (work, done) = (group.add(), done.clone());
        let finish = move || {
            done.fetch_add(1, Relaxed);
            drop(work);
        };
        if number == 0 {
            drop(spawn_blocking(finish));
        } else {
            drop(spawn(async move { finish() }));
        }
    }
    let thread = group.clone();
    let thread = spawn_blocking(move || thread.wait_blocking());
    group.wait().await;
    assert_eq!((done.load(Relaxed), group.working()), (3, 0));
    thread.await.unwrap();
}

/// Locks are arms: one that loses stands in no line.
#[towpath::test]
async fn a_lock_that_loses_in_a_select_is_left() {
    let lock = Arc::new(Mutex::new(0));
    let permits = Arc::new(Semaphore::new(1));
    let tasks = [0, 1, 2].map(|_| {
        let (lock, permits) = (lock.clone(), permits.clone());
        spawn(async move {
            select! {
                mut guard = lock.lock() => { *guard += 1; sleep(MILLI).await; }
                held = permits.acquire(1) => { sleep(MILLI).await; drop(held); }
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert!(*lock.lock().await <= 3);
    assert_eq!(permits.available_permits(), 1);
}
