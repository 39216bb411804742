//! Waits for locks, contexts, processes and timers dropped at any moment: whoever stays gets what the one who left had.

use std::{sync::Arc, time::Duration};

use towpath::{
    BoxError, Ctx,
    rt::{sleep, spawn},
    scope, select,
    sync::{Barrier, Mutex, Notify, RwLock, Semaphore, WaitGroup},
    tick,
};

use crate::tools::maybe_dropped;

const MILLI: Duration = Duration::from_millis(1);

#[towpath::test]
async fn a_dropped_wait_for_a_lock_leaves_the_line() {
    let lock = Arc::new(Mutex::new(0));
    let tasks = [true, false, true].map(|fickle| {
        let lock = lock.clone();
        spawn(async move {
            let guard =
                if fickle { maybe_dropped(lock.lock()).await } else { Some(lock.lock().await) };
            let Some(mut guard) = guard else { return 0 };
            *guard += 1;
            sleep(MILLI).await;
            1
        })
    });
    let mut counted = 0;
    for task in tasks {
        counted += task.await.unwrap();
    }
    assert_eq!(*lock.lock().await, counted);
}

#[towpath::test]
async fn a_dropped_reader_or_writer_keeps_nobody_out() {
    let lock = Arc::new(RwLock::new(0));
    let (writer, reader) = (lock.clone(), lock.clone());
    let writer = spawn(async move {
        if let Some(mut guard) = maybe_dropped(writer.write()).await {
            *guard += 1;
        }
    });
    let reader = spawn(async move {
        if let Some(guard) = maybe_dropped(reader.read()).await {
            sleep(MILLI).await;
            drop(guard);
        }
    });
    let read = *lock.read().await;
    *lock.write().await += 10;
    writer.await.unwrap();
    reader.await.unwrap();
    assert!(read <= 1 && [10, 11].contains(&*lock.read().await));
}

#[towpath::test]
async fn a_dropped_acquire_keeps_no_permit() {
    let permits = Arc::new(Semaphore::new(2));
    let tasks = [(1, true), (2, true), (2, false), (1, false)].map(|(count, fickle)| {
        let permits = permits.clone();
        spawn(async move {
            if fickle {
                drop(maybe_dropped(permits.acquire(count)).await);
            } else {
                let held = permits.acquire(count).await.unwrap();
                assert_eq!(held.permits(), count);
                sleep(MILLI).await;
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(permits.available_permits(), 2);
}

/// One notice for two who wait: if the one who has been given it leaves, it is the other one's.
#[towpath::test]
async fn a_dropped_wait_passes_its_notice_on() {
    let notify = Arc::new(Notify::new());
    let fickle = notify.clone();
    let fickle = spawn(async move {
        if maybe_dropped(fickle.notified()).await.is_some() {
            fickle.notify_one();
        }
    });
    let steady = notify.clone();
    let steady = spawn(async move { steady.notified().await });
    notify.notify_one();
    steady.await.unwrap();
    // The other one may have stayed.
    notify.notify_one();
    fickle.await.unwrap();
}

/// One who leaves before the barrier is full has not come; one who leaves when it is full has let the others go.
#[towpath::test]
async fn a_dropped_wait_at_a_barrier_does_not_count() {
    let barrier = Arc::new(Barrier::new(2));
    let fickle = barrier.clone();
    let fickle = spawn(async move { maybe_dropped(fickle.wait()).await.is_some() });
    let steady = barrier.clone();
    let mut steady = spawn(async move { steady.wait().await.is_leader() });
    if !fickle.await.unwrap() {
        select! {
            it = select::future(&mut steady) => { it.unwrap(); return }
            _ = select::future(barrier.wait()) => {}
        }
    }
    steady.await.unwrap();
}

#[towpath::test]
async fn others_may_stop_waiting_for_a_group_or_a_context() {
    let group = WaitGroup::new();
    let (ctx, canceller) = Ctx::root().with_cancel();
    let work = group.add();
    let (others, theirs) = (group.clone(), ctx.clone());
    let fickle = spawn(async move {
        maybe_dropped(others.wait()).await;
        maybe_dropped(theirs.done()).await;
    });
    let steady = spawn(async move {
        group.wait().await;
        ctx.done().await
    });
    drop(work);
    canceller.cancel("enough");
    fickle.await.unwrap();
    assert_eq!(steady.await.unwrap().to_string(), "cancelled: enough");
}

#[towpath::test]
async fn a_dropped_join_leaves_the_process_alone() {
    let ended = scope(&Ctx::root(), |s| async move {
        let (tx, mut rx) = towpath::unbounded();
        let mut join = s.spawn("worker", move |_| async move {
            sleep(MILLI).await;
            tx.send(1).await?;
            Ok::<_, BoxError>(2)
        });
        let value = maybe_dropped(&mut join).await;
        let value = match value {
            Some(value) => value?,
            None => join.await?,
        };
        assert_eq!((rx.recv().await, value), (Some(1), 2));
        Ok(())
    });
    ended.await.unwrap();
}

#[towpath::test]
async fn a_dropped_tick_is_not_lost() {
    let start = towpath::rt::now();
    let mut ticks = tick(MILLI);
    for number in 1..=3 {
        let due = loop {
            if let Some(due) = maybe_dropped(ticks.recv()).await {
                break due;
            }
        };
        // Late ones are skipped, so it may be a later one; and always a whole number of periods.
        assert_eq!((due - start).as_nanos() % MILLI.as_nanos(), 0);
        assert!(due - start >= number * MILLI);
    }
}
