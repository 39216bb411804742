//! Single flight: one call for all who ask the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use towpath::{Ctx, Headers, after, rt, scope, select};
use towpath_patterns::gateway::{Call, Gateway, Options, Refused, SingleFlight};
use towpath_sim::{choose, yield_point};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Far longer than the simulator lets timers be early by.
const LONG: Duration = Duration::from_secs(100);

#[towpath::test]
async fn the_leader_may_leave() {
    scope(&Ctx::root(), |s| async move {
        let calls = Arc::new(AtomicU32::new(0));
        let counting = calls.clone();
        let gateway = Gateway::start(&s, "g", Options::new(2), move |call: Call<u32, u32>| {
            let calls = counting.clone();
            async move {
                let number = calls.fetch_add(1, Ordering::Relaxed);
                let ctx = call.ctx().clone();
                select! {
                    _ = ctx.done() => {}
                    () = after(LONG) => call.answer(number),
                }
            }
        });
        let flights = SingleFlight::new(gateway);
        let leader = flights.clone();
        let leader = rt::spawn(async move {
            select! {
                answer = select::future(leader.call(&Ctx::root(), 'k', || 1)) => Some(answer),
                () = after(ms(choose(4))) => None,
            }
        });
        let followers: Vec<_> = (0..2)
            .map(|_| {
                let flights = flights.clone();
                rt::spawn(async move { flights.call(&Ctx::root(), 'k', || 1).await })
            })
            .collect();
        for follower in followers {
            assert!(follower.await.unwrap().is_ok());
        }
        leader.await.unwrap();
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn the_work_ends_with_the_last_who_waits() {
    scope(&Ctx::root(), |s| async move {
        let (told, mut ended) = towpath::unbounded();
        let gateway = Gateway::start(&s, "g", Options::new(1), move |call: Call<(), ()>| {
            let told = told.clone();
            async move {
                call.ctx().done().await;
                told.try_send(()).ok();
            }
        });
        let flights = SingleFlight::new(gateway.clone());
        let callers: Vec<_> = (0..3)
            .map(|n| {
                let flights = flights.clone();
                rt::spawn(async move {
                    let ctx = Ctx::root().with_timeout(ms(n));
                    flights.call(&ctx, 0, || ()).await
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Err(Refused::Late));
        }
        gateway.drain(&Ctx::root()).await;
        drop((flights, gateway));
        while ended.recv().await.is_some() {}
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn a_panic_is_told_to_those_who_wait_and_to_nobody_later() {
    scope(&Ctx::root(), |s| async move {
        let calls = Arc::new(AtomicU32::new(0));
        let gateway = Gateway::start(&s, "g", Options::new(1), move |call: Call<(), u32>| {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                yield_point();
                assert!(number > 0, "the first is bad");
                call.answer(number);
            }
        });
        let flights = SingleFlight::new(gateway);
        let other = flights.clone();
        let other = rt::spawn(async move { other.call(&Ctx::root(), "k", || ()).await });
        let mine = flights.call(&Ctx::root(), "k", || ()).await;
        let other = other.await.unwrap();
        assert!([mine, other].contains(&Err(Refused::Died)));
        assert!(flights.call(&Ctx::root(), "k", || ()).await.is_ok());
        Ok(())
    })
    .await
    .unwrap();
}

/// After a write, nobody is told what was read before it; who asked before is.
#[towpath::test]
async fn what_was_forgotten_is_asked_again() {
    scope(&Ctx::root(), |s| async move {
        let stored = Arc::new(AtomicU32::new(1));
        let reading = stored.clone();
        let gateway = Gateway::start(&s, "g", Options::new(2), move |call: Call<(), u32>| {
            let read = reading.load(Ordering::Relaxed);
            async move {
                rt::sleep(ms(choose(3))).await;
                call.answer(read);
            }
        });
        let flights = SingleFlight::new(gateway);
        let early = flights.clone();
        let early = rt::spawn(async move { early.call(&Ctx::root(), 'k', || ()).await });
        yield_point();
        stored.store(2, Ordering::Relaxed);
        flights.forget(&'k');
        assert_eq!(flights.call(&Ctx::root(), 'k', || ()).await, Ok(2));
        assert!(early.await.unwrap().is_ok());
        assert!(!flights.forget(&'k'));
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test(schedules = 100)]
async fn headers_go_along_and_a_request_that_panics_leaves_nothing_behind() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(1), async |call: Call<(), usize>| {
            let headers = call.ctx().headers().as_bytes().len();
            call.answer(headers);
        });
        let flights = SingleFlight::new(gateway);
        let bad = flights.clone();
        let bad = rt::spawn(async move {
            bad.call(&Ctx::root(), 'k', || panic!("no request can be made")).await
        });
        assert!(bad.await.is_err());
        let ctx = Ctx::root().with_headers(Headers::new([7_u8]));
        assert_eq!(flights.call(&ctx, 'k', || ()).await, Ok(1));
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test(schedules = 200)]
async fn no_more_follow_than_may() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(1), async |call: Call<(), ()>| {
            rt::sleep(LONG).await;
            call.answer(());
        });
        let flights = SingleFlight::with_followers(gateway, 1);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let flights = flights.clone();
                rt::spawn(async move { flights.call(&Ctx::root(), 'k', || ()).await })
            })
            .collect();
        let mut refused = 0;
        for caller in callers {
            match caller.await.unwrap() {
                Ok(()) => {}
                Err(Refused::Overloaded { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((refused, flights.joined()), (1, 1));
        Ok(())
    })
    .await
    .unwrap();
}
