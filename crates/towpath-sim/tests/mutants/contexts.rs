//! The end of a context reaches all below it; a scope ends after all its processes; timers ring, and not before.

use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use towpath::{BoxError, Cause, Ctx, rt, scope, select, select::future};
use towpath_sim::{elapsed, yield_point};

use crate::{check, now, park};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_end_reaches_everybody_below() {
    check(|| async {
        let (ctx, canceller) = Ctx::root().with_cancel();
        let child = ctx.child();
        let below =
            [ctx.clone(), child.clone(), child.clone(), child.child(), child.child().child()];
        let waiting = below.clone().map(|ctx| rt::spawn(async move { drop(ctx.done().await) }));
        yield_point();
        canceller.cancel("now");
        assert!(below.iter().all(Ctx::is_done));
        for task in waiting {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_child_of_what_has_ended_has_ended() {
    check(|| async {
        let (ctx, canceller) = Ctx::root().with_cancel();
        canceller.cancel("now");
        let child = ctx.child();
        assert!(child.is_done());
        assert!(matches!(child.done().await, Cause::Cancelled(_)));
    });
}

#[test]
fn a_deadline_holds_for_all_below() {
    check(|| async {
        let child = Ctx::root().with_timeout(SECOND).with_timeout(10 * SECOND);
        assert!(matches!(child.done().await, Cause::DeadlineExceeded));
        assert!(elapsed() < Some(5 * SECOND), "{:?}", elapsed());
    });
}

#[test]
fn a_scope_waits_for_all() {
    check(|| async {
        let ended = Arc::new(AtomicUsize::new(0));
        let theirs = ended.clone();
        let done = scope(&Ctx::root(), |s| async move {
            for _ in 0..3 {
                let ended = theirs.clone();
                s.spawn("child", move |_| async move {
                    yield_point();
                    ended.fetch_add(1, SeqCst);
                });
            }
            Ok(())
        });
        done.await.unwrap();
        assert_eq!(ended.load(SeqCst), 3);
    });
}

/// When a scope has been dropped, so have all its processes.
#[test]
fn a_dropped_scope_stops_all() {
    check(|| async {
        let census = Arc::new(());
        let theirs = census.clone();
        let root = Ctx::root();
        let running = park(scope(&root, |s| async move {
            for _ in 0..3 {
                let guard = theirs.clone();
                s.spawn("child", move |_| async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            drop(theirs);
            pending::<()>().await;
            Ok(())
        }))
        .await;
        yield_point();
        drop(running);
        assert_eq!(Arc::strong_count(&census), 1);
    });
}

#[test]
fn a_join_has_the_value() {
    check(|| async {
        let sum = scope(&Ctx::root(), |s| async move {
            let half = s.spawn("half", |_| async { Ok::<u32, BoxError>(20) });
            let more = s.spawn_blocking("more", |_| Ok::<u32, BoxError>(22));
            Ok(half.await? + more.await?)
        });
        assert_eq!(sum.await.unwrap(), 42);
    });
}

#[test]
fn a_timer_rings_at_its_time() {
    check(|| async {
        let (tx, mut rx) = towpath::bounded(1);
        let sender = rt::spawn(async move {
            rt::sleep(SECOND / 10).await;
            tx.send(()).await.unwrap();
        });
        let mut sleep = pin!(rt::sleep(SECOND));
        let mut open = true;
        while open {
            select! {
                _ = future(sleep.as_mut()) => break,
                got = rx.recv() => open = got.is_some(),
            }
        }
        if open {
            assert!(elapsed() >= Some(SECOND), "{:?}", elapsed());
        }
        sender.await.unwrap();
    });
}

/// A look at a timer changes nothing.
#[test]
fn a_timer_may_be_looked_at() {
    check(|| async {
        let mut sleep = Box::pin(rt::sleep(SECOND));
        assert_eq!(now(&mut sleep).await, None);
        assert_eq!(now(&mut sleep).await, None);
        sleep.await;
        assert!(elapsed() >= Some(SECOND));
    });
}
