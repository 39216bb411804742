//! Scopes that are deep, wide or many.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use towpath::{Ctx, Error, scope};

use crate::{
    harness::{Polled, run, runtime, watchdog},
    memory,
    scope::{bad, on_workers},
};

const AN_HOUR: Duration = Duration::from_secs(3600);

#[test]
fn scopes_nest_a_thousand_deep() {
    fn nested(ctx: Ctx, depth: u64) -> Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>> {
        Box::pin(async move {
            scope(&ctx, |s| async move {
                if depth == 0 {
                    return Ok(0);
                }
                Ok(1 + s.spawn("below", move |ctx| nested(ctx, depth - 1)).await?)
            })
            .await
        })
    }
    assert_eq!(run(60, nested(Ctx::root(), 1_000)).unwrap(), 1_000);
}

/// A nest of scopes whose innermost process counts up and waits for ever.
fn waits(
    ctx: Ctx,
    depth: u64,
    bottom: Arc<AtomicU64>,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
    struct OnDrop(Arc<AtomicU64>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    Box::pin(scope(&ctx, move |s| async move {
        let _gone = OnDrop(bottom.clone());
        if depth == 0 {
            bottom.fetch_add(1_000_000, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        s.spawn("below", move |ctx| waits(ctx, depth - 1, bottom));
        std::future::pending::<()>().await;
        Ok(())
    }))
}

#[test]
fn a_nest_of_a_thousand_is_dropped_at_once_and_needs_no_deep_stack() {
    let runtime = runtime();
    watchdog(60, || {
        let bottom = Arc::new(AtomicU64::new(0));
        let mut running = Polled::new(waits(Ctx::root(), 1_000, bottom.clone()));
        {
            let _inside = runtime.enter();
            assert!(running.poll().is_pending());
        }
        while bottom.load(Ordering::SeqCst) < 1_000_000 {
            thread::yield_now();
        }
        // A stack that a recursion of a thousand would not fit into.
        thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || drop(running))
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(bottom.load(Ordering::SeqCst), 1_001_001);
    });
}

#[test]
fn a_million_processes_in_one_scope() {
    static RAN: AtomicU64 = AtomicU64::new(0);
    const MANY: u64 = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
    on_workers(&Ctx::root(), |s| async move {
        for n in 1..=MANY {
            s.spawn("one of many", move |_| async move {
                RAN.fetch_add(n, Ordering::Relaxed);
            });
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(RAN.load(Ordering::SeqCst), MANY * (MANY + 1) / 2);
}

#[test]
fn a_scope_leaves_no_memory_behind() {
    let ctx = Ctx::root().with_timeout(AN_HOUR);
    let round = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let done = runtime.block_on(scope(&ctx, |s| async move {
            for _ in 0..10 {
                s.spawn("task", |ctx| async move { Err::<(), _>(ctx.cause()) });
            }
            s.spawn("fails", |_| async { bad("on purpose") });
            Ok(())
        }));
        drop(done.unwrap_err());
    };
    round();
    round();
    assert_eq!(memory::bytes_kept(|| (0..100).for_each(|_| round())), 0);
}
