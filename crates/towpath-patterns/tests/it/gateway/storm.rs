//! Callers that leave at every point, handlers that panic, forget, are slow or pass the call on, a gateway that stops meanwhile: no call is
//! answered twice, none is lost, and no limit is exceeded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use towpath::{BoxError, Ctx, after, rt, scope, select};
use towpath_patterns::gateway::{
    Adaptive, Call, Gateway, Options, Patience, Refused, SingleFlight, Snapshot,
};
use towpath_sim::{Sim, choose, yield_point};

const CALLERS: u32 = 6;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What is to be seen from outside.
#[derive(Default)]
struct World {
    begun: BTreeMap<u32, u32>,
    answered: BTreeMap<u32, u32>,
    at_once: usize,
    most: usize,
}

/// Counted as long as a handler works.
struct AtWork(Arc<Mutex<World>>);

impl AtWork {
    fn new(world: &Arc<Mutex<World>>) -> Self {
        let mut now = world.lock().unwrap();
        now.at_once += 1;
        now.most = now.most.max(now.at_once);
        Self(world.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.lock().unwrap().at_once -= 1;
    }
}

/// A handler that does everything a handler may.
async fn handle(world: Arc<Mutex<World>>, call: Call<u32, u32>) {
    let _at_work = AtWork::new(&world);
    let number = *call.request();
    *world.lock().unwrap().begun.entry(number).or_default() += 1;
    let answer = |call: Call<u32, u32>| {
        *world.lock().unwrap().answered.entry(number).or_default() += 1;
        call.answer(number * 10);
    };
    match choose(8) {
        0 => panic!("this handler is bad"),
        1 => drop(call),
        2 => {
            yield_point();
            answer(call);
        }
        3 => {
            rt::sleep(ms(choose(4))).await;
            answer(call);
        }
        4 => {
            // As a handler should: it stops when nobody waits.
            let ctx = call.ctx().clone();
            select! {
                _ = ctx.done() => return,
                () = after(ms(3)) => {}
            }
            answer(call);
        }
        5 => {
            let (request, call) = call.split();
            *world.lock().unwrap().answered.entry(number).or_default() += 1;
            call.answer_with(async move {
                rt::sleep(ms(choose(3))).await;
                request * 10
            })
            .await;
        }
        6 => {
            // Somebody else answers.
            let world = world.clone();
            rt::spawn(async move {
                yield_point();
                *world.lock().unwrap().answered.entry(number).or_default() += 1;
                call.answer(number * 10);
            });
        }
        _ => answer(call),
    }
}

fn options() -> Options {
    let options = if choose(3) == 0 {
        Options::new(1).with_adaptive(Adaptive::new(1, 3).with_initial(1 + choose(3) as usize))
    } else {
        Options::new(1 + choose(2) as usize)
    };
    let options = options.with_queue(choose(4) as usize).with_drain(ms(choose(5)));
    match choose(3) {
        0 => options.with_patience(None),
        1 => options
            .with_patience(Some(Patience { calm: ms(0), crowded: ms(1) }))
            .with_timeout(ms(6)),
        _ => options,
    }
}

/// A caller, as patient as the schedule has it. `None`: it was dropped.
async fn call(ask: impl AsyncFnOnce(Ctx) -> Result<u32, Refused>) -> Option<Result<u32, Refused>> {
    match choose(5) {
        0 => {
            let ctx = Ctx::root().with_timeout(ms(choose(4)));
            let answer = ask(ctx.clone()).await;
            assert_ne!(answer, Err(Refused::Left));
            Some(answer)
        }
        1 => {
            let (ctx, canceller) = Ctx::root().with_cancel();
            let cancelling = rt::spawn(async move {
                rt::sleep(ms(choose(3))).await;
                canceller.cancel("changed their mind");
            });
            let answer = ask(ctx).await;
            cancelling.await.unwrap();
            Some(answer)
        }
        2 => select! {
            answer = select::future(ask(Ctx::root())) => Some(answer),
            () = after(ms(choose(3))) => None,
        },
        _ => Some(ask(Ctx::root()).await),
    }
}

/// How a gateway is left.
async fn stop(gateway: &Gateway<u32, u32>) {
    rt::sleep(ms(choose(8))).await;
    match choose(3) {
        0 => gateway.drain(&Ctx::root()).await,
        1 => gateway.drain(&Ctx::root().with_timeout(ms(choose(4)))).await,
        // The scope's end does it.
        _ => {}
    }
}

/// All calls that were let in have become something, once.
fn adds_up(counts: &Snapshot) {
    let Snapshot { answered, died, late, left, shed_stale, stopped, .. } = *counts;
    assert_eq!(counts.accepted, answered + died + late + left + shed_stale + stopped, "{counts:?}");
}

fn storm(name: &str, shared: bool) {
    Sim::new().schedules(1000).max_steps(100_000).leaks(towpath_sim::Leaks::Allow).test(
        name,
        move || async move {
            let world = Arc::new(Mutex::new(World::default()));
            let (ctx, canceller) = Ctx::root().with_cancel();
            let options = options();
            let workers = options.workers;
            let seen = world.clone();
            let answers = scope(&ctx, |s| async move {
                let gateway =
                    Gateway::start(&s, "gateway", options, move |call| handle(seen.clone(), call));
                let flights = SingleFlight::new(gateway.clone());
                // Not in the scope: they are there when it has ended.
                let callers: Vec<_> = (0..CALLERS)
                    .map(|number| {
                        let (gateway, flights) = (gateway.clone(), flights.clone());
                        rt::spawn(async move {
                            rt::sleep(ms(choose(3))).await;
                            call(async move |ctx: Ctx| {
                                if shared {
                                    flights.call(&ctx, number % 2, || number).await
                                } else {
                                    gateway.call(&ctx, number).await
                                }
                            })
                            .await
                        })
                    })
                    .collect();
                drop(flights);
                stop(&gateway).await;
                if choose(2) == 0 {
                    canceller.cancel("the house closes");
                }
                let mut answers = Vec::new();
                for caller in callers {
                    answers.push(caller.await.map_err(|error| error.to_string())?);
                }
                gateway.drain(&Ctx::root().with_timeout(ms(50))).await;
                Ok((answers, gateway.snapshot()))
            })
            .await;
            let (answers, counts) = match answers {
                Ok(seen) => seen,
                Err(error) if error.is_cancelled() => return Ok(()),
                Err(error) => return Err(BoxError::from(error)),
            };
            let world = world.lock().unwrap();
            adds_up(&counts);
            assert_eq!((counts.waiting, counts.in_hand), (0, 0), "{counts:?}");
            assert!(world.most <= workers, "{} at once", world.most);
            assert!(world.begun.values().chain(world.answered.values()).all(|times| *times == 1));
            let mut answered = 0;
            for (number, answer) in (0..CALLERS).zip(&answers) {
                if let Some(Ok(answer)) = answer {
                    answered += 1;
                    let by = answer / 10;
                    assert!(world.answered.contains_key(&by), "an answer that nobody gave");
                    assert!(
                        if shared { by % 2 == number % 2 } else { by == number },
                        "somebody else's answer"
                    );
                }
            }
            if !shared {
                assert_eq!(counts.answered, answered, "{counts:?} {answers:?}");
            }
            Ok::<_, BoxError>(())
        },
    );
}

#[test]
fn no_call_is_lost_or_answered_twice() {
    storm("gateway::storm::no_call_is_lost_or_answered_twice", false);
}

#[test]
fn no_shared_call_is_lost_or_answered_twice() {
    storm("gateway::storm::no_shared_call_is_lost_or_answered_twice", true);
}
