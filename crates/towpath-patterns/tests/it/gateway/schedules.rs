//! The gateway under many schedules: what its module promises, each promise a test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use towpath::{Cause, Ctx, after, bounded, rt, scope, select};
use towpath_patterns::gateway::{Call, Gateway, Options, Refused};
use towpath_sim::{choose, yield_point};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[towpath::test]
async fn every_caller_has_its_own_answer() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(2), async |call: Call<u32, u32>| {
            yield_point();
            let answer = 10 * call.request();
            call.answer(answer);
        });
        let callers: Vec<_> = (0..4)
            .map(|n| {
                let gateway = gateway.clone();
                rt::spawn(async move { (n, gateway.call(&Ctx::root(), n).await) })
            })
            .collect();
        for caller in callers {
            let (n, answer) = caller.await.unwrap();
            assert_eq!(answer, Ok(10 * n));
        }
        let counts = gateway.snapshot();
        assert_eq!((counts.accepted, counts.answered), (4, 4));
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn a_handler_that_panics_costs_one_call() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(1), async |call: Call<u32, u32>| {
            assert_ne!(*call.request(), 1, "one is bad");
            if *call.request() != 2 {
                call.answer(0);
            }
        });
        let ctx = Ctx::root();
        for (request, answer) in
            [(0, Ok(0)), (1, Err(Refused::Died)), (2, Err(Refused::Died)), (3, Ok(0))]
        {
            assert_eq!(gateway.call(&ctx, request).await, answer);
        }
        gateway.drain(&ctx).await;
        assert_eq!((gateway.snapshot().panics, gateway.snapshot().died), (1, 2));
        assert_eq!(gateway.call(&ctx, 0).await, Err(Refused::Stopped));
        Ok(())
    })
    .await
    .unwrap();
}

/// The second finds the worker taken and waits; the third finds no place.
#[towpath::test]
async fn who_leaves_the_queue_makes_room_and_is_not_worked_on() {
    scope(&Ctx::root(), |s| async move {
        let (go, wait) = bounded::<()>(1);
        let wait = wait.into_shared();
        let begun = Arc::new(AtomicU32::new(0));
        let seen = begun.clone();
        let options = Options::new(1).with_queue(1).with_patience(None);
        let gateway = Gateway::start(&s, "g", options, move |call: Call<u32, ()>| {
            let (mut wait, seen) = (wait.clone(), seen.clone());
            async move {
                seen.fetch_or(1 << call.request(), Ordering::Relaxed);
                wait.recv().await;
                call.answer(());
            }
        });
        let caller = |n| {
            let gateway = gateway.clone();
            rt::spawn(async move { gateway.call(&Ctx::root(), n).await })
        };
        let first = caller(0);
        while gateway.snapshot().in_hand == 0 {
            rt::sleep(ms(1)).await;
        }
        select! {
            _ = select::future(gateway.call(&Ctx::root(), 1)) => panic!("nobody works on it"),
            () = after(ms(1)) => {}
        }
        assert_eq!(gateway.snapshot().waiting, 0);
        let third = caller(2);
        while gateway.snapshot().waiting == 0 {
            rt::sleep(ms(1)).await;
        }
        assert!(matches!(gateway.call(&Ctx::root(), 3).await, Err(Refused::Overloaded { .. })));
        drop(go);
        assert_eq!((first.await.unwrap(), third.await.unwrap()), (Ok(()), Ok(())));
        assert_eq!(begun.load(Ordering::Relaxed), 0b101);
        let counts = gateway.snapshot();
        assert_eq!((counts.left, counts.shed_full, counts.answered), (1, 1, 2));
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn a_caller_that_leaves_ends_the_work() {
    scope(&Ctx::root(), |s| async move {
        let (told, mut causes) = bounded(1);
        let gateway = Gateway::start(&s, "g", Options::new(1), move |call: Call<(), ()>| {
            let told = told.clone();
            async move {
                let cause = call.ctx().done().await;
                told.send(cause).await.unwrap();
            }
        });
        // The worker may have been so slow that it has not begun: then it never does.
        let cause = select! {
            _ = select::future(gateway.call(&Ctx::root(), ())) => panic!("it never answers"),
            () = after(ms(choose(2))) => select! {
                cause = causes.recv() => cause,
                () = after(ms(5000)) => None,
            },
        };
        assert!(matches!(cause, None | Some(Cause::Cancelled(_))));
        let late = Ctx::root().with_timeout(ms(1));
        assert_eq!(gateway.call(&late, ()).await, Err(Refused::Late));
        let cause = select! {
            cause = causes.recv() => cause,
            () = after(ms(5000)) => None,
        };
        assert!(matches!(cause, None | Some(Cause::DeadlineExceeded)));
        assert_eq!(gateway.call(&late, ()).await, Err(Refused::Late));
        assert_eq!(gateway.snapshot().never_made, 1);
        Ok(())
    })
    .await
    .unwrap();
}

/// Whoever drops the whole does not leave callers waiting for ever.
#[towpath::test]
async fn callers_of_a_scope_that_is_dropped_are_told() {
    let (out, mut handle) = bounded(1);
    let running = scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(2), async |call: Call<(), ()>| {
            call.ctx().done().await;
        });
        out.send(gateway).await?;
        s.ctx().done().await;
        Ok(())
    });
    let callers = rt::spawn(async move {
        let gateway = handle.recv().await.unwrap();
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let gateway = gateway.clone();
                rt::spawn(async move { gateway.call(&Ctx::root(), ()).await })
            })
            .collect();
        for caller in callers {
            let answer = caller.await.unwrap();
            assert!(matches!(answer, Err(Refused::Stopped | Refused::Died)), "{answer:?}");
        }
    });
    select! {
        _ = select::future(running) => panic!("nobody ends it"),
        () = after(ms(3)) => {}
    }
    callers.await.unwrap();
}

