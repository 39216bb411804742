//! Many parties at once, at random; clean under ThreadSanitizer, which sees what only the lock protects.

use std::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    task::Poll,
    thread,
    time::Duration,
};

use towpath::{
    after, select, select_blocking,
    sync::{Barrier, Mutex, Notify, RwLock, RwLockWriteGuard, Semaphore, WaitGroup},
};

use crate::harness::{Job, Rng, Task, impatiently, run_tasks, watchdog, yield_now};

/// Steps of each party; fewer where each instruction is watched.
const STEPS: u64 = if cfg!(debug_assertions) { 400 } else { 4_000 };
const PARTIES: u64 = 4;

/// Two words that agree whenever nobody is at them.
#[derive(Default)]
struct Twins {
    one: u64,
    other: u64,
}

impl Twins {
    fn step(&mut self) {
        assert_eq!(self.one, self.other, "somebody else is at it");
        self.one += 1;
        std::hint::black_box(&self.one);
        self.other += 1;
    }
}

/// As `thread::scope`, but each thread is joined: the sanitizer sees that, and not how a scope waits.
fn scope<'env>(f: impl for<'s> FnOnce(&mut Threads<'s, 'env>)) {
    thread::scope(|scope| {
        let mut threads = Threads { scope, joins: Vec::new() };
        f(&mut threads);
        threads.joins.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

struct Threads<'s, 'env> {
    scope: &'s thread::Scope<'s, 'env>,
    joins: Vec<thread::ScopedJoinHandle<'s, ()>>,
}

impl<'s> Threads<'s, '_> {
    fn spawn(&mut self, f: impl FnOnce() + Send + 's) {
        self.joins.push(self.scope.spawn(f));
    }
}

/// One way or another of taking a mutex and adding one. False: it was given up.
async fn step_of_task(mutex: &Mutex<Twins>, notify: &Notify, rng: &mut Rng) -> bool {
    match rng.below(6) {
        0 => mutex.try_lock().map(|mut twins| twins.step()).is_some(),
        1 => impatiently(mutex.lock(), rng.below(3)).await.map(|mut twins| twins.step()).is_some(),
        // No timer: the sanitizer does not see into the lock of the thread that rings.
        2 => select! {
            mut twins = mutex.lock() => { twins.step(); true }
            _ = select::future(patient(rng.below(3))) => false,
        },
        3 => select! {
            () = notify.notified() => { notify.notify_one(); false }
            mut twins = mutex.lock() => { twins.step(); true }
        },
        4 => {
            let mut twins = mutex.lock().await;
            twins.step();
            yield_now().await;
            true
        }
        _ => {
            mutex.lock().await.step();
            true
        }
    }
}

fn step_of_thread(mutex: &Mutex<Twins>, notify: &Notify, rng: &mut Rng) -> bool {
    match rng.below(4) {
        0 => mutex.try_lock().map(|mut twins| twins.step()).is_some(),
        1 => select_blocking! {
            mut twins = mutex.lock() => { twins.step(); true }
            _ = after(Duration::from_nanos(rng.below(20_000))) => false,
        },
        2 => select_blocking! {
            () = notify.notified() => { notify.notify_one(); false }
            mut twins = mutex.lock() => { twins.step(); true }
        },
        _ => {
            mutex.lock_blocking().step();
            true
        }
    }
}

#[test]
fn stress_mutex() {
    watchdog(300, || {
        let mut rng = Rng::announced();
        let (mutex, notify) = (Mutex::new(Twins::default()), Notify::new());
        notify.notify_one();
        let done = AtomicU64::new(0);
        scope(|s| {
            for _ in 0..2 {
                let mut rngs: Vec<_> = (0..PARTIES).map(|_| rng.fork()).collect();
                let (mutex, notify, done) = (&mutex, &notify, &done);
                s.spawn(move || {
                    let jobs = rngs.iter_mut().map(|rng| {
                        Box::pin(async move {
                            for _ in 0..STEPS {
                                let counts = step_of_task(mutex, notify, rng).await;
                                done.fetch_add(counts.into(), Ordering::Relaxed);
                            }
                        }) as Job<'_>
                    });
                    run_tasks(jobs.collect());
                });
                let mut rng = rng.fork();
                s.spawn(move || {
                    for _ in 0..STEPS {
                        let counts = step_of_thread(mutex, notify, &mut rng);
                        done.fetch_add(counts.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        let twins = mutex.into_inner();
        assert_eq!((twins.one, twins.other), (done.load(Ordering::Relaxed), twins.one));
        // The one notice that went round is still there, once.
        assert!(select_blocking! { () = notify.notified() => true, default => false });
        assert!(!select_blocking! { () = notify.notified() => true, default => false });
    });
}

#[test]
fn stress_rwlock() {
    watchdog(300, || {
        let mut rng = Rng::announced();
        let lock = RwLock::new(Twins::default());
        let written = AtomicU64::new(0);
        let reads = |twins: &Twins| assert_eq!(twins.one, twins.other, "read while written");
        let writes = |twins: &mut Twins| {
            twins.step();
            written.fetch_add(1, Ordering::Relaxed);
        };
        scope(|s| {
            for _ in 0..2 {
                let mut rng1 = rng.fork();
                let lock = &lock;
                s.spawn(move || {
                    for _ in 0..STEPS {
                        match rng1.below(4) {
                            0 => writes(&mut lock.write_blocking()),
                            1 => {
                                let mut guard = lock.write_blocking();
                                writes(&mut guard);
                                reads(&RwLockWriteGuard::downgrade(guard));
                            }
                            2 => select_blocking! {
                                guard = lock.read() => reads(&guard),
                                mut guard = lock.write() => writes(&mut guard),
                                _ = after(Duration::from_nanos(rng1.below(20_000))) => {}
                            },
                            _ => reads(&lock.read_blocking()),
                        }
                    }
                });
                let mut rngs: Vec<_> = (0..PARTIES).map(|_| rng.fork()).collect();
                s.spawn(move || {
                    let jobs = rngs.iter_mut().map(|rng| {
                        Box::pin(async move {
                            for _ in 0..STEPS {
                                match rng.below(4) {
                                    0 => writes(&mut *lock.write().await),
                                    1 => {
                                        let guard = lock.read().await;
                                        yield_now().await;
                                        reads(&guard);
                                    }
                                    2 => {
                                        if let Some(mut guard) =
                                            impatiently(lock.write(), rng.below(3)).await
                                        {
                                            writes(&mut guard);
                                        }
                                    }
                                    _ => {
                                        if let Some(guard) =
                                            impatiently(lock.read(), rng.below(3)).await
                                        {
                                            reads(&guard);
                                        }
                                    }
                                }
                            }
                        }) as Job<'_>
                    });
                    run_tasks(jobs.collect());
                });
            }
        });
        assert_eq!(lock.into_inner().one, written.into_inner());
    });
}

/// Words of which each is touched only by those who hold enough permits: with four of four, all of them.
#[test]
fn stress_semaphore() {
    const PERMITS: usize = 4;
    watchdog(300, || {
        let mut rng = Rng::announced();
        let semaphore = Semaphore::new(PERMITS);
        let inside = AtomicUsize::new(0);
        let enter = |permits: usize| {
            let now = inside.fetch_add(permits, Ordering::Relaxed) + permits;
            assert!(now <= PERMITS, "{now} permits are out");
            inside.fetch_sub(permits, Ordering::Relaxed);
        };
        scope(|s| {
            for _ in 0..2 {
                let (semaphore, mut rng1) = (&semaphore, rng.fork());
                s.spawn(move || {
                    for _ in 0..STEPS {
                        let want = rng1.below(PERMITS as u64 + 1) as usize;
                        if rng1.one_in(2) {
                            let permit = semaphore.acquire_blocking(want).unwrap();
                            enter(permit.permits());
                        } else if let Ok(permit) = semaphore.try_acquire(want) {
                            enter(permit.permits());
                        }
                    }
                });
                let mut rngs: Vec<_> = (0..PARTIES).map(|_| rng.fork()).collect();
                s.spawn(move || {
                    let jobs = rngs.iter_mut().map(|rng| {
                        Box::pin(async move {
                            for _ in 0..STEPS {
                                let want = rng.below(PERMITS as u64 + 1) as usize;
                                let less = rng.below(PERMITS as u64 + 1) as usize;
                                let patience = rng.below(3);
                                let got = select! {
                                    got = semaphore.acquire(want) => Some(got),
                                    got = semaphore.acquire(less) => Some(got),
                                    _ = select::future(patient(patience)) => None,
                                };
                                if let Some(permit) = got {
                                    enter(permit.unwrap().permits());
                                }
                            }
                        }) as Job<'_>
                    });
                    run_tasks(jobs.collect());
                });
            }
        });
        assert_eq!(semaphore.available_permits(), PERMITS);
    });
}

/// Done after so many turns of the other tasks.
async fn patient(turns: u64) {
    for _ in 0..turns {
        yield_now().await;
    }
}

/// Each notice is for one who waits, or kept if nobody does: as many are told as were sent, if each is answered before
/// the next is sent; and a call reaches all.
#[test]
fn stress_notify() {
    watchdog(300, || {
        let (question, answer, end) = (Notify::new(), Notify::new(), Notify::new());
        let answered = AtomicU64::new(0);
        scope(|s| {
            for i in 0..2 {
                let end_comes = end.notified();
                let (question, answer, answered) = (&question, &answer, &answered);
                s.spawn(move || {
                    let mut end_comes = std::pin::pin!(end_comes);
                    let told = || {
                        answered.fetch_add(1, Ordering::Relaxed);
                        answer.notify_one();
                    };
                    if i == 0 {
                        loop {
                            select_blocking! {
                                () = question.notified() => told(),
                                () = end_comes.as_mut() => break,
                            }
                        }
                    } else {
                        run_tasks(vec![Box::pin(async {
                            loop {
                                select! {
                                    () = question.notified() => told(),
                                    () = end_comes.as_mut() => break,
                                }
                            }
                        })]);
                    }
                });
            }
            for _ in 0..STEPS {
                question.notify_one();
                answer.notified_blocking();
            }
            end.notify_waiters();
        });
        assert_eq!(answered.into_inner(), STEPS);
    });
}

/// What nobody locks: each writes its own word before the barrier and reads all of them behind it.
#[test]
fn stress_barrier() {
    struct Words([UnsafeCell<u64>; 4]);
    #[expect(unsafe_code, reason = "what is shared without a lock is what the sanitizer watches")]
    // SAFETY: each word is written by its owner before a barrier and read by all between it and the next.
    unsafe impl Sync for Words {}

    watchdog(300, || {
        let words = Words([const { UnsafeCell::new(0) }; 4]);
        let barrier = Barrier::new(4);
        let write = |words: &Words, i: usize, round: u64| {
            #[expect(unsafe_code, reason = "as above")]
            // SAFETY: only the owner writes, and nobody reads before the barrier.
            unsafe {
                *words.0[i].get() = round;
            }
        };
        let check = |words: &Words, round: u64| {
            for word in &words.0 {
                #[expect(unsafe_code, reason = "as above")]
                // SAFETY: nobody writes between the two barriers.
                let seen = unsafe { *word.get() };
                assert_eq!(seen, round);
            }
        };
        scope(|s| {
            for i in 0..4 {
                let (words, barrier) = (&words, &barrier);
                s.spawn(move || {
                    for round in 1..=STEPS {
                        write(words, i, round);
                        if i % 2 == 0 {
                            barrier.wait_blocking();
                            check(words, round);
                            barrier.wait_blocking();
                        } else {
                            run_tasks(vec![Box::pin(async {
                                barrier.wait().await;
                            })]);
                            check(words, round);
                            run_tasks(vec![Box::pin(async {
                                barrier.wait().await;
                            })]);
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn stress_wait_group() {
    watchdog(300, || {
        for _ in 0..STEPS / 20 {
            let group = WaitGroup::new();
            let done = AtomicU64::new(0);
            let work: Vec<_> = (0..4).map(|_| group.add()).collect();
            let ends = [group.wait(), group.wait()];
            scope(|s| {
                for work in work {
                    let done = &done;
                    s.spawn(move || {
                        done.fetch_add(1, Ordering::Relaxed);
                        drop(work);
                    });
                }
                for end in ends {
                    s.spawn(|| {
                        run_tasks(vec![Box::pin(end)]);
                        assert_eq!(done.load(Ordering::Relaxed), 4);
                    });
                }
            });
        }
    });
}

/// A wait is polled here, goes to another thread, and ends there.
#[test]
fn stress_moved_futures() {
    watchdog(300, || {
        let (mutex, semaphore) = (Mutex::new(Twins::default()), Semaphore::new(0));
        let (a, b) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|s| {
            for _ in 0..STEPS / 20 {
                let held = mutex.lock_blocking();
                let mut wait = Box::pin(mutex.lock());
                let mut permit = Box::pin(semaphore.acquire(1));
                let task = Task::new();
                assert!(task.poll(wait.as_mut()).is_pending());
                assert!(matches!(task.poll(permit.as_mut()), Poll::Pending));
                let moved = s.spawn(|| {
                    run_tasks(vec![
                        Box::pin(async {
                            wait.await.step();
                            a.fetch_add(1, Ordering::Relaxed);
                        }),
                        Box::pin(async {
                            permit.await.unwrap().forget();
                            b.fetch_add(1, Ordering::Relaxed);
                        }),
                    ]);
                });
                drop(held);
                semaphore.add_permits(1);
                moved.join().unwrap();
            }
        });
        assert_eq!(a.into_inner(), b.into_inner());
    });
}
