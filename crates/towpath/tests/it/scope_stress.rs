//! Contexts and scopes with many parties at once, at random; clean under ThreadSanitizer. Every name starts with
//! `stress_`, for `cargo test -- stress`.
//!
//! Plain threads and atomics only, and no timers: the sanitizer does not see into the locks of tokio and std. Deadlines
//! that meet cancels are in `ctx.rs`.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use towpath::{BoxError, Cause, Ctx, Error, block_on, scope, select, select_blocking};

use crate::harness::{Census, Job, Rng, Task, impatiently, run_tasks, watchdog, yield_now};

/// Rounds are fewer where each instruction is watched.
const ROUNDS: u64 = if cfg!(debug_assertions) { 40 } else { 400 };

/// A random relative of `ctx`.
fn relative(ctx: &Ctx, rng: &mut Rng) -> Ctx {
    match rng.below(4) {
        0 => ctx.clone(),
        1 => ctx.child(),
        2 => ctx.with_value(rng.next()).child(),
        _ => ctx.with_cancel().0,
    }
}

/// Makes, drops, looks at and waits for relatives of `ctx` until it ends.
async fn wander(ctx: Ctx, mut rng: Rng) {
    let mut family = vec![ctx.clone()];
    while !ctx.is_done() {
        let at = rng.below(family.len() as u64) as usize;
        match rng.below(6) {
            0 | 1 if family.len() < 32 => family.push(relative(&family[at], &mut rng)),
            0..=2 if family.len() > 1 => drop(family.swap_remove(at)),
            3 => {
                let (child, canceller) = family[at].with_cancel();
                let below = child.child();
                assert!(canceller.cancel("own") || ctx.is_done());
                assert!(below.is_done());
            }
            4 => drop(impatiently(family[at].done(), rng.below(3)).await),
            _ => yield_now().await,
        }
    }
    for relative in family {
        // A pass that another thread is in the middle of may not have come here yet.
        let cause = relative.done().await;
        assert!(!cause.is_running());
    }
}