#[towpath::test]
async fn what_was_asked_is_done_when_the_scope_ends_and_what_takes_too_long_is_cut() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    // Far beyond what the simulator lets timers be early by.
    let slow = Duration::from_secs(1000);
    let ended = scope(&ctx, |s| async move {
        let options = Options::new(1).with_drain(Duration::from_secs(100)).with_patience(None);
        let gateway =
            Gateway::start(&s, "g", options, move |call: Call<Duration, ()>| async move {
                rt::sleep(*call.request()).await;
                call.answer(());
            });
        let callers: Vec<_> = [ms(1), ms(1), slow, ms(1)]
            .into_iter()
            .map(|time| {
                let gateway = gateway.clone();
                let caller = rt::spawn(async move { gateway.call(&Ctx::root(), time).await });
                (time, caller)
            })
            .collect();
        while gateway.snapshot().accepted < 4 {
            rt::sleep(ms(1)).await;
        }
        canceller.cancel("enough");
        let mut answers = Vec::new();
        for (time, caller) in callers {
            answers.push((time, caller.await.unwrap()));
        }
        for (time, answer) in &answers {
            // They came in any order; who stood behind the slow one is cut off with it.
            assert!(matches!(answer, Ok(()) | Err(Refused::Stopped)), "{answer:?}");
            assert!(*time < slow || *answer == Err(Refused::Stopped));
        }
        assert_eq!(gateway.call(&Ctx::root(), ms(1)).await, Err(Refused::Stopped));
        Ok(())
    });
    let ended = ended.await;
    assert!(ended.is_ok() || ended.unwrap_err().is_cancelled());
}

#[towpath::test]
async fn it_ends_with_its_last_handle() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(2), async |call: Call<u32, u32>| {
            yield_point();
            let answer = *call.request();
            call.answer(answer);
        });
        let other = gateway.clone();
        let caller = rt::spawn(async move { other.call(&Ctx::root(), 7).await });
        drop(gateway);
        assert_eq!(caller.await.unwrap(), Ok(7));
        Ok(())
    })
    .await
    .unwrap();
}
