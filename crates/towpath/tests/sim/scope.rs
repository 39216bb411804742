//! Scopes: nobody outlives them, the first error ends the rest, and a panic is an error.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use towpath::{BoxError, Ctx, Error, rt::spawn, scope, select};

use crate::tools::maybe_dropped;

/// Counts those who live.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[towpath::test]
async fn everybody_is_joined_who_was_started_by_whomever() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = count.clone();
    let ended = scope(&Ctx::root(), |s| async move {
        for _ in 0..2 {
            let (inner, alive, mine) = (s.clone(), alive.clone(), Alive::new(&alive));
            s.spawn("outer", |_| async move {
                let theirs = Alive::new(&alive);
                inner.spawn_blocking("inner", move |_| drop(theirs));
                drop(mine);
            });
        }
        Ok(())
    });
    ended.await.unwrap();
    assert_eq!(count.load(SeqCst), 0);
}

#[towpath::test]
async fn the_first_error_ends_the_rest() {
    let (tx, mut rx) = towpath::unbounded();
    let failed = scope(&Ctx::root(), |s| async move {
        let told = tx.clone();
        s.spawn("waits", move |ctx| async move {
            let cause = ctx.done().await;
            told.send(cause.to_string()).await?;
            Err::<(), BoxError>(cause.into())
        });
        s.spawn_blocking("thread", move |ctx| {
            let cause = ctx.done_blocking();
            tx.send_blocking(cause.to_string())?;
            Err::<(), BoxError>(cause.into())
        });
        s.spawn("fails", |_| async { Err::<(), BoxError>("no driver".into()) });
        Ok(())
    });
    let error = failed.await.unwrap_err();
    assert_eq!(error.process().map(ToString::to_string).as_deref(), Some("fails"));
    for _ in 0..2 {
        let cause = rx.recv().await.unwrap();
        assert!(cause.contains("no driver"), "{cause}");
    }
    assert_eq!(rx.recv().await, None, "both have ended before the scope has");
}

#[towpath::test]
async fn of_two_errors_one_is_first() {
    let failed = scope(&Ctx::root(), |s| async move {
        s.spawn("one", |_| async { Err::<(), BoxError>("one".into()) });
        s.spawn("other", |_| async { Err::<(), BoxError>("other".into()) });
        Ok(())
    });
    let error = failed.await.unwrap_err();
    let first = error.process().map(ToString::to_string);
    let later: Vec<_> = error.later().iter().filter_map(Error::process).collect();
    assert!(first.is_some() && later.len() <= 1, "{error:?}");
    assert_ne!(first, later.first().map(ToString::to_string));
}

#[towpath::test]
async fn a_panic_is_an_error_with_its_place() {
    let failed = scope(&Ctx::root(), |s| async move {
        s.spawn("careless", |_| async { assert_eq!(1, 2, "arithmetic") });
        s.spawn("waits", |ctx| async move {
            ctx.done().await;
        });
        Ok(())
    });
    let Error::Panicked { process, message, at, .. } = failed.await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(process.to_string(), "careless");
    assert!(
        message.contains("arithmetic") && at.is_some_and(|at| at.contains("scope.rs")),
        "{message}"
    );
}

/// Dropped at any moment, a scope takes everybody along before the drop is over.
#[towpath::test]
async fn a_dropped_scope_ends_everybody() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = count.clone();
    let running = scope(&Ctx::root(), |s| async move {
        let (tx, mut rx) = towpath::rendezvous::<u8>();
        let (one, other) = (Alive::new(&alive), Alive::new(&alive));
        s.spawn("receives", move |_| async move {
            let _alive = one;
            while rx.recv().await.is_some() {}
        });
        s.spawn("sends", move |_| async move {
            let _alive = other;
            for n in 0..3 {
                if tx.send(n).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    });
    if let Some(result) = maybe_dropped(running).await {
        result.unwrap();
    }
    // A process that was in the middle of a turn ends with it: wait for the turn, not for more.
    while count.load(SeqCst) > 0 {
        towpath_sim::yield_point();
    }
}

#[towpath::test]
async fn a_scope_under_a_context_ends_with_it() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let ender = spawn(async move { canceller.cancel("enough") });
    let ended = scope(&ctx, |s| async move {
        let worker = s.spawn("worker", |ctx| async move {
            select! { cause = ctx.done() => Err::<(), BoxError>(cause.into()) }
        });
        worker.await.map_err(Into::into)
    });
    let error = ended.await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(ender.await.unwrap());
}
