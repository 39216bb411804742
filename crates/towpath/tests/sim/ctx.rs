//! Contexts: they end once, with one cause, and everybody below sees it.

use std::time::Duration;

use towpath::{
    Cause, Ctx,
    rt::{now, spawn, spawn_blocking},
    select,
};

const SECOND: Duration = Duration::from_secs(1);

#[towpath::test]
async fn one_cause_wins_and_everybody_sees_it() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let child = ctx.child().with_timeout(3600 * SECOND);
    let cancellers = ["one", "other"].map(|reason| {
        let canceller = canceller.clone();
        spawn(async move { canceller.cancel(reason).then_some(reason) })
    });
    let thread = {
        let child = child.clone();
        spawn_blocking(move || child.done_blocking().to_string())
    };
    let seen = [ctx.done().await.to_string(), child.done().await.to_string()];
    let mut won = Vec::new();
    for canceller in cancellers {
        won.extend(canceller.await.unwrap());
    }
    let [won] = won[..] else { panic!("{won:?} have ended one context") };
    let said = format!("cancelled: {won}");
    assert_eq!(seen, [said.clone(), said.clone()]);
    assert_eq!(thread.await.unwrap(), said);
    assert_eq!((ctx.cause().to_string(), ctx.is_done()), (said, true));
}

/// The end of a context happens before its `done()` completes.
#[towpath::test]
async fn what_came_before_the_end_is_seen_after_it() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let child = ctx.child();
    let (tx, mut rx) = towpath::unbounded();
    let ender = spawn(async move {
        tx.send(1).await.unwrap();
        canceller.cancel("done");
    });
    child.done().await;
    assert!(ctx.is_done(), "the parent has ended before its child");
    assert_eq!(rx.try_recv(), Ok(1));
    ender.await.unwrap();
}

#[towpath::test]
async fn deadlines_shrink_and_come() {
    let start = now();
    let ctx = Ctx::root().with_timeout(5 * SECOND);
    let longer = ctx.with_timeout(10 * SECOND);
    let shorter = ctx.with_timeout(2 * SECOND);
    assert_eq!(longer.deadline(), ctx.deadline());
    let waits = spawn(async move { (shorter.done().await, now()) });
    let cause = longer.done().await;
    assert!(matches!(cause, Cause::DeadlineExceeded) && now() - start >= 5 * SECOND);
    let (cause, at) = waits.await.unwrap();
    assert!(matches!(cause, Cause::DeadlineExceeded) && at - start >= 2 * SECOND);
}

/// An end that comes from a guard, while the work may end by itself.
#[towpath::test]
async fn a_guard_ends_those_below_when_it_goes() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let (tx, mut rx) = towpath::rendezvous::<u8>();
    let worker = spawn(async move {
        select! {
            cause = ctx.done() => cause.to_string(),
            got = rx.recv() => format!("{got:?}"),
        }
    });
    let guard = canceller.drop_guard();
    let told = spawn(async move { tx.send(1).await.is_ok() });
    drop(guard);
    let said = worker.await.unwrap();
    match told.await.unwrap() {
        true => assert_eq!(said, "Some(1)"),
        // The sender may also have gone first.
        false => assert!(said.starts_with("cancelled") || said == "None", "{said}"),
    }
}

/// A child made while its parent ends, has ended too: at once or a moment later.
#[towpath::test]
async fn no_child_is_overlooked() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let maker = spawn(async move {
        let children = [ctx.child(), ctx.child().child()];
        for child in &children {
            child.done().await;
        }
    });
    canceller.cancel("now");
    maker.await.unwrap();
}
