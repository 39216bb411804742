//! Hedging: when there is a second attempt, who wins, and what becomes of the loser.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use towpath::{Ctx, after, rt, select};
use towpath_patterns::gateway::Hedge;
use towpath_sim::{Sim, choose};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Teaches it that calls take about so long.
async fn taught(hedge: &Hedge, time: Duration) {
    for _ in 0..200 {
        let quick = async |_: Ctx, _: u32| {
            rt::sleep(time).await;
            Ok::<_, String>(())
        };
        hedge.call(&Ctx::root(), quick).await.unwrap();
    }
}

/// Time is exact: nobody is slow.
fn exactly(name: &str, schedules: u64, program: impl AsyncFn() + Copy + 'static) {
    Sim::new()
        .schedules(schedules)
        .stall(Duration::ZERO)
        .max_steps(1_000_000)
        .test(name, move || async move { program().await });
}

#[test]
fn the_second_attempt_wins_and_the_first_is_cancelled() {
    exactly(
        "gateway::hedging::the_second_attempt_wins_and_the_first_is_cancelled",
        50,
        async || {
            let hedge = Hedge::new(0.5);
            taught(&hedge, ms(10)).await;
            let cancelled = Arc::new(Mutex::new(None));
            let (seen, began) = (cancelled.clone(), rt::now());
            let root = Ctx::root();
            let answer = hedge.call(&root, |ctx: Ctx, attempt| {
                if attempt == 0 {
                    *seen.lock().unwrap() = Some(ctx.clone());
                }
                async move {
                    rt::sleep(if attempt == 0 { ms(1000) } else { ms(10) }).await;
                    assert!(!ctx.is_done());
                    Ok::<_, String>(attempt)
                }
            });
            assert_eq!(answer.await, Ok(1));
            let took = rt::now() - began;
            assert!(
                took >= ms(20) && took <= ms(25),
                "after what most take, and then so long: {took:?}"
            );
            assert!(cancelled.lock().unwrap().as_ref().unwrap().is_done());
            let counts = hedge.snapshot();
            assert_eq!((counts.second, counts.second_won), (1, 1));
        },
    );
}

#[test]
fn an_error_waits_for_the_other_attempt() {
    exactly("gateway::hedging::an_error_waits_for_the_other_attempt", 50, async || {
        let hedge = Hedge::new(1.0);
        taught(&hedge, ms(10)).await;
        for (first, second, expected) in [
            ((30, Err("a")), (30, Ok(2)), Ok(2)),
            ((30, Ok(1)), (10, Err("b")), Ok(1)),
            ((30, Err("a")), (30, Err("b")), Err("b")),
            ((60, Err("a")), (10, Err("b")), Err("a")),
            // An error in time is the answer: a second attempt is for what is slow.
            ((1, Err("a")), (1, Ok(2)), Err("a")),
        ] {
            let root = Ctx::root();
            let answer = hedge.call(&root, async |_: Ctx, attempt: u32| {
                let (time, answer) = if attempt == 0 { first } else { second };
                rt::sleep(ms(time)).await;
                answer
            });
            assert_eq!(answer.await, expected);
        }
    });
}

/// An outage in which everything is slow.
#[test]
fn when_all_is_slow_the_budget_holds() {
    exactly("gateway::hedging::when_all_is_slow_the_budget_holds", 10, async || {
        let hedge = Hedge::new(0.1);
        taught(&hedge, ms(1)).await;
        let attempts = AtomicU64::new(0);
        for _ in 0..300 {
            let slow = async |_: Ctx, _: u32| {
                attempts.fetch_add(1, Ordering::Relaxed);
                rt::sleep(ms(100)).await;
                Ok::<_, String>(())
            };
            hedge.call(&Ctx::root(), slow).await.unwrap();
        }
        let counts = hedge.snapshot();
        assert_eq!(attempts.load(Ordering::Relaxed), 300 + counts.second);
        assert!(counts.second as f64 <= 1.0 + 0.1 * counts.calls as f64, "{counts:?}");
        assert!(counts.over_budget > 0);
        assert!(counts.delay >= Some(ms(100)), "it has learnt what is normal now: {counts:?}");
    });
}

#[towpath::test(schedules = 300, max_steps = 200_000)]
async fn dropped_it_leaves_nothing_behind() {
    let hedge = Hedge::new(1.0);
    for _ in 0..100 {
        hedge.call(&Ctx::root(), async |_: Ctx, _: u32| Ok::<_, String>(())).await.unwrap();
    }
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let seen = contexts.clone();
    let ended = select! {
        _ = select::future(hedge.call(&Ctx::root(), |ctx: Ctx, _| {
            seen.lock().unwrap().push(ctx);
            async {
                rt::sleep(ms(choose(4))).await;
                Ok::<_, String>(())
            }
        })) => true,
        () = after(ms(choose(3))) => false,
    };
    let contexts = contexts.lock().unwrap();
    let running = contexts.iter().filter(|ctx| !ctx.is_done()).count();
    assert!(running <= usize::from(ended), "the winner's context goes on, no other");
    assert!(contexts.len() <= 2);
}

proptest! {
    #[test]
    fn never_more_than_its_share(share in 0.0_f64..1.0, slow in prop::collection::vec(any::<bool>(), 1..200)) {
        let hedge = Hedge::after_quantile(share, 0.5, Duration::ZERO);
        let attempts = AtomicU64::new(0);
        towpath::block_on(async {
            for slow in &slow {
                // Counted when it is asked for: one that is lost at once is never polled.
                let call = |_: Ctx, attempt: u32| {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    let wait = *slow && attempt == 0;
                    async move {
                        if wait {
                            rt::sleep(Duration::from_micros(300)).await;
                        }
                        Ok::<_, String>(())
                    }
                };
                hedge.call(&Ctx::root(), call).await.unwrap();
            }
        });
        let counts = hedge.snapshot();
        prop_assert_eq!(counts.calls, slow.len() as u64);
        prop_assert_eq!(attempts.load(Ordering::Relaxed), counts.calls + counts.second);
        prop_assert!(counts.second as f64 <= 1.0 + share * counts.calls as f64 + 0.001 * counts.calls as f64);
    }
}