#[test]
fn stress_families_come_and_go_while_somebody_cancels() {
    watchdog(300, || {
        let mut rng = Rng::announced();
        for _ in 0..ROUNDS {
            let (ctx, canceller) = Ctx::root().with_cancel();
            thread::scope(|threads| {
                for _ in 0..3 {
                    let (ctx, mut rng) = (ctx.clone(), rng.fork());
                    threads.spawn(move || {
                        let jobs: Vec<Job<'_>> = (0..3)
                            .map(|_| Box::pin(wander(ctx.clone(), rng.fork())) as Job<'_>)
                            .collect();
                        run_tasks(jobs);
                    });
                }
                for _ in 0..rng.below(200) {
                    thread::yield_now();
                }
                canceller.cancel("all");
            });
        }
    });
}

#[test]
fn stress_everybody_who_waits_is_told() {
    watchdog(300, || {
        for round in 0..ROUNDS {
            let (ctx, canceller) = Ctx::root().with_cancel();
            let told = AtomicUsize::new(0);
            let note = AtomicU64::new(0);
            thread::scope(|threads| {
                let (told, note) = (&told, &note);
                let hear = move |cause: &Cause| {
                    assert!(matches!(cause, Cause::Cancelled(_)));
                    assert_eq!(note.load(Ordering::Relaxed), round + 1, "what came before the end");
                    told.fetch_add(1, Ordering::SeqCst);
                };
                for kind in 0..4 {
                    let below = if kind % 2 == 0 { ctx.child() } else { ctx.clone() };
                    threads.spawn(move || {
                        let (_tx, mut rx) = towpath::bounded::<u8>(1);
                        match kind {
                            0 => hear(&below.done_blocking()),
                            1 => hear(&select_blocking! {
                                _ = rx.recv() => unreachable!("nobody sends"),
                                cause = below.done() => cause,
                            }),
                            2 => hear(&block_on(async { below.done().await })),
                            _ => hear(&block_on(async {
                                select! {
                                    _ = rx.recv() => unreachable!("nobody sends"),
                                    cause = below.done() => cause,
                                }
                            })),
                        }
                    });
                }
                note.store(round + 1, Ordering::Relaxed);
                canceller.cancel("now");
            });
            assert_eq!(told.load(Ordering::SeqCst), 4);
        }
    });
}

/// A wait that one thread begins, a second polls on, and a third finishes.
#[test]
fn stress_done_moves_between_threads() {
    watchdog(300, || {
        for _ in 0..ROUNDS {
            let (ctx, canceller) = Ctx::root().with_cancel();
            let mut wait = Box::pin(ctx.done());
            thread::scope(|threads| {
                let first = threads.spawn(|| canceller.cancel("now"));
                if Task::new().poll(wait.as_mut()).is_pending() {
                    let second = threads.spawn(move || {
                        let ended = Task::new().poll(wait.as_mut()).is_ready();
                        (!ended).then_some(wait)
                    });
                    if let Some(wait) = second.join().unwrap() {
                        assert!(matches!(block_on(wait), Cause::Cancelled(_)));
                    }
                }
                // By hand: ThreadSanitizer sees a join, and not how a scope of std waits for its threads.
                first.join().unwrap();
            });
        }
    });
}

/// What one process of the stress below does, and with what it ends.
async fn errand(
    ctx: Ctx,
    mut rng: Rng,
    census: Census,
    next: Arc<AtomicU64>,
) -> Result<(), BoxError> {
    let _value = census.value(next.fetch_add(1, Ordering::Relaxed));
    match rng.below(8) {
        0 => Err("failed".into()),
        1 | 2 => Err(ctx.done().await.into()),
        _ => {
            for _ in 0..rng.below(20) {
                yield_now().await;
            }
            Ok(ctx.check()?)
        }
    }
}

#[test]
fn stress_scopes_end_dropped_or_joined_with_nothing_left() {
    watchdog(300, || {
        let mut rng = Rng::announced();
        for _ in 0..ROUNDS {
            let census = Census::default();
            let next = Arc::new(AtomicU64::new(0));
            let (ctx, canceller) = Ctx::root().with_cancel();
            let (mut inner, values) = (rng.fork(), census.clone());
            let running = scope(&ctx, move |s| async move {
                for n in 0..6 {
                    let (rng, values, next) = (inner.fork(), values.clone(), next.clone());
                    let job = move |ctx| errand(ctx, rng, values, next);
                    if n % 3 == 0 {
                        s.spawn_blocking("thread", move |ctx| block_on(job(ctx)));
                    } else {
                        s.spawn("task", job);
                    }
                }
                if inner.one_in(2) {
                    yield_now().await;
                }
                Ok(())
            });
            let ended = block_on(async {
                let mut running = pin!(running);
                match impatiently(running.as_mut(), rng.below(4)).await {
                    None if rng.one_in(2) => None,
                    None => {
                        canceller.cancel("closing time");
                        Some(running.await)
                    }
                    ended => ended,
                }
            });
            // However it ended: nobody is left, and every value has been dropped once.
            if let Some(Err(error)) = ended {
                assert!(!matches!(error, Error::Panicked { .. }), "{error:?}");
            }
            census.all_dropped_once();
        }
    });
}

#[test]
fn stress_joins_of_one_process_by_another() {
    watchdog(300, || {
        for _ in 0..ROUNDS {
            let sum = block_on(scope(&Ctx::root(), |s| async move {
                let mut last = s.spawn("first", |_| async { Ok::<u64, Cause>(1) });
                for n in 0..6 {
                    last = if n % 2 == 0 {
                        s.spawn("next", |_| async move { Ok::<_, Cause>(last.await? + 1) })
                    } else {
                        s.spawn_blocking("next", |_| Ok::<_, Cause>(last.join_blocking()? + 1))
                    };
                }
                Ok(last.await?)
            }));
            assert_eq!(sum.unwrap(), 7);
        }
    });
}

#[test]
fn stress_a_failure_reaches_all_and_comes_first() {
    type Ended = Pin<Box<dyn Future<Output = Result<(), Error>>>>;
    watchdog(300, || {
        for _ in 0..ROUNDS {
            let ended: Ended = Box::pin(scope(&Ctx::root(), |s| async move {
                for _ in 0..4 {
                    s.spawn("patient", |ctx| async move { Err::<(), _>(ctx.done().await) });
                }
                s.spawn_blocking("driver", |_| Err::<(), BoxError>("no fuel".into()));
                s.spawn("copilot", |_| async { Err::<(), BoxError>("no map".into()) });
                Ok(())
            }));
            let error = block_on(ended).unwrap_err();
            let mut names = vec![error.process().unwrap().to_string()];
            names.extend(error.later().iter().map(|later| later.process().unwrap().to_string()));
            names.sort();
            assert_eq!(names, ["copilot", "driver"]);
        }
    });
}
