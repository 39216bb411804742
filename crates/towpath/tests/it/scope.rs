//! Scopes: who is joined, what is reported, and what a dropped scope leaves behind.

use std::{
    error::Error as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use towpath::{BoxError, Cause, Ctx, Error, Join, Scope, block_on, process, rt, scope, select};

use crate::{
    harness::{Census, Polled, Task, run, runtime, watchdog, yield_now},
    memory,
};

/// Runs a scope on two workers, under a watchdog.
pub(crate) fn on_workers<V, F, Fut>(ctx: &Ctx, body: F) -> Result<V, Error>
where
    V: Send + 'static,
    F: FnOnce(Scope) -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, BoxError>> + Send + 'static,
{
    run(60, scope(ctx, body))
}

/// An error that names itself.
pub(crate) fn bad(what: &str) -> Result<(), io::Error> {
    Err(io::Error::other(what.to_owned()))
}

fn explode(why: &str) {
    panic!("{why}");
}

/// The line of the panic above.
const PANICS_AT: u32 = line!() - 4;

/// "process: text", for the first error and the later ones.
fn told(error: &Error) -> Vec<String> {
    let one = |error: &Error| match error {
        Error::Failed { process, source, .. } => format!("{process}: {source}"),
        Error::Panicked { process, message, .. } => format!("{process} panicked: {message}"),
        other => other.to_string(),
    };
    std::iter::once(one(error)).chain(error.later().iter().map(one)).collect()
}

#[test]
fn values_come_back_from_tasks_and_threads() {
    let sum = on_workers(&Ctx::root(), |s| async move {
        let joins: Vec<Join<u64>> = (1..=100)
            .map(|n| match n % 10 {
                0 => s.spawn_blocking("thread", move |_| Ok::<_, BoxError>(n)),
                _ => s.spawn("task", move |_| async move { Ok::<_, BoxError>(n) }),
            })
            .collect();
        let mut sum = 0;
        for join in joins {
            sum += join.await?;
        }
        Ok(sum)
    });
    assert_eq!(sum.unwrap(), 5_050);
}

#[test]
fn a_scope_waits_for_everybody_it_has_started_and_for_whom_they_start() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    on_workers(&Ctx::root(), |s| async move {
        for _ in 0..10 {
            let inner = s.clone();
            s.spawn("outer", |_| async move {
                yield_now().await;
                inner.spawn_blocking("inner", |_| {
                    ENDED.fetch_add(1, Ordering::SeqCst);
                });
            });
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(ENDED.load(Ordering::SeqCst), 10);
}

#[test]
fn the_first_error_stops_the_siblings_and_is_reported() {
    let error = on_workers(&Ctx::root(), |s| async move {
        for _ in 0..3 {
            s.spawn("patient", |ctx| async move { Err::<(), _>(ctx.done().await) });
            s.spawn_blocking("patient thread", |ctx| Err::<(), _>(ctx.done_blocking()));
        }
        s.spawn("driver", |_| async { bad("no fuel") });
        Ok(())
    })
    .unwrap_err();
    assert_eq!(told(&error), ["driver: no fuel"]);
    assert_eq!(error.to_string(), "process `driver` failed");
    assert_eq!(error.source().unwrap().to_string(), "no fuel");
    assert_eq!(error.process().unwrap(), "driver");
    assert!(!error.is_panic() && !error.is_cancelled());
}

#[test]
fn siblings_are_told_who_failed() {
    let (tx, mut rx) = towpath::unbounded();
    on_workers(&Ctx::root(), |s| async move {
        s.spawn("witness", |ctx| async move { tx.send(ctx.done().await).await });
        s.spawn("driver", |_| async { bad("no fuel") });
        Ok(())
    })
    .unwrap_err();
    match rx.try_recv().unwrap() {
        Cause::Failed { process, message, .. } => {
            assert_eq!((&*process, &*message), ("driver", "no fuel"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn later_errors_are_kept_in_order() {
    let error = on_workers(&Ctx::root(), |s| async move {
        s.spawn("second", |ctx| async move {
            ctx.done().await;
            bad("because of the first")
        });
        s.spawn("first", |_| async { bad("first") });
        Ok(())
    })
    .unwrap_err();
    assert_eq!(told(&error), ["first: first", "second: because of the first"]);
    assert_eq!(error.to_string(), "process `first` failed (and one more error came later)");

    let error = block_on(scope(&Ctx::root(), |_| async {
        Err::<(), _>(io::Error::other("the body").into())
    }));
    assert_eq!(told(&error.unwrap_err()), ["scope: the body"]);
}

#[test]
fn a_panic_is_an_error_with_process_message_and_place() {
    for blocking in [false, true] {
        let error = on_workers(&Ctx::root(), move |s| async move {
            s.spawn("patient", |ctx| async move { Err::<(), _>(ctx.done().await) });
            if blocking {
                s.spawn_blocking("driver", move |_| explode("no brakes"));
            } else {
                s.spawn("driver", move |_| async move { explode("no brakes") });
            }
            Ok(())
        })
        .unwrap_err();
        let Error::Panicked { process, message, at, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**process, &**message), ("driver", "no brakes"));
        let at = at.as_deref().unwrap();
        assert!(at.contains("scope.rs") && at.contains(&format!(":{PANICS_AT}:")), "{at}");
        assert!(error.is_panic() && error.later().is_empty());
        assert_eq!(error.to_string(), format!("process `driver` panicked at {at}: no brakes"));
    }
}

#[test]
fn a_panic_of_the_body_is_an_error_too() {
    let error = on_workers(&Ctx::root(), |s| async move {
        s.spawn("patient", |ctx| async move { Err::<(), _>(ctx.done().await) });
        if s.ctx().is_done() {
            return Ok(());
        }
        std::panic::panic_any(String::from("body"))
    });
    assert_eq!(told(&error.unwrap_err()), ["scope panicked: body"]);
    let error = block_on(scope(&Ctx::root(), |s| {
        assert!(s.ctx().is_done(), "before the future");
        async { Ok(()) }
    }));
    assert_eq!(told(&error.unwrap_err()), ["scope panicked: before the future"]);
}

#[test]
fn a_panic_poisons_nothing() {
    let ctx = Ctx::root().with_value(7_u8);
    for _ in 0..3 {
        on_workers(&ctx, |s| async move {
            s.spawn("driver", |_| async { explode("again") });
            Ok(())
        })
        .unwrap_err();
    }
    assert!(!ctx.is_done() && ctx.value::<u8>() == Some(&7));
    assert_eq!(on_workers(&ctx, |_| async { Ok(1) }).unwrap(), 1);
}

#[test]
fn panics_of_drops_are_reported_and_hang_nothing() {
    let census = Census::default();
    let (future, value) = (census.explosive(1), census.explosive(2));
    let error = on_workers(&Ctx::root(), |s| async move {
        // The first goes with the future, the second is a value nobody joins.
        s.spawn("future", move |_| async move { drop(future) });
        drop(s.spawn("value", move |_| async move { Ok::<_, BoxError>(value) }));
        Ok(())
    })
    .unwrap_err();
    let mut told = told(&error);
    told.sort();
    assert_eq!(told, ["future panicked: value 1 explodes", "value panicked: value 2 explodes"]);
    census.all_dropped_once();
}

#[test]
fn an_end_from_outside_cuts_short_or_not() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let error = on_workers(&ctx, |s| async move {
        s.spawn("patient", |ctx| async move { Err::<(), _>(ctx.done().await) });
        canceller.cancel("closing time");
        Ok(1)
    })
    .unwrap_err();
    assert!(error.is_cancelled() && error.process().is_none());
    assert_eq!(error.to_string(), "the context ended before the work was done");
    assert_eq!(error.source().unwrap().to_string(), "cancelled: closing time");
    // Who finishes all the same has finished.
    let done = on_workers(&ctx, |s| async move {
        s.spawn("quick", |ctx| async move { assert!(ctx.is_done()) });
        Ok(1)
    });
    assert_eq!(done.unwrap(), 1);
    // The body may be the one that is cut short.
    let error = on_workers(&ctx, |s| async move { Ok(s.ctx().check()?) }).unwrap_err();
    assert!(error.is_cancelled());
}

#[test]
fn a_scope_that_cancels_itself_has_its_bodys_result() {
    let value = on_workers(&Ctx::root(), |s| async move {
        s.spawn("patient", |ctx| async move { Err::<(), _>(ctx.done().await) });
        assert!(s.cancel("enough"));
        Ok("answer")
    });
    assert_eq!(value.unwrap(), "answer");
}

#[test]
fn a_cause_of_another_context_is_news() {
    let error = on_workers(&Ctx::root(), |s| async move {
        s.spawn("impatient", |ctx| async move {
            let late = ctx.with_deadline(rt::now());
            Err::<(), _>(late.done().await)
        });
        Ok(())
    });
    assert_eq!(told(&error.unwrap_err()), ["impatient: the deadline has passed"]);
}

#[test]
fn a_join_tells_why_there_is_no_value_and_the_scope_reports_it_once() {
    let error = on_workers(&Ctx::root(), |s| async move {
        let driver = s.spawn("driver", |_| async { bad("no fuel") });
        let cause = driver.await.unwrap_err();
        assert_eq!(cause.to_string(), "process `driver` failed: no fuel");
        Err::<(), _>(cause.into())
    });
    assert_eq!(told(&error.unwrap_err()), ["driver: no fuel"]);

    let (ctx, canceller) = Ctx::root().with_cancel();
    let error = on_workers(&ctx, |s| async move {
        canceller.cancel("closing time");
        let driver = s.spawn("driver", |_| async { explode("late") });
        Ok(driver.await?)
    });
    assert_eq!(told(&error.unwrap_err()), ["driver panicked: late"]);
}

#[test]
fn an_error_of_an_inner_scope_passes_as_it_is_through_a_body() {
    let error = on_workers(&Ctx::root(), |s| async move {
        let inner = scope(s.ctx(), |s| async move {
            s.spawn("inner", |_| async { bad("deep down") });
            Ok(())
        });
        Ok(inner.await?)
    });
    assert_eq!(told(&error.unwrap_err()), ["inner: deep down"]);

    let error = on_workers(&Ctx::root(), |s| async move {
        s.spawn("outer", |ctx| scope(&ctx, |_| async { Ok(bad("deep down")?) }));
        Ok(())
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "process `outer` failed");
    let inner = error.source().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(told(inner), ["outer: deep down"]);
}

#[test]
fn joins_are_arms_and_blocking_calls() {
    let total = on_workers(&Ctx::root(), |s| async move {
        let mut quick = s.spawn("quick", |_| async { Ok::<u8, BoxError>(1) });
        let mut never = s.spawn("never", |ctx| async move { Err::<u8, _>(ctx.done().await) });
        for _ in 0..1_000 {
            select! { biased; _ = &mut never => panic!("it waits"), default => {} }
        }
        let one = select! { one = &mut quick => one?, _ = &mut never => panic!("it waits") };
        let more = s.spawn_blocking("asks", |_| Ok::<u8, BoxError>(2));
        let two = s.spawn_blocking("blocks", move |_| more.join_blocking()).await?;
        assert!(!never.is_finished());
        s.cancel("enough");
        assert!(select! { never = never => never.is_err() });
        Ok(one + two)
    });
    assert_eq!(total.unwrap(), 3);
}

#[test]
fn waiting_for_a_join_and_giving_up_costs_no_memory() {
    let mut kept = None;
    let mut running = Polled::new(scope(&Ctx::root(), |s| async move {
        let mut join = s.spawn("waits", |ctx| async move { Err::<(), _>(ctx.done().await) });
        let task = Task::new();
        let mut round = || assert!(task.poll(Pin::new(&mut join)).is_pending());
        round();
        assert_eq!(memory::allocations(|| (0..100_000).for_each(|_| round())), 0);
        s.cancel("enough");
        Ok(())
    }));
    watchdog(30, || {
        while kept.is_none() {
            if let std::task::Poll::Ready(result) = running.poll() {
                kept = Some(result);
            }
            thread::yield_now();
        }
    });
    kept.unwrap().unwrap();
}

#[test]
fn processes_know_who_they_are_and_numbers_are_unique() {
    assert_eq!(process::current(), None);
    let who = || process::current().unwrap();
    let ids = on_workers(&Ctx::root(), move |s| async move {
        assert_eq!(process::current(), None);
        let mut joins = Vec::new();
        for n in 0..100 {
            let name = format!("p{n}");
            joins.push(s.spawn(name.clone(), move |_| async move {
                let before = who();
                yield_now().await;
                assert_eq!((who(), &*name), (before.clone(), &**before.name()));
                Ok::<_, BoxError>(before.id())
            }));
        }
        joins.push(s.spawn_blocking("thread", move |_| {
            assert_eq!(who().to_string(), format!("thread#{}", who().id()));
            assert_eq!(thread::current().name(), Some("thread"));
            Ok::<_, BoxError>(who().id())
        }));
        let mut ids = Vec::new();
        for join in joins {
            ids.push(join.await?);
        }
        Ok(ids)
    });
    let mut ids = ids.unwrap();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), process::current()), (count, None));
}

#[test]
fn what_a_process_drops_it_drops_under_its_name() {
    struct Witness(Arc<AtomicBool>);
    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.store(process::current().unwrap().name() == "owner", Ordering::SeqCst);
        }
    }
    let seen = Arc::new(AtomicBool::new(false));
    let witness = Witness(seen.clone());
    let mut dropped = Polled::new(scope(&Ctx::root(), |s| async move {
        s.spawn("owner", |_| async move {
            let _witness = witness;
            std::future::pending::<()>().await;
        });
        Ok(())
    }));
    let runtime = runtime();
    let _inside = runtime.enter();
    assert!(dropped.poll().is_pending());
    drop(dropped);
    assert!(seen.load(Ordering::SeqCst));
}

#[test]
fn a_thread_works_inside_the_scopes_runtime() {
    on_workers(&Ctx::root(), |s| async move {
        s.spawn_blocking("thread\0with a zero", |_| {
            let task = rt::spawn(async { tokio::runtime::Handle::try_current().is_ok() });
            assert!(task.join().unwrap());
        });
        Ok(())
    })
    .unwrap();
}

#[test]
fn more_blocking_threads_than_a_pool_has_may_wait_for_each_other() {
    const RING: usize = 600;
    on_workers(&Ctx::root(), |s| async move {
        let (first, mut rx) = towpath::rendezvous::<usize>();
        for _ in 0..RING {
            let (tx, next) = towpath::rendezvous();
            let mut before = std::mem::replace(&mut rx, next);
            s.spawn_blocking("link", move |_| {
                let passed = before.recv_blocking().unwrap_or_default();
                tx.send_blocking(passed + 1)
            });
        }
        first.send(0).await?;
        assert_eq!(rx.recv().await, Some(RING));
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_dropped_scope_drops_its_futures_and_waits_for_its_threads() {
    let runtime = runtime();
    watchdog(60, || {
        let census = Census::default();
        let threads = Arc::new(AtomicUsize::new(0));
        let (parked, mut ready) = towpath::unbounded();
        let (values, ended) = (census.clone(), threads.clone());
        let ctx = Ctx::root();
        let mut running = Polled::new(scope(&ctx, move |s| async move {
            for id in 0..100 {
                let (value, parked) = (values.value(id), parked.clone());
                s.spawn("task", move |_| async move {
                    let _value = value;
                    parked.send(()).await?;
                    std::future::pending::<Result<(), BoxError>>().await
                });
            }
            for id in 100..104 {
                let (value, parked, ended) = (values.value(id), parked.clone(), ended.clone());
                s.spawn_blocking("thread", move |ctx| {
                    let _value = value;
                    parked.send_blocking(()).unwrap();
                    assert!(matches!(ctx.done_blocking(), Cause::Stopped));
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
            Ok(())
        }));
        {
            let _inside = runtime.enter();
            assert!(running.poll().is_pending());
        }
        (0..104).for_each(|_| ready.recv_blocking().unwrap());
        drop(running);
        census.all_dropped_once();
        assert_eq!(threads.load(Ordering::SeqCst), 4);
        assert!(!ctx.is_done(), "only the scope's own context has ended");
    });
}

/// Not only the futures are gone: the runtime's own tasks end too, although nobody will ever wake them.
#[test]
fn a_dropped_scope_leaves_no_task_with_the_runtime() {
    watchdog(60, || {
        let runtime = runtime();
        runtime.block_on(async {
            let (waits, mut waiting) = towpath::unbounded();
            let mut parked = Box::pin(scope(&Ctx::root(), |s| async move {
                for _ in 0..8 {
                    let waits = waits.clone();
                    s.spawn("parked", |_| async move {
                        waits.send(()).await.unwrap();
                        std::future::pending::<()>().await;
                    });
                }
                Ok(())
            }));
            select! {
                _ = select::future(&mut parked) => unreachable!("its processes wait for ever"),
                _ = select::future(async { for _ in 0..8 { waiting.recv().await; } }) => {}
            }
            drop(parked);
            while runtime.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        });
    });
}

#[test]
fn a_dropped_scope_lets_a_poll_that_is_under_way_finish() {
    let runtime = runtime();
    watchdog(60, || {
        let (entered, mut inside) = towpath::unbounded();
        let finished = Arc::new(AtomicBool::new(false));
        let flag = finished.clone();
        let mut running = Polled::new(scope(&Ctx::root(), move |s| async move {
            s.spawn("busy", move |ctx| async move {
                entered.send_blocking(()).unwrap();
                while !ctx.is_done() {
                    thread::yield_now();
                }
                flag.store(true, Ordering::SeqCst);
                std::future::pending::<()>().await;
            });
            Ok(())
        }));
        {
            let _inside = runtime.enter();
            assert!(running.poll().is_pending());
        }
        inside.recv_blocking().unwrap();
        drop(running);
        assert!(finished.load(Ordering::SeqCst));
        // The sender went with the future.
        assert_eq!(inside.recv_blocking(), None);
    });
}

#[test]
fn a_process_that_drops_its_own_scope_ends_when_it_returns() {
    run(60, async {
        type Running = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
        let cell: Arc<std::sync::Mutex<Option<Running>>> = Arc::default();
        let (inner, census) = (cell.clone(), Census::default());
        let (value, other) = (census.value(1), census.value(2));
        let (gone, mut wait) = towpath::unbounded::<()>();
        let running = scope(&Ctx::root(), move |s| async move {
            s.spawn("other", |_| async move {
                let _other = other;
                std::future::pending::<()>().await;
            });
            s.spawn("saws", |_| async move {
                let (_value, _gone) = (value, gone);
                let branch = loop {
                    if let Some(branch) = inner.lock().unwrap().take() {
                        break branch;
                    }
                    yield_now().await;
                };
                drop(branch);
                std::future::pending::<()>().await;
            });
            Ok(())
        });
        let mut running: Running = Box::pin(running);
        assert!(Task::new().poll(running.as_mut()).is_pending());
        *cell.lock().unwrap() = Some(running);
        assert_eq!(wait.recv().await, None);
        drop(cell);
        while census.alive() > 0 {
            yield_now().await;
        }
        census.all_dropped_once();
    });
}

#[test]
fn a_scope_that_has_ended_starts_nothing() {
    let leaked = on_workers(&Ctx::root(), |s| async move { Ok(s) }).unwrap();
    let census = Census::default();
    let value = census.value(1);
    let join = leaked.spawn("late", move |_| async move {
        drop(value);
        explode("it should not run");
    });
    assert!(join.is_finished());
    census.all_dropped_once();
    assert!(join.join_blocking().is_err());
}

#[test]
fn a_runtime_that_shuts_down_is_an_error_and_no_hang() {
    watchdog(60, || {
        let runtime = runtime();
        let (started, mut wait) = towpath::unbounded();
        let mut running = Polled::new(scope(&Ctx::root(), |s| async move {
            s.spawn("orphan", |_| async move {
                started.send(()).await.unwrap();
                std::future::pending::<()>().await;
            });
            Ok(())
        }));
        {
            let _inside = runtime.enter();
            assert!(running.poll().is_pending());
        }
        wait.recv_blocking().unwrap();
        drop(runtime);
        let error = block_on(std::future::poll_fn(|_| running.poll())).unwrap_err();
        assert!(told(&error)[0].starts_with("orphan: its runtime gave it up"), "{error:?}");
    });
}

#[test]
fn processes_run_without_any_runtime() {
    watchdog(60, || {
        let sum = block_on(scope(&Ctx::root(), |s| async move {
            let (tx, mut rx) = towpath::rendezvous::<u32>();
            s.spawn("task on a thread", |_| async move { tx.send(40).await });
            let two = s.spawn_blocking("thread", |_| Ok::<u32, BoxError>(2)).await?;
            Ok(rx.recv().await.unwrap_or_default() + two)
        }));
        assert_eq!(sum.unwrap(), 42);
    });
}

/// Who is said to have failed first, and how many came later: a waiter whose send has failed, or the kitchen that had the
/// receiver and fails after that, on a thread or in a later turn of a task.
async fn whose_failure(on_a_thread: bool) -> (String, usize) {
    const BURNS: &str = "the kitchen burns";
    let (tx, rx) = towpath::rendezvous::<u32>();
    let failed = scope(&Ctx::root(), |s| async move {
        s.spawn("waiter", |_| async move {
            tx.send(1).await?;
            Ok::<(), BoxError>(())
        });
        if on_a_thread {
            s.spawn_blocking("kitchen", move |ctx| {
                drop(rx);
                while !ctx.is_done() {
                    thread::yield_now();
                }
                Err::<(), BoxError>(BURNS.into())
            });
        } else {
            s.spawn("kitchen", move |ctx| async move {
                drop(rx);
                ctx.done().await;
                yield_now().await;
                Err::<(), BoxError>(BURNS.into())
            });
        }
        Ok(())
    });
    let error = failed.await.unwrap_err();
    (error.process().unwrap().to_string(), error.later().len())
}

#[test]
fn a_failure_goes_before_the_failed_send_that_echoes_it() {
    assert_eq!(run(60, whose_failure(true)), ("kitchen".to_owned(), 1));
    // What happens in a later turn has not caused it.
    assert_eq!(run(60, whose_failure(false)), ("waiter".to_owned(), 1));
}
